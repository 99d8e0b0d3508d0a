"""The table of engines: each way to get a model's replies is one row.

A row with `plan` and `command` is a server that the supervisor runs in a process; a row with
`connect` is a server that runs already. Both speak the OpenAI protocol, so one client serves
all. To add an engine, add a row here; nothing else asks for an engine's name.
"""

import difflib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path

from errors import SettingsError
from serving import llamacpp_server, vllm_tpu, zerogpu
from serving.connect import connect
from serving.hardware import Accelerator, find_accelerator
from serving.model_source import ModelSource, resolve_model
from serving.ports import HOST
from serving.row import (
    Command,
    Endpoint,
    Engine,
    Plan,
    Say,
    answers_health,
    data_type,
    engine_environment,
    local_client,
    threads_for,
)
from serving.vllm_server import PHASES, plan_vllm, takes_it, vllm_command
from settings import BUNDLED_MODEL, Settings

__all__ = [
    "ENGINES",
    "Command",
    "Endpoint",
    "Engine",
    "Plan",
    "Say",
    "answers_health",
    "chosen_engine",
    "engine_row",
    "local_client",
]


def engine_row(name: str, engines: Mapping[str, Engine] | None = None) -> Engine:
    """The row called `name`. Raises SettingsError that lists the valid names."""
    table = ENGINES if engines is None else engines
    if name in table:
        return table[name]
    close = difflib.get_close_matches(name, table, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise SettingsError(
        f"There is no engine {name!r}.{hint}",
        fix=f"Set HEARTH_ENGINE to one of: {', '.join(table)}.",
    )


def chosen_engine(settings: Settings) -> str:
    """The row that the settings mean: `auto` is the engine that the model's plan names, where it
    is installed (vLLM on a GPU, llama.cpp on a CPU or a Mac), and never for the bundled model."""
    if settings.engine != "auto" or settings.endpoint_url or settings.model == BUNDLED_MODEL:
        return settings.resolved_engine
    if llamacpp_server.names_gguf(settings.model):
        return "llamacpp"  # which no other engine loads
    rows = (
        ("zerogpu", zerogpu.takes_it),
        ("vllm", takes_it),
        ("vllm-tpu", vllm_tpu.takes_it),
        ("llamacpp", llamacpp_server.takes_it),
    )
    return next((name for name, takes in rows if takes(settings)), settings.resolved_engine)


# transformers serve ---------------------------------------------------------------------


def plan_transformers(settings: Settings) -> Plan:
    """Check the model and settle device, data type and quantisation. Starts nothing."""
    source = resolve_model(settings.model)
    accelerator = find_accelerator()
    quantize, notes = _quantization(settings, source, accelerator)
    options = {
        "model": str(source.folder if not source.from_hub else source.model_id),
        "files": source.fingerprint,
        "device": accelerator.kind,
        "dtype": data_type(source, accelerator),
        "quantize": quantize,
        "port": str(settings.engine_port),
    }
    notes = [f"on {accelerator.name}: {accelerator.reason}", *notes]
    return Plan(source, accelerator, options, tuple(notes))


def _quantization(
    settings: Settings, source: ModelSource, accelerator: Accelerator
) -> tuple[str, list[str]]:
    if settings.quantize == "none":
        return "none", []
    if settings.quantize == "nf4":
        if accelerator.kind not in ("cuda", "cpu"):
            raise SettingsError(
                f"Setting quantize: nf4 needs an NVIDIA GPU or a CPU, and this is "
                f"{accelerator.name} ({accelerator.reason}).",
                fix="Set HEARTH_QUANTIZE to auto or none.",
            )
        if source.quantized:
            raise SettingsError(
                f"Setting quantize: {source.shown} is quantised already.",
                fix="Set HEARTH_QUANTIZE to auto or none.",
            )
        slow = "4-bit weights on a CPU save memory and cost time: each token unpacks them all"
        return "nf4", [slow] if accelerator.kind == "cpu" else []
    if accelerator.kind != "cuda" or source.bundled or source.quantized:
        return "none", []
    if importlib.util.find_spec("bitsandbytes") is None:
        return "none", ["not in 4 bits: bitsandbytes is not installed"]
    return "nf4", ["4-bit weights (NF4), as the setting quantize is auto"]


def transformers_command(plan: Plan, port: int, key: str) -> Command:
    """`transformers serve` for `plan`, through `transformers_server.py`, which says why.

    - The model is named on the command line: loaded before the port opens, never unloaded,
      and the only one the server answers for; requests must name it exactly.
    - A folder goes by its bare name from its parent: what comes after an @ in a path would be
      read as a revision, and clients need not see the machine's paths.
    - No continuous batching: it applies the first request's temperature to all others.
    """
    source = plan.source
    local = source.folder is not None
    argv = [
        sys.executable,
        "-P",  # the working folder must not shadow a package
        str(Path(__file__).with_name("transformers_server.py")),
        *("--host", HOST, "--port", str(port)),
        *("--device", "auto" if plan.options["device"] != "cpu" else "cpu"),
        *("--dtype", plan.options["dtype"]),
        *("--model-timeout", "-1"),
    ]
    if plan.options["quantize"] == "nf4":
        argv += ["--quantization", "bnb-4bit"]
    argv += ["--", source.model_id]  # a folder's name may begin with a dash
    env = engine_environment(offline=local, key=key, threads=threads_for(source))
    folder = source.folder.parent if source.folder and not source.from_hub else Path("/")
    return Command(argv, env, folder)


def connect_endpoint(settings: Settings, say: Say) -> Endpoint:
    """Check that `endpoint_url` is an OpenAI-compatible server that has the model.

    Raises EngineError when it can't be reached, is no such server, refuses the key or doesn't
    have the model.
    """
    model = "" if settings.model == BUNDLED_MODEL else settings.model
    key = settings.endpoint_key.get_secret_value()
    return connect(settings.endpoint_url, key, model, say, tolerated=BUNDLED_MODEL)


ENGINES: dict[str, Engine] = {
    "transformers": Engine(
        name="transformers",
        about="A local server (transformers serve) that Hearth starts: the bundled model, a "
        "folder, or a Hugging Face model; 4-bit on NVIDIA GPUs; one request at a time.",
        takes_key=True,
        plan=plan_transformers,
        command=transformers_command,
        ready=answers_health,
        phases=(
            ("", "starting Python and torch"),
            ("Loading ", "loading weights"),
            ("Started server process", "opening its port"),
        ),
    ),
    "vllm": Engine(
        name="vllm",
        about="A local vLLM server that Hearth starts, from an environment of its own (`python -m "
        "serving install vllm`): many requests at once, a bounded thinking, a prefix cache.",
        takes_key=True,
        plan=plan_vllm,
        command=vllm_command,
        ready=answers_health,
        phases=PHASES,
    ),
    "llamacpp": llamacpp_server.ROW,
    "zerogpu": zerogpu.ROW,
    "vllm-tpu": vllm_tpu.ROW,
    "endpoint": Engine(
        name="endpoint",
        about="A server that runs already: any OpenAI-compatible address (vLLM, llama.cpp, a "
        "provider), set with endpoint_url and endpoint_key.",
        takes_key=True,
        connect=connect_endpoint,
    ),
}
