"""How llama.cpp would be started: whose server, on which machine, with which arguments."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from errors import EngineError, InputError, SettingsError
from serving import install, llamacpp_server
from serving.engines import ENGINES, Command, chosen_engine
from serving.gguf_source import GgufSource
from serving.hub_files import HubFile
from serving.in_llamacpp import hearth_llama
from serving.model_source import ModelSource
from serving.plan import named_hardware
from settings import Settings, load_settings
from tests.gguf_help import small_gguf

DISTILL = "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B"
SHAPE = {
    "qwen2__block_count": 28,
    "qwen2__embedding_length": 3584,
    "qwen2__context_length": 131072,
    "qwen2__feed_forward_length": 18944,
    "qwen2__attention__head_count": 28,
    "qwen2__attention__head_count_kv": 4,
}
HELP = """usage: llama-server [options]
-a,    --alias STRING                   set alias for model name
-c,    --ctx-size N                     size of the prompt context
--jinja, --no-jinja                     use jinja template
--reasoning-format FORMAT               how thoughts are extracted
-m,    --model FNAME                    model path
--host HOST   --port PORT   -t,    --threads N   -np,   --parallel N
"""


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Puts the machine in the place of a named one, with the package installed, no program."""
    versions = lambda self: {"xllamacpp": "1"}  # noqa: E731
    monkeypatch.setattr(install.Environment, "versions", versions)
    monkeypatch.setattr("serving.environments.ROOT", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))

    def place(name: str) -> None:
        hardware = named_hardware(name)
        monkeypatch.setattr(llamacpp_server, "look", lambda ask_hub=True: hardware)
        monkeypatch.setattr("serving.vllm_server.look", lambda ask_hub=True: hardware)

    return place


def program(folder: Path, text: str = HELP, code: int = 0) -> Path:
    """A `llama-server` on the path that says `text` when asked for help."""
    path = folder / "bin" / "llama-server"
    path.write_text(f"#!{sys.executable}\nimport sys\nprint({text!r})\nsys.exit({code})\n")
    path.chmod(0o755)
    return path


def settings(file: Path | str, **more: object) -> Settings:
    return load_settings(**({"engine": "llamacpp", "model": str(file)} | more))


def command(given: Settings) -> Command:
    row = ENGINES["llamacpp"]
    assert row.plan and row.command
    return row.command(row.plan(given), 4321, "secret")


def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub has every repository, and lists one file in it."""

    def resolve(name: str) -> GgufSource:
        files = (HubFile("x-Q4_K_M.gguf", 1 << 30, "a"),)
        source = ModelSource(name, name, None, True, weight_bytes=1 << 30, files=files)
        return GgufSource(source, None, name.partition(":")[0], None)

    monkeypatch.setattr(llamacpp_server, "resolve_gguf", resolve)


def test_the_packages_server_with_the_plans_arguments(
    on: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on("cpu")
    monkeypatch.setenv("LLAMA_ARG_CTX_SIZE", "5")
    monkeypatch.setenv("HEARTH_ENDPOINT_KEY", "sk-mine")
    made = command(settings(small_gguf(tmp_path / "x.gguf", **SHAPE)))
    words = " ".join(made.argv)
    assert made.argv[0].endswith(".venv-llamacpp/bin/python")
    assert made.argv[1:3] == ["-P", str(llamacpp_server._SCRIPT)]
    assert f"--model {tmp_path / 'x.gguf'} --alias x --ctx-size 16384 --parallel 1" in words
    assert "--host 127.0.0.1 --port 4321" in words and "--n-gpu-layers" not in words
    assert "secret" not in words and made.env["LLAMA_API_KEY"] == "secret"
    assert not {"LLAMA_ARG_CTX_SIZE", "ENGINE_API_KEY", "PYTHONPATH"} & made.env.keys()
    assert "sk-mine" not in made.env.values() and made.env["HF_HUB_OFFLINE"] == "1"
    on("mac")
    assert "--n-gpu-layers 99" in " ".join(command(settings(tmp_path / "x.gguf")).argv)


def test_the_script_reads_what_the_plan_says(on: Callable[[str], None], tmp_path: Path) -> None:
    on("mac")
    made = command(settings(small_gguf(tmp_path / "-x y.gguf", **SHAPE)))
    given = hearth_llama.arguments(made.argv[3:])
    assert (given.alias, given.ctx_size, given.parallel) == ("-x y", 16384, 1)
    assert (given.n_gpu_layers, given.cache_ram, given.threads) == (99, 0, None)
    assert (given.host, given.port, given.reasoning_format) == ("127.0.0.1", 4321, None)
    assert given.model == str(tmp_path / "-x y.gguf") and given.no_webui and given.jinja
    with pytest.raises(SystemExit):
        hearth_llama.arguments(["--model", "x", "--mlock"])


def test_another_context_is_another_engine(on: Callable[[str], None], tmp_path: Path) -> None:
    on("cpu")
    file = small_gguf(tmp_path / "x.gguf", **SHAPE)
    plan = ENGINES["llamacpp"].plan
    assert plan is not None
    usual, short = plan(settings(file)), plan(settings(file, engine_context=512))
    assert "512" in short.arguments and usual.options != short.options
    assert usual.options == plan(settings(file)).options


def test_a_program_on_the_path_goes_first_without_what_it_lacks(
    on: Callable[[str], None], tmp_path: Path
) -> None:
    on("cpu")
    path = program(tmp_path)
    made = command(settings(small_gguf(tmp_path / "x.gguf", **SHAPE)))
    assert made.argv[0] == str(path) and "--alias x" in " ".join(made.argv)
    assert "--jinja" in made.argv and "--cache-ram" not in made.argv and "0" not in made.argv
    assert "--no-webui" not in made.argv


@pytest.mark.parametrize("text", ["usage: llama-server --model M", ""])
def test_a_program_that_is_too_old_is_passed_over(
    text: str, on: Callable[[str], None], tmp_path: Path
) -> None:
    on("cpu")
    program(tmp_path, text, code=1)
    assert "llamacpp" in command(settings(small_gguf(tmp_path / "x.gguf", **SHAPE))).argv[0]


def test_neither_is_no_error_until_something_must_start(
    on: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on("cpu")
    monkeypatch.setattr(install.Environment, "versions", lambda self: None)
    given = settings(small_gguf(tmp_path / "x.gguf", **SHAPE))
    row = ENGINES["llamacpp"]
    assert row.plan and row.plan(given).obstacle is not None
    with pytest.raises(EngineError, match="llamacpp is not installed") as caught:
        command(given)
    assert "python -m serving install llamacpp" in caught.value.fix
    assert "brew install llama.cpp" in caught.value.fix


def test_what_it_can_not_run_says_what_to_do(
    on: Callable[[str], None], toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on("cpu")
    with pytest.raises(SettingsError, match="bundled model is no GGUF"):
        command(settings("tiny"))
    with pytest.raises(SettingsError, match="no NF4"):
        command(settings(DISTILL, quantize="nf4"))
    with pytest.raises(InputError, match="Nothing here can serve"):
        command(settings(toy))
    known(monkeypatch)
    monkeypatch.setattr(llamacpp_server, "_BESIDE_WEIGHTS", 1 << 40)
    with pytest.raises(EngineError, match=r"org/x-GGUF does not fit: its weights are 1\.0 GiB"):
        command(settings("org/x-GGUF"))
    with pytest.raises(EngineError, match=r"does not fit with llama\.cpp .* short by") as caught:
        command(settings("deepseek-ai/DeepSeek-R1-Distill-Qwen-32B"))
    assert "HEARTH_MODEL to deepseek-ai/DeepSeek-R1-Distill-Qwen-14B" in caught.value.fix


def test_a_model_of_the_hub_is_its_gguf_repository_under_its_own_name(
    on: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    on("cpu")
    known(monkeypatch)
    row = ENGINES["llamacpp"]
    assert row.plan
    plan = row.plan(settings(DISTILL))
    assert plan.loaded_id == "unsloth/DeepSeek-R1-Distill-Qwen-7B-GGUF"
    assert plan.source.model_id == DISTILL and plan.source.folder is None
    assert [file.name for file in plan.source.files] == ["x-Q4_K_M.gguf"], "to be downloaded first"
    assert f"--alias {DISTILL} --ctx-size 16384" in " ".join(plan.arguments)
    plan = row.plan(settings("org/x-GGUF:Q4_K_M"))  # of no known shape
    assert "--alias org/x-GGUF:Q4_K_M --ctx-size 16384" in " ".join(plan.arguments)


def test_auto_is_llama_cpp_for_gguf_and_where_the_plan_names_it(
    on: Callable[[str], None], tmp_path: Path, toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on("cpu")
    file = small_gguf(tmp_path / "x.gguf", **SHAPE)

    def auto(model: Path | str, **more: object) -> str:
        return chosen_engine(settings(model, engine="auto", **more))

    assert auto(file) == auto(DISTILL) == "llamacpp"
    assert auto("tiny") == auto(toy) == "transformers"
    assert auto(DISTILL, quantize="none") == "transformers"
    assert auto(DISTILL, endpoint_url="http://127.0.0.1:9/v1") == "endpoint"
    weights = tmp_path / "hub" / f"models--{DISTILL.replace('/', '--')}" / "snapshots" / "a"
    weights.mkdir(parents=True)
    (weights / "model.safetensors").touch()
    assert auto(DISTILL) == "transformers", "what is here already is not downloaded once more"
    monkeypatch.setattr(install.Environment, "versions", lambda self: None)
    assert auto(file) == "llamacpp", "no other engine loads it"
    on("l4")
    assert auto(file) == "llamacpp"
