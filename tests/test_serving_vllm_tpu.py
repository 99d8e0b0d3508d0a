"""How vLLM would be started on a TPU, of which there is none here; experimental."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from errors import EngineError, SettingsError
from serving import install, vllm_server, vllm_tpu
from serving.engines import ENGINES, Command, chosen_engine
from serving.plan import named_hardware
from settings import Settings, load_settings

On = Callable[[str], None]


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> On:
    """Puts the machine in the place of a named one, with vllm-tpu installed."""
    monkeypatch.setattr("serving.environments.ROOT", tmp_path)
    versions = {install.TPU: {"vllm": "0.32.0+tpu"}}
    monkeypatch.setattr(install.Environment, "versions", lambda self: versions.get(self))

    def place(name: str) -> None:
        hardware = named_hardware(name)
        for module in (vllm_server, vllm_tpu):
            monkeypatch.setattr(module, "look", lambda ask_hub=True: hardware)

    return place


def asked(toy: Path, **more: object) -> Settings:
    return load_settings(**({"engine": "vllm-tpu", "model": str(toy)} | more))


def command(settings: Settings) -> Command:
    row = ENGINES["vllm-tpu"]
    assert row.plan and row.command
    return row.command(row.plan(settings), 4321, "secret")


@pytest.mark.parametrize(("tpu", "kind"), [("v6e-1", "v6e-1"), ("v5e-1", "v5litepod-1")])
def test_the_flags_and_variables_are_the_plans(toy: Path, on: On, tpu: str, kind: str) -> None:
    on(tpu)
    made = command(asked(toy))
    words = " ".join(made.argv)
    assert made.argv[0].endswith(".venv-vllm-tpu/bin/python")
    assert "-m vllm.entrypoints.openai.api_server --host 127.0.0.1 --port 4321" in words
    assert f"--model ./{toy.name} --served-model-name {toy.name} --dtype bfloat16" in words
    assert "--max-model-len" in words and "--middleware hearth_key.RequireKey" in words
    assert made.env["TPU_ACCELERATOR_TYPE"] == kind
    assert made.env["TPU_SKIP_MDS_QUERY"] == "1" and made.env["TPU_WORKER_ID"] == "0"
    assert "secret" not in words and made.env["VLLM_API_KEY"] == "secret"


def test_without_a_tpu_it_says_what_to_do(toy: Path, on: On) -> None:
    on("cpu")
    with pytest.raises(SettingsError, match="needs a TPU, and there is none here") as caught:
        command(asked(toy))
    assert "HEARTH_ENGINE to auto" in caught.value.fix
    assert chosen_engine(asked(toy, engine="auto")) == "transformers"
    assert "jax" not in sys.modules, "nothing of it was imported to find that out"


def test_auto_takes_it_where_it_is_installed(
    toy: Path, on: On, monkeypatch: pytest.MonkeyPatch
) -> None:
    on("v6e-1")
    assert chosen_engine(asked(toy, engine="auto")) == "vllm-tpu"
    assert chosen_engine(asked(toy, engine="auto", model="tiny")) == "transformers"
    plan = ENGINES["vllm-tpu"].plan
    assert plan and "experimental" in plan(asked(toy)).notes[0]
    monkeypatch.setattr(install.Environment, "versions", lambda self: None)
    assert chosen_engine(asked(toy, engine="auto")) == "transformers"
    with pytest.raises(EngineError, match="vllm-tpu is not installed") as caught:
        command(asked(toy))
    assert "python -m serving install vllm-tpu" in caught.value.fix


def test_what_does_not_fit_and_what_it_can_not_load(toy: Path, on: On) -> None:
    on("v5e-1")
    with pytest.raises(SettingsError, match="loads no NF4"):
        command(asked(toy, quantize="nf4"))
