"""Thinking between the marks of one family: gpt-oss's channels, Mistral's [THINK]."""
# ruff: noqa: E501 - the tables read better a line each

import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.families import FAMILIES, family_for
from serving.reply import Reply, ReplySplitter
from tests.chat_client import Ask, asker
from tests.fake_openai import Turn
from tests.model_conformance import TASK
from tests.test_serving_reply import BLOCK

GPT_OSS, MAGISTRAL = FAMILIES["gpt-oss"], FAMILIES["magistral"]
DRAFT = "Try:\n```python\nbad()\n```\nor </think> `<|end|>` so"
THOUGHT = f"<|channel|>analysis<|message|>{DRAFT}<|end|>"
FINAL = "<|start|>assistant<|channel|>final<|message|>"
COMMENT = "<|start|>assistant<|channel|>commentary"
CALL = '{"query": "x"}'
CALLED = "print(web_search(query='x'))"


def split(text: str, marks: str, size: int | None = None, finish: str = "stop") -> Reply:
    splitter = ReplySplitter(opens_thinking=False, marks=marks)
    for start in range(0, len(text), size or max(1, len(text))):
        splitter.feed(text[start : start + (size or len(text))])
    return splitter.finish(finish)


# name: (raw text, thinking, text (None: not looked at), code)
CHANNELS = {
    "code": (f"{THOUGHT}{FINAL}So:\n{BLOCK}\nOutput: 2<|return|>", DRAFT, f"So:\n{BLOCK}", "print(1)"),
    "an answer": (f"{THOUGHT}{FINAL}Paris it is.<|return|>", DRAFT, "Paris it is.", None),
    "without the last token": (f"{THOUGHT}{FINAL}Paris it is.", DRAFT, "Paris it is.", None),
    "the word assistant left out": (f"{THOUGHT}<|channel|>final<|message|>Paris.", DRAFT, "Paris.", None),
    "no thinking": (f"{FINAL}{BLOCK}", "", BLOCK, "print(1)"),
    "no channel": ("<|start|>assistant<|message|>Paris.", "", "Paris.", None),
    "split by the server": (f"So:\n{BLOCK}", "", f"So:\n{BLOCK}", "print(1)"),
    "a call": (f"{THOUGHT}{COMMENT} to=functions.web_search <|constrain|>json<|message|>{CALL}<|call|>", DRAFT, None, CALLED),
    "a call without its last token": (f"{THOUGHT}{COMMENT} to=functions.web_search json<|message|>{CALL}", DRAFT, None, CALLED),
    "a call named in the role": (f"{THOUGHT}<|start|>assistant to=functions.web_search<|channel|>commentary<|message|>{CALL}<|call|>", DRAFT, None, CALLED),
    "its own python": (f"{THOUGHT}<|start|>assistant<|channel|>analysis to=python code<|message|>print(1)<|call|>", DRAFT, None, "print(1)"),
    "words before a call": (f"{THOUGHT}{COMMENT}<|message|>I look.<|end|>{COMMENT} to=functions.web_search<|message|>{CALL}<|call|>", DRAFT, None, CALLED),
    "thinking twice": (f"<|channel|>analysis<|message|>a<|end|>{COMMENT}<|message|>b<|end|><|start|>assistant<|channel|>analysis<|message|>c<|end|>{FINAL}d", "ac", "b\n\nd", None),
    "thinking without end": ("<|channel|>analysis<|message|>Hm.", "Hm.", "", None),
    "another's turn": (f"{THOUGHT}<|start|>user<|message|>Thanks!<|end|>{FINAL}{BLOCK}", DRAFT, "", None),
    "marks talked about": (f"{FINAL}It is `<|channel|>final<|message|>`, or <|channel|> alone.", "", "It is `<|channel|>final<|message|>`, or <|channel|> alone.", None),
    "marks in code": (f"{FINAL}```python\nf('<|end|>', \"<|start|>assistant<|message|>\")\n```", "", None, "f('<|end|>', \"<|start|>assistant<|message|>\")"),
}  # fmt: skip
BRACKETS = {
    "code": (f"[THINK]Try `[/THINK]`\nbad()[/THINK]So:\n{BLOCK}\nmore", "Try `[/THINK]`\nbad()", f"So:\n{BLOCK}", "print(1)"),
    "an answer": ("\n[THINK]Hm.[/THINK]Paris.", "Hm.", "Paris.", None),
    "no opener": (f"Hm.[/THINK]\n{BLOCK}", "Hm.", BLOCK, "print(1)"),
    "no closer": ("[THINK]Hm.", "Hm.", "", None),
    "closed twice": (f"[THINK]a\n[/THINK]\nb\n[/THINK]\n{BLOCK}", "a\n\nb", BLOCK, "print(1)"),
    "split by the server": (BLOCK, "", BLOCK, "print(1)"),
    "a list in the code": ("[THINK]a[/THINK]```python\nx = [THINK]\nf(x)\n```", "a", None, "x = [THINK]\nf(x)"),
    "the older tags": (f"<think>\na\n</think>\n{BLOCK}", "a", BLOCK, "print(1)"),
}  # fmt: skip
ALL = [("channels", name) for name in CHANNELS] + [("brackets", name) for name in BRACKETS]


@pytest.mark.parametrize("size", [None, 1, 3], ids=["whole", "by 1", "by 3"])
@pytest.mark.parametrize(("marks", "name"), ALL)
def test_split(marks: str, name: str, size: int | None) -> None:
    table = CHANNELS if marks == "channels" else BRACKETS
    raw, thinking, text, code = table[name]
    reply = split(raw, marks, size)
    assert (reply.thinking, reply.code) == (thinking, code)
    assert text is None or reply.text == text


def test_why_there_is_no_action() -> None:
    assert split("<|channel|>analysis<|message|>Hm.", "channels").reason == "unclosed"
    cut = split(f"{THOUGHT}{COMMENT} to=python<|message|>print(1", "channels", finish="length")
    assert (cut.code, cut.reason, cut.ended_in) == (None, "length", "code")
    cut = split(f"{THOUGHT}{COMMENT} to=functions.f<|message|>{{}}", "channels", finish="length")
    assert cut.code is None


@pytest.mark.parametrize("family", ["r1-distill", "instruct", "qwen3"])
@pytest.mark.parametrize(
    "text", [f"<|channel|>analysis<|message|>Hm.{FINAL}x", "[THINK]x[/THINK]y"]
)
def test_to_other_families_they_are_text(family: str, text: str) -> None:
    row = FAMILIES[family]
    splitter = ReplySplitter(row.opens_thinking, row.marks)
    pieces = splitter.feed(f"</think>{text}" if row.opens_thinking else text)
    splitter.finish("stop")
    assert "".join(piece.text for piece in [*pieces, *splitter.rest()]).strip() == text


def test_the_end_is_seen_in_the_middle_of_the_stream() -> None:
    for marks, text in (
        ("channels", f"{THOUGHT}{FINAL}{BLOCK}"),
        ("brackets", f"[THINK]a[/THINK]{BLOCK}"),
    ):
        splitter = ReplySplitter(False, marks)
        for character in text[:-1]:
            splitter.feed(character)
            assert not splitter.done
        splitter.feed("`")
        assert splitter.done


FRAGMENTS = st.sampled_from([
    "<|start|>", "assistant", "<|channel|>", "analysis", "final", "commentary", "<|message|>", "<|end|>", "<|call|>",
    "<|return|>", "<|constrain|>", " to=functions.f", " to=python", "json", "{}", "<|", "|>", "<", "[", "[/", "THINK]",
    "[THINK]", "[/THINK]", "`", "'", "(", ")", "\n", "```python\n", "\n```\n", "print(1)", "word ", "user", "</think>",
    "<think>", THOUGHT, FINAL, f"{COMMENT} to=functions.f<|message|>", "x" * 300, "Answer: 4",
])  # fmt: skip
TEXTS = st.lists(FRAGMENTS, max_size=25).map("".join)
EITHER = st.sampled_from(["channels", "brackets"])


@settings(max_examples=400, deadline=None)
@given(text=TEXTS, marks=EITHER, data=st.data(), finish=st.sampled_from(["stop", "length"]))
def test_cutting_the_stream_elsewhere_changes_nothing(
    text: str, marks: str, data: st.DataObject, finish: str
) -> None:
    whole = split(text, marks, finish=finish)
    assert split(text, marks, 1, finish) == whole
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    splitter = ReplySplitter(False, marks)
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        splitter.feed(text[start:end])
    assert splitter.finish(finish) == whole
    assert (whole.reason is None) == (whole.code is not None or whole.answer is not None)


@settings(max_examples=200, deadline=None)
@given(
    draft=st.lists(FRAGMENTS.filter(lambda f: "|" not in f), max_size=20), size=st.integers(1, 40)
)
def test_no_draft_of_the_thinking_is_ever_run(draft: list[str], size: int) -> None:
    thinking = "".join(f"{fragment}DRAFT" for fragment in draft)
    raw = f"<|channel|>analysis<|message|>{thinking}<|end|>{FINAL}{BLOCK}<|return|>"
    reply = split(raw, "channels", size)
    assert (reply.code, reply.text, reply.thinking) == ("print(1)", BLOCK, thinking.strip())


def _cpu_seconds(marks: str, tokens: list[str]) -> float:
    splitter = ReplySplitter(False, marks)
    started = time.process_time()
    for token in tokens:
        splitter.feed(token)
    splitter.finish("length")
    return time.process_time() - started


@pytest.mark.parametrize(
    ("marks", "pattern"),
    [("channels", ["<|channel|>x "]), ("channels", ["<|", "start", "|> a"]), ("channels", [FINAL, "a", THOUGHT]),
     ("channels", ["(<|end|>"]), ("brackets", ["[", "THINK", "]"]), ("brackets", ["[/THINK]x"])],
)  # fmt: skip
def test_time_grows_no_faster_than_the_text(marks: str, pattern: list[str]) -> None:
    for cut in (lambda n: pattern * n, lambda n: ["".join(pattern * n)]):
        short = min(_cpu_seconds(marks, cut(1_000)) for _ in range(3))
        long = min(_cpu_seconds(marks, cut(4_000)) for _ in range(3))
        assert long < 9 * short + 0.05


# Through the client


@pytest.fixture
def ask() -> Iterator[Ask]:
    with asker() as ask:
        yield ask


@pytest.mark.parametrize(
    "model_id", ["mistralai/Magistral-Small-2509", "Ministral-3-14B-Reasoning-2512"]
)
def test_mistrals_thinking_models(model_id: str) -> None:
    assert family_for(model_id) is MAGISTRAL


@pytest.mark.parametrize(
    ("family", "raw"),
    [(GPT_OSS, f"<|channel|>analysis<|message|>Hm.<|end|>{FINAL}{BLOCK}<|return|>"),
     (MAGISTRAL, f"[THINK]Hm.[/THINK]{BLOCK}")],
    ids=["gpt-oss", "magistral"],
)  # fmt: skip
@pytest.mark.parametrize("fault", [None, "drop"])
def test_a_server_that_leaves_the_marks_in(family: Any, raw: str, fault: Any, ask: Any) -> None:
    turns = [Turn(raw, fault="drop", after=5)] if fault else []
    model, server = ask(*turns, Turn(raw), family=family, owner="vllm")
    assert model.generate(TASK).raw == Reply("Hm.", BLOCK, "print(1)", None, "code")
    assert len(server.chats) == len(turns) + 1, "and one that breaks off is asked for anew"


def test_thinking_in_a_channel_has_a_budget(ask: Any) -> None:
    forever = "<|channel|>analysis<|message|>" + "".join(f"Or is it {n}? " for n in range(400))
    model, server = ask(Turn(forever), Turn(f"{FINAL}{BLOCK}"), family=GPT_OSS, thinking_tokens=100)
    reply = model.generate(TASK).raw
    assert (reply.code, reply.text, reply.forced) == ("print(1)", BLOCK, "thinking_budget")
    assert "<|" not in reply.thinking
    assert "Or is it" in server.chats[1].body["messages"][-2]["content"], (
        "it sees its last thoughts"
    )
