"""`python -m serving plan` and `hardware`: what they print, for people and for programs."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from errors import InputError
from serving.hardware.findings import Hub
from serving.plan import plan_here
from serving.plan.known import CONFIGS, DEFAULT_MODEL
from serving.plan.source import find_model, on_disk
from settings import ROOT
from tests.engine_help import Serve, serving

FIXTURES = Path(__file__).parent / "fixtures" / "hardware"


@pytest.fixture
def serve() -> Iterator[Serve]:
    with serving() as serve:
        yield serve


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "serving", *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "130", "HF_HUB_OFFLINE": "1", **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_plan_for_people(tmp_path: Path) -> None:
    done = run("plan", "--on", "t4", HF_HOME=str(tmp_path))
    assert done.returncode == 0 and not done.stderr
    said = re.sub(r"\s+", " ", done.stdout)
    assert f"the plan is for {DEFAULT_MODEL}" in said
    for part in (
        "vllm, w4a16 from RedHatAI/DeepSeek-R1-Distill-Qwen-7B-quantized.w4a16",
        "context 16,384 tokens",
        "− weights 5,545,257,984 5.2 GiB",
        "left for the KV cache",
        "KV cache of one token 57,344 56 KiB",
        "--max-model-len 16384",
        "Why",
        "Rejected",
        "transformers, nf4",
    ):
        assert part in said, part
    # One line, so that it can be copied, however long.
    (line,) = (text for text in done.stdout.splitlines() if "vllm serve" in text)
    assert "--enable-prompt-tokens-details" in line and "'" in line


def test_a_plan_for_programs(tmp_path: Path) -> None:
    done = run("plan", "--on", "l4", "--json", HF_HOME=str(tmp_path))
    plan = json.loads(done.stdout)
    assert (plan["engine"], plan["format"], plan["fits"]) == ("vllm", "fp8", True)
    assert plan["arguments"][0] == "--served-model-name" and plan["next"] is None
    assert plan["weight_bytes"] + plan["overhead_bytes"] < plan["usable_bytes"]
    assert {part["label"] for part in plan["parts"]} >= {"weights", "margin"}
    assert ["GPU", "NVIDIA L4, 22.0 GiB (22.0 free), capability 8.9, driver 580"] in [
        row[:2] for row in plan["findings"]
    ]
    assert plan["shape_source"].startswith("known")


def test_a_model_that_does_not_fit(tmp_path: Path) -> None:
    model = "DeepSeek-R1-Distill-Qwen-32B"  # known by its bare name too
    done = run("plan", "--on", "t4", "--model", model, HF_HOME=str(tmp_path))
    assert done.returncode == 3 and not done.stderr
    said = re.sub(r"\s+", " ", done.stdout)
    assert "does not fit: 7.6 GiB of memory are missing" in said
    assert "What fits instead" in said and "DeepSeek-R1-Distill-Qwen-14B on Tesla T4" in said
    plan = json.loads(
        run("plan", "--on", "t4", "--model", model, "--json", HF_HOME=str(tmp_path)).stdout
    )
    assert plan["fits"] is False and plan["next"]["fits"] is True
    recording = str(FIXTURES / "container_limits_v2.json")
    none = run("plan", "--on", recording, HF_HOME=str(tmp_path))
    assert none.returncode == 3 and "HEARTH_ENDPOINT_URL" in none.stdout


def test_this_machine_and_a_folder(toy: Path) -> None:
    done = run("plan", "--model", str(toy), "--json")
    plan = json.loads(done.stdout)
    assert plan["model"] == "toy" and plan["checkpoint"] == str(toy) and plan["fits"]
    bundled = json.loads(run("plan", "--model", "tiny", "--json").stdout)
    assert (bundled["model"], bundled["engine"]) == ("tiny", "transformers")
    assert bundled["context"] == 2048


def test_the_plan_for_this_machine(toy: Path) -> None:
    plan = plan_here(str(toy))
    assert plan.fits and plan.model == "toy" and plan.checkpoint == str(toy)


def test_the_model_of_the_settings(tmp_path: Path) -> None:
    said = run(
        "plan", "--on", "h100", "--json", HEARTH_MODEL="Qwen/Qwen3-8B", HF_HOME=str(tmp_path)
    )
    assert json.loads(said.stdout)["model"] == "Qwen/Qwen3-8B"


def test_hardware_for_people_for_programs_and_for_later(tmp_path: Path) -> None:
    shown = run("hardware", "--on", str(FIXTURES / "colab_v6e_1.json")).stdout
    assert "TPU v6e-1, 31.25 GiB a chip" in shown and "1 on the PCI bus" in shown
    path = tmp_path / "machine.json"
    done = run("hardware", "--json", "--record", str(path))
    rows = {row["what"]: row for row in json.loads(done.stdout)}
    assert rows["hub"]["found"] == "not asked" and "HF_HUB_OFFLINE" in rows["hub"]["because"]
    again = json.loads(run("hardware", "--json", "--on", str(path)).stdout)
    assert {r["what"]: r["found"] for r in again}["CPU"] == rows["CPU"]["found"]
    failed = run("hardware", "--record", str(tmp_path / "no" / "folder.json"))
    assert failed.returncode == 1 and "can't be written" in failed.stderr


def test_the_table() -> None:
    table = run("plan", "--table").stdout
    assert table.startswith("| `--on` | machine | 1.5B | 7B |") and "| `g4` |" in table


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--on", "k80"], "There is no accelerator 'k80'"),
        (["--on", "nothing.json"], "nothing.json is no recording of a machine"),
        (["--on", "t4", "--engine", "tgi"], "no engine 'tgi'"),
        (["--on", "t4", "--checkpoint", "q2"], "no checkpoint format 'q2'"),
        (["--on", "t4", "--context", "9999999"], "9,999,999 tokens can't be"),
        (["--model", "/no/such/folder"], "There is no model folder /no/such/folder"),
        (["--model", "a/b/c"], "There is no model folder a/b/c"),
        (["--model", "tests"], "tests is no model that can be loaded: there is no config.json"),
        (
            ["--model", "nobody/nothing"],
            "nothing is not on this machine, and the hub can't be asked",
        ),
        (["--model", "-x"], "-x"),
        (["--on", "cpu", "--engine", "vllm"], "Nothing here can serve"),
    ],
)
def test_wrong_input_is_one_message(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = run("plan", *arguments, HF_HOME=str(tmp_path))
    assert done.returncode in (1, 2) and not done.stdout
    assert said in done.stderr and "Traceback" not in done.stderr


# where the shape comes from -------------------------------------------------------------------


def test_a_config_on_the_disk_goes_before_what_is_known(tmp_path: Path) -> None:
    repo = "Qwen/Qwen3-8B"
    snapshot = tmp_path / "models--Qwen--Qwen3-8B" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("abc")
    longer = CONFIGS[repo] | {"max_position_embeddings": 131_072}
    (snapshot / "config.json").write_text(json.dumps(longer))
    done = run("plan", "--on", "h100", "--model", repo, "--json", HF_HUB_CACHE=str(tmp_path))
    plan = json.loads(done.stdout)
    assert plan["shape_source"] == "config.json in the hub's cache" and plan["context"] == 65_536
    bare = run("plan", "--on", "h100", "--model", repo, "--json", HF_HUB_CACHE=str(tmp_path / "n"))
    assert json.loads(bare.stdout)["context"] == 32_768


def no_hub() -> Hub:
    raise AssertionError("the hub was asked")


def test_what_is_a_folder_and_what_is_not(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = find_model(str(toy), "tiny", no_hub)
    assert found.served_as == "toy" and found.shape.source.endswith("toy/config.json")
    assert on_disk(str(toy)) and not on_disk("nobody/nothing:Q4_K_M")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    snapshot = tmp_path / "models--me--gguf" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    assert not on_disk("me/gguf:Q4_K_M")  # what a plan fetched is no model yet
    (snapshot / "model-Q4_K_M.gguf").write_text("")
    assert on_disk("me/gguf:Q4_K_M")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config.json is not JSON"):
        find_model(str(broken), "tiny", no_hub)
    (broken / "config.json").write_text('{"architectures": ["BertModel"]}')
    with pytest.raises(InputError, match="BertModel does not generate text"):
        find_model(str(broken), "tiny", no_hub)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match="it is an adapter"):
        find_model(str(adapter), "tiny", no_hub)


class FakeHub(BaseHTTPRequestHandler):
    """As much of the hub as the download of a config.json needs."""

    def do_HEAD(self) -> None:
        self.answer(send=False)

    def do_GET(self) -> None:
        self.answer(send=True)

    def answer(self, *, send: bool) -> None:
        status, code, body = 200, "", json.dumps(CONFIGS["Qwen/Qwen3-4B"]).encode()
        if "org/missing" in self.path:
            status, code, body = 401, "RepoNotFound", b"{}"
        elif "org/gated" in self.path:
            status, code, body = 403, "GatedRepo", b"{}"
        elif "org/gguf" in self.path:
            status, code, body = 404, "EntryNotFound", b"{}"
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("etag", '"abc"')
        self.send_header("x-repo-commit", "0" * 40)
        if code:
            self.send_header("x-error-code", code)
        self.end_headers()
        if send:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_a_config_from_the_hub(serve: Serve, tmp_path: Path) -> None:
    online = {"HF_ENDPOINT": serve(FakeHub), "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"}
    plan = json.loads(run("plan", "--on", "l4", "--model", "org/model", "--json", **online).stdout)
    assert plan["shape_source"] == "config.json on the hub" and plan["engine"] == "vllm"
    for name, said in (
        ("org/missing", "Hugging Face has no model org/missing"),
        ("org/gated", "org/gated is gated"),
        ("org/gguf", "its repository has no config.json"),
    ):
        failed = run("plan", "--on", "l4", "--model", name, **online)
        assert failed.returncode == 1 and said in failed.stderr, failed.stderr
    nobody = online | {"HF_ENDPOINT": "http://127.0.0.1:9"}
    failed = run("plan", "--on", "l4", "--model", "org/other", **nobody)
    assert (
        "the hub can't be asked for it (http://127.0.0.1:9: " in failed.stderr
        and "Traceback" not in failed.stderr
    )


def test_the_set_up_for_colab(tmp_path: Path) -> None:
    """In a copy whose set-up is done already: it reports, and stops at a wrong model."""
    copy = tmp_path / "hearth"
    for name in ("serving", "settings", "models"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("colab_setup.sh", "errors.py"):
        shutil.copy(ROOT / name, copy / name)
    (copy / "scripts").mkdir()
    (copy / "scripts" / "setup.py").write_text("print('set-up: nothing to do')\n")
    python = copy / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)

    def set_up(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "colab_setup.sh", *arguments],
            cwd=copy,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": "/env/python"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    done = set_up("tiny")
    assert done.returncode == 0, done.stderr
    assert "set-up: nothing to do" in done.stdout and "colab: done" in done.stdout
    assert "tiny on " in done.stdout and "is not installed" not in done.stdout
    wrong = set_up("no/such/model")
    assert wrong.returncode == 1 and "There is no model folder" in wrong.stderr
    assert "Traceback" not in wrong.stderr and "colab: done" not in wrong.stdout
