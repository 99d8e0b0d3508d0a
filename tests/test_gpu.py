"""On an NVIDIA GPU: 4-bit weights, a 7B of R1's shape, and the plan's arithmetic held to both.

Where there is none, each of these skips with the reason, and the same bodies run on the CPU with
a small model of the same architecture. On a GPU the figures go to benchmarks/results/. The 7B has
random weights, made here from R1's dimensions; nothing is downloaded. On a machine with a GPU:

    python -m serving install vllm && .venv/bin/python -m pytest tests/test_gpu.py
"""

import contextlib
import dataclasses
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import streams
from benchmarks.weights import bytes_a_token
from serving import install
from serving.chat import ChatModel
from serving.engines import ENGINES, Engine
from serving.families import FAMILIES
from serving.hardware import find_accelerator, look
from serving.plan import Wishes, make_plan
from serving.plan.checkpoints import FORMATS
from serving.plan.devices import bandwidth
from serving.plan.known import CONFIGS, DEFAULT_MODEL
from serving.plan.shapes import Shape, shape_from_config
from serving.row import Plan
from serving.supervisor import Supervisor
from serving.transformers_server import compute_type
from settings import ROOT, Settings, load_settings
from tests.random_r1 import build_random_r1

SEVEN = CONFIGS[DEFAULT_MODEL]
SMALL = SEVEN | {  # the same ratios: seven queries a key, an FFN of 5.3 times the width
    "num_hidden_layers": 4,
    "hidden_size": 448,
    "num_attention_heads": 7,
    "num_key_value_heads": 1,
    "intermediate_size": 2368,
    "vocab_size": 4096,
    "max_position_embeddings": 4096,
}
SUM = [{"role": "user", "content": "What is 17% of 2480, plus 3 squared?"}]
DISK_BYTES = 20 << 30  # for the 7B's files

GPU = find_accelerator()
NO_GPU = "" if GPU.kind == "cuda" else f"there is no GPU to compute on ({GPU.reason})"
NO_VLLM = NO_GPU or ("" if install.CUDA.versions() else "vLLM is not installed for this GPU")
on_gpu = pytest.mark.skipif(bool(NO_GPU), reason=NO_GPU)
PLACES = ["cpu", pytest.param("cuda", marks=[on_gpu, pytest.mark.timeout(1800)])]


@pytest.fixture(autouse=True)
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test on the CPU computes there, on a machine with a GPU too."""
    if "on" in request.fixturenames and request.getfixturevalue("on") == "cpu":
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")


@pytest.fixture(scope="session")
def seven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the random 7B, written once."""
    folder = tmp_path_factory.mktemp("models") / "DeepSeek-R1-Distill-Qwen-7B"
    free = os.statvfs(folder.parent)
    if free.f_bavail * free.f_frsize < DISK_BYTES:
        pytest.skip(f"{folder.parent} has not the {DISK_BYTES >> 30} GiB free that a 7B needs")
    return build_random_r1(folder, SEVEN)


def record(what: str, figures: dict[str, Any]) -> None:
    """Add figures of a GPU to benchmarks/results/gpu-NAME.json."""
    name = "".join(c if c.isalnum() else "_" for c in GPU.name)
    path = ROOT / "benchmarks" / "results" / f"gpu-{name}.json"
    path.parent.mkdir(exist_ok=True)
    found = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(found | {what: figures}, indent=1) + "\n")


# 4 bits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on", PLACES)
def test_the_bundled_model_in_4_bits_answers(on: str, tmp_path: Path) -> None:
    """Through the engine, its supervisor and the client, as a user would have it."""
    lines: list[str] = []
    settings = load_settings(engine="transformers", quantize="nf4", data_dir=tmp_path)
    with Supervisor(settings, on_progress=lines.append) as endpoint:
        model = ChatModel(
            endpoint.base_url,
            endpoint.model_id,
            endpoint.api_key,
            FAMILIES["tiny"],
            timeout_seconds=120,
        )
        began = time.perf_counter()
        message = model.generate(SUM)
        seconds = time.perf_counter() - began
        model.close()
    assert "models/tiny in 4 bits on" in lines[0]
    assert message.raw.finish == "code" and message.raw.thinking
    compile(message.raw.code, "reply", "exec")
    if on == "cuda":
        tokens = message.token_usage.output_tokens
        record("bundled model, nf4", {"tokens": tokens, "tokens_a_second": tokens / seconds})


@pytest.mark.parametrize("on", PLACES)
def test_weights_in_4_bits_are_as_large_as_the_plan_says(
    on: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Loaded by the code that `transformers serve` loads them with; within 1 %."""
    if on == "cuda":
        folder, config = request.getfixturevalue("seven"), SEVEN
    else:
        folder, config = build_random_r1(tmp_path / "r1", SMALL, shard_bytes=8 << 20), SMALL
        assert len(list(folder.glob("*.safetensors"))) > 2, "it is read from several shards"
    shape = shape_from_config(config, DEFAULT_MODEL, "known")
    with loaded(folder, on) as (model, tokenizer):
        kinds = [type(module).__name__ for module in model.modules()]
        assert kinds.count("Linear4bit") == 7 * config["num_hidden_layers"]
        assert held(model) == pytest.approx(FORMATS["nf4"].weight_bytes(shape), rel=0.01)
        tokens, seconds = generated(model, tokenizer, 64 if on == "cuda" else 8)
        if on == "cuda":
            memory_and_speed_of_7b_in_4_bits(model, shape, tokens / seconds)


def memory_and_speed_of_7b_in_4_bits(model: Any, shape: Shape, speed: float) -> None:
    """At most what the plan reserves, and at least its weights; no faster than the memory."""
    import torch

    hardware = look(ask_hub=False)
    plan = make_plan(hardware, shape, Wishes(engine="transformers", checkpoint="nf4"))
    peak = torch.cuda.max_memory_allocated()
    budget = plan.weight_bytes + plan.overhead_bytes + plan.context * plan.kv_bytes_per_token
    assert 0.99 * plan.weight_bytes <= peak <= budget
    limit = bandwidth(GPU.name)
    share = speed * FORMATS["nf4"].active_bytes(shape) / (limit * 1e9) if limit else None
    assert share is None or share < 1
    figures = {
        "tokens_a_second": speed,
        "share_of_bandwidth": share,
        "weight_bytes": held(model),
        "weight_bytes_planned": plan.weight_bytes,
        "peak_bytes": peak,
        "reserved_by_plan": budget,
    }
    record("7B of random weights, nf4, transformers", figures)


@contextlib.contextmanager
def loaded(folder: Path, on: str) -> Iterator[tuple[Any, Any]]:
    import torch
    from transformers.cli.serving.model_manager import ModelManager

    class Manager(
        ModelManager
    ):  # as serving/transformers_server.py has it, of which this is a part
        def get_quantization_config(self) -> Any:
            config = super().get_quantization_config()
            if on == "cuda":
                config.bnb_4bit_compute_dtype = compute_type(torch.cuda.get_device_capability())
            return config

    manager = Manager(device=on, dtype="auto", quantization="bnb-4bit", model_timeout=-1)
    if on == "cuda":
        torch.cuda.reset_peak_memory_stats()
    yield manager.load_model_and_processor(f"{folder}@main")
    manager.shutdown()
    if on == "cuda":
        torch.cuda.empty_cache()


def held(model: Any) -> int:
    """Bytes of all weights, with the scales that belong to those in 4 bits."""
    total = 0
    for value in model.parameters():
        total += value.numel() * value.element_size()
        state = getattr(value, "quant_state", None)
        for scales in (state, getattr(state, "state2", None)):
            if scales is not None:
                total += scales.absmax.numel() * scales.absmax.element_size()
    return total


def generated(model: Any, tokenizer: Any, count: int) -> tuple[int, float]:
    """So many tokens after a short prompt: how many, and in how many seconds."""
    ids = tokenizer("What is 17% of 2480?", return_tensors="pt").to(model.device)
    length = {"max_new_tokens": count, "min_new_tokens": count, "do_sample": False}
    model.generate(**ids, **length)  # the first time, kernels are looked for
    began = time.perf_counter()
    out = model.generate(**ids, **length)
    seconds = time.perf_counter() - began
    made = out.shape[1] - ids["input_ids"].shape[1]
    assert made == count
    return made, seconds


# vLLM ---------------------------------------------------------------------------------------------


def with_dummy_weights() -> dict[str, Engine]:
    """The table, with vLLM making up its weights instead of reading them."""
    row = ENGINES["vllm"]
    assert row.plan is not None
    planned = row.plan

    def plan(settings: Settings) -> Plan:
        made = planned(settings)
        return dataclasses.replace(made, arguments=(*made.arguments, "--load-format", "dummy"))

    return {"vllm": dataclasses.replace(row, plan=plan)}


def test_dummy_weights_are_asked_for_and_nothing_else_is_changed(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the test below starts, looked at where it can't run."""
    monkeypatch.setattr(install, "cpu_obstacle", lambda: "")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    settings = load_settings(engine="vllm", model=str(toy))
    plain, dummy = ENGINES["vllm"], with_dummy_weights()["vllm"]
    assert plain.plan and dummy.plan and dummy.command is plain.command
    usual, made = plain.plan(settings), dummy.plan(settings)
    assert made.arguments == (*usual.arguments, "--load-format", "dummy")
    assert made.options == usual.options


@pytest.mark.skipif(bool(NO_VLLM), reason=NO_VLLM or "it can run")
@pytest.mark.timeout(1800)
def test_a_7b_on_vllm_has_the_cache_that_was_planned(
    seven: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens of its KV cache within a tenth of the plan's; the speed under the memory's."""
    # Random weights make no sense, which is what the first question looks for.
    monkeypatch.setattr("serving.launch.check_first_reply", lambda *_: "")
    shape = shape_from_config(SEVEN, str(seven), "known")
    planned = make_plan(look(ask_hub=False), shape, Wishes(engine="vllm", checkpoint="bf16"))
    if not planned.fits:
        pytest.skip(f"a 7B in 16 bits does not fit: {planned.lacks} is short")
    settings = load_settings(engine="vllm", model=str(seven), quantize="none", data_dir=tmp_path)
    plan = with_dummy_weights()["vllm"].plan
    assert plan is not None
    of_engine = plan(settings)
    supervisor = Supervisor(settings, engines=with_dummy_weights())
    with supervisor as endpoint:
        assert supervisor.log is not None
        told = re.search(r"KV cache size: ([\d,]+) tokens", supervisor.log.read_text())
        assert told, "vLLM does not say how large its cache is"
        tokens = int(told[1].replace(",", ""))
        server = streams.Server(endpoint.base_url, endpoint.api_key, endpoint.model_id, True)
        streams.ask(server, 1, tokens=8, words=60)
        rounds = {n: streams.ask(server, n, tokens=128, words=120) for n in (1, 8, 32)}
    assert tokens == pytest.approx(planned.kv_tokens, rel=0.1)
    limit, read = bandwidth(GPU.name), bytes_a_token(of_engine, endpoint.model_id)
    share = rounds[1].one * read / (limit * 1e9) if limit and read else None
    assert share is None or 0.2 < share < 1
    assert rounds[32].all > rounds[8].all > rounds[1].all
    figures = {
        "kv_tokens": tokens,
        "kv_tokens_planned": planned.kv_tokens,
        "share_of_bandwidth": share,
        "tokens_a_second": {str(n): found.all for n, found in rounds.items()},
        "first_token_seconds": {str(n): found.first_token for n, found in rounds.items()},
    }
    record("7B of dummy weights, bf16, vLLM", figures)
