"""How vLLM would be started: on named GPUs, without one, and where it is not installed."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from errors import EngineError, InputError, SettingsError
from serving import install, vllm_server
from serving.engines import ENGINES, Command, chosen_engine
from serving.model_source import ModelSource
from serving.plan import named_hardware
from settings import Settings, load_settings

On = Callable[[str], None]
SEVEN = "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B"


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> On:
    """Puts the machine in the place of a named one, with vLLM installed."""
    monkeypatch.setattr("serving.environments.ROOT", tmp_path)
    monkeypatch.setattr(install.Environment, "versions", lambda self: {"vllm": "0.32.0"})
    monkeypatch.setattr(install, "cpu_obstacle", lambda: "")

    def place(name: str) -> None:
        hardware = named_hardware(name)
        monkeypatch.setattr(vllm_server, "look", lambda ask_hub=True: hardware)

    return place


def command(settings: Settings) -> Command:
    row = ENGINES["vllm"]
    assert row.plan and row.command
    return row.command(row.plan(settings), 4321, "secret")


def asked(toy: Path, **more: object) -> Settings:
    return load_settings(**({"engine": "vllm", "model": str(toy)} | more))


@pytest.mark.parametrize(("card", "dtype"), [("t4", "half"), ("l4", "bfloat16")])
def test_on_a_gpu_the_flags_are_the_plans(toy: Path, on: On, card: str, dtype: str) -> None:
    on(card)
    made = command(asked(toy))
    words = " ".join(made.argv)
    assert made.argv[0].endswith(".venv-vllm/bin/python")
    assert f"--model ./{toy.name} --served-model-name {toy.name} --dtype {dtype}" in words
    assert "--host 127.0.0.1 --port 4321" in words and "--gpu-memory-utilization" in words
    assert "secret" not in words and made.env["VLLM_API_KEY"] == "secret"
    assert made.env["PATH"].startswith(str(Path(made.argv[0]).parent))
    assert made.env["HF_HUB_OFFLINE"] == "1" and made.cwd == toy.parent


def test_on_a_cpu_it_is_small_and_only_for_who_names_it(toy: Path, on: On) -> None:
    on("cpu")
    made = command(asked(toy))
    assert made.argv[0].endswith(".venv-vllm-cpu/bin/python")
    assert made.env["VLLM_CPU_KVCACHE_SPACE"] == "1" and "--enforce-eager" in made.argv
    assert chosen_engine(asked(toy, engine="auto")) == "transformers"


def test_auto_is_vllm_where_it_is_installed_for_the_gpu(
    toy: Path, on: On, monkeypatch: pytest.MonkeyPatch
) -> None:
    on("l4")
    assert chosen_engine(asked(toy, engine="auto")) == "vllm"
    assert chosen_engine(asked(toy, engine="auto", model="tiny")) == "transformers"
    elsewhere = {"engine": "auto", "endpoint_url": "http://127.0.0.1:9/v1"}
    assert chosen_engine(asked(toy, **elsewhere)) == "endpoint"
    assert not vllm_server.has_idle_gpu(asked(toy, engine="auto"))
    monkeypatch.setattr(install.Environment, "versions", lambda self: None)
    assert chosen_engine(asked(toy, engine="auto")) == "transformers"
    assert vllm_server.has_idle_gpu(asked(toy, engine="auto"))
    with pytest.raises(EngineError, match="vllm is not installed"):
        command(asked(toy))


def test_a_full_gpu_is_no_error_until_something_must_start(
    toy: Path, on: On, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fills it may be the very engine that is then shared; which one it is stays the same."""
    row = ENGINES["vllm"]
    assert row.plan and row.command
    on("l4")
    free = row.plan(asked(toy))
    hardware = named_hardware("l4")
    full = dataclasses.replace(hardware.gpus[0], free_bytes=1 << 20)
    hardware = dataclasses.replace(hardware, gpus=(full,))
    monkeypatch.setattr(vllm_server, "look", lambda ask_hub=True: hardware)
    plan = row.plan(asked(toy))
    assert plan.options == free.options and free.obstacle is None
    with pytest.raises(EngineError, match=r"does not fit with vLLM .* short by"):
        row.command(plan, 4321, "secret")


def test_4_bits_of_bitsandbytes_are_refused(toy: Path, on: On) -> None:
    on("l4")
    with pytest.raises(SettingsError, match="loads no NF4"):
        command(asked(toy, quantize="nf4"))


def test_a_name_that_begins_with_a_dash(toy: Path, tmp_path: Path, on: On) -> None:
    on("cpu")
    folder = Path(shutil.copytree(toy, tmp_path / "-dash"))
    argv = command(asked(folder)).argv
    assert argv[argv.index("--model") + 1] == "./-dash"
    assert "--served-model-name=-dash" in argv


@pytest.fixture
def vanished(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the hub has the model that the user names, and no quantised checkpoint of it."""

    def resolve(name: str) -> ModelSource:
        if name.startswith("RedHatAI/"):
            raise InputError(f"Hugging Face has no model {name}.", fix="Check HEARTH_MODEL.")
        return ModelSource(name, name, None, from_hub=True)

    monkeypatch.setattr(vllm_server, "resolve_model", resolve)


def test_a_checkpoint_of_the_plan_s_that_vanished_leaves_the_unquantised_one(
    on: On, vanished: None
) -> None:
    on("l4")
    settings = asked(Path(SEVEN))
    assert ENGINES["vllm"].plan is not None
    plan = ENGINES["vllm"].plan(settings)
    assert plan.obstacle is None and plan.loaded_id == SEVEN
    argv = command(settings).argv
    assert argv[argv.index("--model") + 1] == SEVEN
    assert argv[argv.index("--dtype") + 1] == "bfloat16"
    assert f"no longer has RedHatAI/{SEVEN.partition('/')[2]}-FP8-dynamic" in plan.notes[0]


def test_a_checkpoint_that_vanished_is_said_where_nothing_else_fits(on: On, vanished: None) -> None:
    on("t4")
    with pytest.raises(EngineError, match=r"no longer has RedHatAI/.*does not fit") as caught:
        command(asked(Path(SEVEN)))
    assert "short by" in str(caught.value)
    assert "1.5B, which fits" in caught.value.fix and "Check HEARTH_MODEL" not in caught.value.fix
