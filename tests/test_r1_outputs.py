"""Recorded replies of DeepSeek-R1-Distill models, which lie beside the repository where they lie
at all: whole, cut, and cut into other deltas, they are split the same way, and sensibly.
"""

import json
import random
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from serving.repeats import Repeats
from serving.reply import Reply, ReplySplitter

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "r1_outputs"
ROWS: list[dict[str, Any]] = [
    json.loads(line)
    for file in sorted(FOLDER.glob("*.jsonl"))
    for line in file.read_text(encoding="utf-8").splitlines()
]
CLOSER = "</think>"

pytestmark = pytest.mark.skipif(not ROWS, reason=f"no recorded replies in {FOLDER}")
recorded = pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])


def read(raw: str, *, opens: bool = True, finish: str = "stop", sizes: Any = None) -> Reply:
    splitter, at = ReplySplitter(opens), 0
    while at < len(raw):
        size = sizes() if sizes else len(raw)
        splitter.feed(raw[at : at + size])
        at += size
    return splitter.finish(finish)


def squeezed(text: str) -> str:
    return re.sub(r"\s+|</?think>", "", text)


def halves(raw: str) -> tuple[str, str]:
    """The thinking and the rest by the plainest rule: at the last tag that something follows."""
    thinking, closer, rest = raw.rpartition(CLOSER)
    if closer and not rest.strip() and CLOSER in thinking:
        return halves(thinking)
    return (thinking, rest) if closer else (raw, "")


@recorded
def test_the_split(row: dict[str, Any]) -> None:
    thinking, rest = halves(row["raw"])
    reply = read(row["raw"])
    if "<think>" in rest:  # it went mad, and began to think again
        assert rest.strip().startswith(reply.text) or reply.reason == "unclosed"
        return
    assert squeezed(reply.thinking) == squeezed(thinking)
    assert rest.strip().startswith(reply.text)
    if reply.code is None:
        assert reply.text == rest.strip()
    else:
        assert squeezed(reply.code) in squeezed(rest), "no draft from the thinking"
        assert reply.finish == "code"
    if reply.answer is not None:
        assert all(word in rest for word in reply.answer.split(", ")[-1].split())
    assert (reply.reason is None) == (reply.code is not None or reply.answer is not None)


@recorded
def test_a_server_that_has_split_it(row: dict[str, Any]) -> None:
    thinking, rest = halves(row["raw"])
    splitter = ReplySplitter(opens_thinking=True)
    for start in range(0, len(thinking), 50):
        splitter.feed_reasoning(thinking[start : start + 50])
    splitter.feed(rest)
    reply, whole = splitter.finish("stop"), read(row["raw"])
    if "<think>" not in rest:
        assert (reply.text, reply.code, reply.answer) == (whole.text, whole.code, whole.answer)


@recorded
def test_cut_at_every_97th_character(row: dict[str, Any]) -> None:
    raw = row["raw"]
    whole = read(raw)
    first = raw.find(CLOSER) + len(CLOSER) if CLOSER in raw else len(raw) + 1
    for number, end in enumerate(range(0, len(raw), 97)):
        finish = ("length", "cancelled")[number % 2]
        reply = read(raw[:end], finish=finish)
        if end < first:
            assert (reply.text, reply.code, reply.answer) == ("", None, None)
            assert reply.ended_in == "thinking", "still thinking"
            assert reply.finish == finish
        elif raw.count(CLOSER, 0, end) == raw.count(CLOSER):
            assert reply.code in (None, whole.code)
            assert whole.text.startswith(reply.text) or whole.code == reply.code


@recorded
def test_cut_into_other_deltas(row: dict[str, Any]) -> None:
    for opens in (True, False):
        whole = read(row["raw"], opens=opens)
        for seed in range(3):
            chance = random.Random(f"{row['id']}{seed}")
            longest = (3, 20, 2000)[seed]
            assert read(row["raw"], opens=opens, sizes=partial(chance.randint, 1, longest)) == whole


@recorded
def test_streamed_pieces_only_grow(row: dict[str, Any]) -> None:
    splitter, said = ReplySplitter(opens_thinking=True), {"thinking": "", "text": ""}
    for start in range(0, len(row["raw"]), 41):
        for piece in splitter.feed(row["raw"][start : start + 41]):
            said[piece.kind] += piece.text
    reply = splitter.finish("stop")
    for piece in splitter.rest():
        said[piece.kind] += piece.text
    assert said["text"].rstrip().endswith(reply.text) or "<think>" in halves(row["raw"])[1]
    assert sorted(squeezed(said["thinking"] + said["text"])) == sorted(
        squeezed(reply.thinking + reply.text)
    )


def test_boxes_are_found() -> None:
    boxed = [row for row in ROWS if "boxed" in row["categories"]]
    for row in boxed:
        _, rest = halves(row["raw"])
        boxes = re.findall(r"\\boxed\{([^{}]+)\}", rest)
        reply = read(row["raw"])
        if boxes and reply.code is None:
            assert reply.answer is not None


def test_endless_loops_are_noticed_and_little_else() -> None:
    def noticed(row: dict[str, Any]) -> bool:
        watch = Repeats()
        return any(watch.feed(row["raw"][at : at + 4]) for at in range(0, len(row["raw"]), 4))

    looping = {"endless_loop", "heavy_repetition", "repeated_close", "truncated_think"}
    endless = [row for row in ROWS if "endless_loop" in row["categories"]]
    assert all(noticed(row) for row in endless)
    others = [row for row in ROWS if not looping & set(row["categories"])]
    assert sum(noticed(row) for row in others) <= len(others) // 50
