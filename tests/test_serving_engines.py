"""The table of engines: what its rows check before anything starts, and what they start."""

import asyncio
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from errors import InputError, SettingsError
from serving.causes import explain
from serving.engines import ENGINES, engine_row, plan_transformers
from serving.hardware import Accelerator, cpu_cores, find_accelerator
from serving.model_source import resolve_model
from serving.transformers_server import RequireKey, compute_with_what_the_card_has
from settings import Settings, load_settings


@pytest.fixture
def copy(toy: Path, tmp_path: Path) -> Path:
    """A copy of the toy model that a test may damage."""
    return Path(shutil.copytree(toy, tmp_path / "copy"))


def make_settings(**given: object) -> Settings:
    return load_settings(**({"engine": "transformers"} | given))


# the table ----------------------------------------------------------------------------------


def test_an_unknown_engine_is_an_error_that_lists_the_valid_ones() -> None:
    with pytest.raises(SettingsError, match="Did you mean transformers") as caught:
        engine_row("transformer")
    assert all(name in caught.value.fix for name in ENGINES)


def test_every_row_either_starts_or_connects() -> None:
    for name, row in ENGINES.items():
        assert row.name == name and row.about.endswith(".")
        assert (row.connect is None) == bool(row.plan and row.command and row.ready)
    assert set(ENGINES) == {"transformers", "vllm", "llamacpp", "vllm-tpu", "zerogpu", "endpoint"}


# how transformers is started --------------------------------------------------------------------


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Puts an `nvidia-smi` on the path that says `text` and exits with `code`."""

    def install(text: str, code: int = 0) -> None:
        program = tmp_path / "bin" / "nvidia-smi"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\necho '{text}'\nexit {code}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setattr("serving.hardware._torch_version", lambda: "2.13.0")

    return install


def command(settings: Settings) -> tuple[str, dict[str, str], Path]:
    row = ENGINES["transformers"]
    assert row.plan and row.command
    made = row.command(row.plan(settings), 4321, "secret")
    return " ".join(made.argv), made.env, made.cwd


def test_on_a_cpu(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("HEARTH_ENDPOINT_KEY", "sk-mine")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    argv, environment, folder = command(make_settings(model=str(toy)))
    assert "--host 127.0.0.1 --port 4321 --device cpu --dtype float32" in argv
    assert argv.endswith("-- toy") and folder == toy.parent
    assert "secret" not in argv and environment["ENGINE_API_KEY"] == "secret"
    assert environment["HF_HUB_OFFLINE"] == environment["HF_HUB_DISABLE_TELEMETRY"] == "1"
    assert environment["OMP_NUM_THREADS"] == "1"  # more would slow a small model down
    assert "sk-mine" not in environment.values()


def test_a_large_model_gets_all_cores_and_the_user_decides(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr("serving.row._ONE_THREAD_BELOW_BYTES", 1)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert command(make_settings(model=str(toy)))[1]["OMP_NUM_THREADS"] == str(cpu_cores())
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert command(make_settings(model=str(toy)))[1]["OMP_NUM_THREADS"] == "7"


def test_the_bundled_model_by_its_name(
    toy: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.model_source.BUNDLED_FOLDER", toy)
    source = resolve_model("tiny")
    assert source.bundled and source.folder == toy and source.shown == "models/tiny"
    (copy / "model.safetensors").unlink()
    monkeypatch.setattr("serving.model_source.BUNDLED_FOLDER", copy)
    with pytest.raises(InputError, match="The bundled model in models/tiny is not whole") as caught:
        resolve_model("tiny")
    assert "make tiny" in caught.value.fix


@pytest.mark.parametrize(
    ("card", "dtype"), [("Tesla T4, 7.5", "float16"), ("NVIDIA L4, 8.9", "auto")]
)
def test_on_a_gpu(toy: Path, gpu: Callable[..., None], card: str, dtype: str) -> None:
    gpu(card)
    argv, *_ = command(make_settings(model=str(toy)))
    assert f"--device auto --dtype {dtype}" in argv and "--quantization bnb-4bit" in argv
    argv, *_ = command(make_settings(model=str(toy), quantize="none"))
    assert "--quantization" not in argv
    assert find_accelerator().name == card.split(",")[0]


def test_a_quantised_checkpoint_is_left_as_it_is(copy: Path, gpu: Callable[..., None]) -> None:
    gpu("NVIDIA L4, 8.9")
    config = json.loads((copy / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes"}
    (copy / "config.json").write_text(json.dumps(config))
    assert "--quantization" not in command(make_settings(model=str(copy)))[0]
    with pytest.raises(SettingsError, match="quantised already"):
        command(make_settings(model=str(copy), quantize="nf4"))


def test_4_bits_on_a_cpu_for_who_asks_for_them(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    asked = make_settings(model=str(toy), quantize="nf4")
    argv = command(asked)[0]
    assert "--quantization bnb-4bit" in argv and "--device cpu" in argv
    plan = plan_transformers(asked)
    assert "4-bit weights on a CPU" in plan.notes[-1] and plan.title.endswith("in 4 bits on CPU")
    assert "--quantization" not in command(make_settings(model=str(toy)))[0]


def test_4_bits_elsewhere_can_not_be_honoured(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mac = Accelerator("mps", "the Apple GPU", "this is a Mac with Apple silicon")
    monkeypatch.setattr("serving.engines.find_accelerator", lambda: mac)
    with pytest.raises(SettingsError, match="nf4 needs an NVIDIA GPU or a CPU") as caught:
        command(make_settings(model=str(toy), quantize="nf4"))
    assert "Apple" in caught.value.message


def test_a_gpu_that_can_not_be_used_says_why(
    gpu: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu("No devices were found", 6)
    assert find_accelerator().reason == "nvidia-smi finds no GPU: No devices were found"
    gpu("NVIDIA L4, 8.9")
    monkeypatch.setattr("serving.hardware._torch_version", lambda: "2.13.0+cpu")
    assert find_accelerator().kind == "cpu" and "without CUDA" in find_accelerator().reason


def test_a_websocket_needs_the_key_too() -> None:
    sent: list[object] = []

    async def send(message: object) -> None:
        sent.append(message)

    async def app(*_: object) -> None:
        sent.append("let in")

    scope = {"type": "websocket", "path": "/v1/realtime", "headers": []}
    asyncio.run(RequireKey(app, "right")(scope, None, send))
    scope["headers"] = [(b"authorization", b"Bearer right")]
    asyncio.run(RequireKey(app, "right")(scope, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}, "let in"]


# why an engine failed -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("log", "code", "said"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried", 1, "the GPU has too little memory"),
        ("RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate", 1, "this machine has"),
        ("[Errno 98] error while attempting to bind on address", 1, "its port was taken"),
        ("OSError: [Errno 28] No space left on device", 1, "the disk is full"),
        ("GatedRepoError: 403 Client Error", 1, "the model is gated"),
        ("401 Client Error. Repository Not Found for url", 1, "no such model"),
        ("RuntimeError: CUDA error: no kernel image is available", 1, "do not fit together"),
        ("OSError: We couldn't connect to 'https://huggingface.co'", 1, "could not be reached"),
        ("SafetensorError: Error while deserializing header", 1, "files are damaged"),
        ("ModuleNotFoundError: No module named 'torch'", 1, "package is missing"),
        ("", -9, "memory ran out"),
        ("", -11, "SIGSEGV"),
        ("", 3, "code 3"),
        ("", None, "nobody saw why"),
    ],
)
def test_causes_in_words(log: str, code: int | None, said: str) -> None:
    cause = explain(f"INFO: starting\n{log}\nTraceback …", code)
    assert said in cause.what and cause.fix.endswith(".")


@pytest.mark.parametrize(
    ("capability", "compute"), [((7, 5), "float16"), ((8, 0), "bfloat16"), ((12, 0), "bfloat16")]
)
def test_4_bits_are_computed_with_in_a_type_the_card_has(
    capability: tuple[int, int], compute: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from transformers.cli.serving.model_manager import ModelManager

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    manager = type("Manager", (ModelManager,), {})
    compute_with_what_the_card_has(manager)
    asked = manager.__new__(manager)
    asked.quantization = "bnb-4bit"
    config = asked.get_quantization_config()
    assert config.bnb_4bit_compute_dtype == getattr(torch, compute)
    assert config.bnb_4bit_quant_type == "nf4" and config.bnb_4bit_use_double_quant
    asked.quantization = None
    assert asked.get_quantization_config() is None
