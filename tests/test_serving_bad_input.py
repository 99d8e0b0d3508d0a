"""What a user gets wrong, or a machine lacks, on the command lines: one clear error that names the
setting and the next step."""

import json
import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from settings import ROOT
from tests.engine_help import on_small_disk, serving
from tests.fake_hub import hub_handler

KEY, TOKEN = "sk-a-wrong-secret", "hf_awrongtokenawrongtoken"
FULL = 'cat /dev/zero > "$1/filled" 2> /dev/null; shift; exec "$@"'

# the program and its arguments, the variables, and what the error says; {…} is filled in below
ROWS: dict[str, tuple[str, dict[str, str], list[str]]] = {
    "engine": ("serving start --engine tgi", {}, ["engine", "'tgi'", "transformers"]),
    "engine, set": ("serving status", {"HEARTH_ENGINE": "tgi"}, ["engine", "'tgi'", "HEARTH_"]),
    "engine, asked": ("agent go --engine tgi", {}, ["engine", "'tgi'", "transformers"]),
    "engine, planned": ("serving plan --engine tgi", {}, ["engine 'tgi'", "Name one of"]),
    "engine, installed": ("serving install tgi", {}, ["engine 'tgi'", "Name one of"]),
    "accelerator": ("serving plan --on k80", {}, ["'k80' for --on", "t4, l4"]),
    "BERT": ("serving start --model {bert}", {}, ["BertModel", "HEARTH_MODEL"]),
    "BERT, planned": ("serving plan --model {bert}", {}, ["BertModel", "HEARTH_MODEL"]),
    "BERT, asked": ("agent go --model {bert}", {}, ["BertModel", "HEARTH_MODEL"]),
    "folder": ("serving start --model {tmp}/no", {}, ["no model folder", "HEARTH_MODEL"]),
    "folder, asked": ("agent go --model {tmp}/no", {}, ["no model folder", "HEARTH_MODEL"]),
    "missing": ("serving start --model org/missing", {}, ["org/missing", "HEARTH_MODEL"]),
    "missing, planned": ("serving plan --model org/missing", {}, ["org/missing", "HEARTH_MODEL"]),
    "missing, asked": ("agent go --model org/missing", {}, ["org/missing", "HEARTH_MODEL"]),
    "missing GGUF": ("agent go --model org/missing:Q4_K_M", {}, ["org/missing", "HEARTH_MODEL"]),
    "gated": ("serving start --model org/gated", {}, ["gated", "hf auth login"]),
    "gated, asked": ("agent go --route main --model org/gated", {}, ["gated", "hf auth login"]),
    "token": ("serving start --model org/refused", {"HF_TOKEN": TOKEN}, ["token", "HF_TOKEN"]),
    "token, planned": ("serving plan --model org/refused", {"HF_TOKEN": TOKEN}, ["HF_TOKEN"]),
    "port": ("serving start --port {port}", {}, ["{port}", "in use", "HEARTH_ENGINE_PORT"]),
    "port, asked": ("agent go", {"HEARTH_ENGINE_PORT": "{port}"}, ["use", "HEARTH_ENGINE_PORT"]),
    "port, none": ("serving start --port 99999", {}, ["engine_port", "65535"]),
    "no server": (
        "serving start",
        {"HEARTH_ENDPOINT_URL": "{page}"},
        ["no OpenAI-compatible server", "HEARTH_ENDPOINT_URL"],
    ),
    "no server, asked": (
        "agent go --route main",
        {"HEARTH_ENDPOINT_URL": "{page}"},
        ["no OpenAI-compatible server", "HEARTH_ENDPOINT_URL"],
    ),
    "nobody": (
        "serving start",
        {"HEARTH_ENDPOINT_URL": "http://127.0.0.1:1"},
        ["Nothing answers", "HEARTH_ENDPOINT_URL"],
    ),
    "key": (
        "serving start",
        {"HEARTH_ENDPOINT_URL": "{page}/keyed", "HEARTH_ENDPOINT_KEY": KEY},
        ["refuses the key", "HEARTH_ENDPOINT_KEY"],
    ),
    "key, asked": (
        "agent go --route main",
        {"HEARTH_ENDPOINT_URL": "{page}/keyed", "HEARTH_ENDPOINT_KEY": KEY},
        ["refuses the key", "HEARTH_ENDPOINT_KEY"],
    ),
    "no address": ("serving start --engine endpoint", {}, ["endpoint_url"]),
    "data": ("serving start", {"HEARTH_DATA_DIR": "/proc/none"}, ["/proc/none", "HEARTH_DATA_DIR"]),
}
NO_NETWORK = {
    "start": ("serving start --model org/any", {}, ["org/any", "HEARTH_MODEL"]),
    "plan": ("serving plan --model org/any", {}, ["org/any", "can't be asked"]),
    "ask": ("agent go --route main --model org/any", {}, ["org/any", "HEARTH_MODEL"]),
    "no id": ("agent go --model distil-7b", {}, ["no model folder distil-7b", "HEARTH_MODEL"]),
}
Results = dict[str, tuple[int, str, str]]


class Page(BaseHTTPRequestHandler):
    """A site that is no model's server, and below /keyed one that refuses every key."""

    def do_GET(self) -> None:
        self.send_response(401 if self.path.startswith("/keyed") else 200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"hi")

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


def filled(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def run(
    rows: dict[str, tuple[str, dict[str, str], list[str]]],
    values: dict[str, str],
    hub: str,
    before: list[str] | None = None,
) -> Results:
    tmp = values["tmp"]
    asked = []
    for line, variables, _ in rows.values():
        program, *arguments = filled(line, values).split()
        asked.append((program, arguments, {k: filled(v, values) for k, v in variables.items()}))
    env = {**os.environ, "HF_ENDPOINT": hub, "HF_HOME": f"{tmp}/hf", "HF_HUB_OFFLINE": "0"}
    env.pop("HF_TOKEN", None)
    done = subprocess.run(
        [*(before or []), sys.executable, "-m", "tests.bad_input_rows"],
        input=json.dumps(asked),
        cwd=ROOT,
        env={"HEARTH_DATA_DIR": f"{tmp}/data", **env},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(rows, json.loads(done.stdout), strict=True))


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    from transformers import BertConfig, BertModel

    tmp = tmp_path_factory.mktemp("bad")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(**sizes, vocab_size=64, intermediate_size=16)
    BertModel(config).save_pretrained(tmp / "bert")
    with socket.socket() as taken, serving() as serve:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        found = {"tmp": str(tmp), "bert": str(tmp / "bert"), "port": port, "page": serve(Page)}
        yield found


@pytest.fixture(scope="module")
def results(values: dict[str, str], toy: Path) -> Results:
    with serving() as serve:
        return run(ROWS, values, serve(hub_handler(toy, Counter())))


@pytest.fixture(scope="module")
def without_network(values: dict[str, str]) -> Results:
    return run(NO_NETWORK, values, "http://127.0.0.1:1")


def check(result: tuple[int, str, str], words: list[str]) -> None:
    code, out, err = result
    assert code in (1, 2) and not out, (code, out, err)
    for word in words:
        assert word in err, err
    assert "Traceback" not in err and KEY not in err and TOKEN not in err
    lines = [line for line in err.splitlines() if not line.endswith(" …")]  # it begins to start
    assert len(lines) == 2, f"what is wrong, and what to do:\n{err}"


@pytest.mark.parametrize("row", ROWS)
def test_bad_input_is_one_clear_error(row: str, results: Results, values: dict[str, str]) -> None:
    check(results[row], [filled(word, values) for word in ROWS[row][2]])


@pytest.mark.parametrize("row", NO_NETWORK)
def test_no_network_is_one_clear_error(row: str, without_network: Results) -> None:
    check(without_network[row], NO_NETWORK[row][2])


def test_a_full_disk_is_one_clear_error(values: dict[str, str], tmp_path: Path) -> None:
    mounts = [*on_small_disk(tmp_path, 65_536), "sh", "-c", FULL, "sh", str(tmp_path)]
    rows = {
        "start": ("serving start --model tiny", {"HEARTH_DATA_DIR": str(tmp_path)}, []),
        "ask": ("agent go --route main", {"HEARTH_DATA_DIR": str(tmp_path)}, []),
    }
    for result in run(rows, values, "http://127.0.0.1:1", mounts).values():
        check(result, [str(tmp_path), "HEARTH_DATA_DIR"])
