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

import httpx

from errors import EngineError, SettingsError
from serving.faults import shown_address
from serving.hardware import Accelerator, find_accelerator
from serving.model_source import ModelSource, resolve_model
from serving.ports import HOST, LOOPBACK
from serving.row import (
    Command,
    Endpoint,
    Engine,
    Plan,
    Say,
    answers_health,
    data_type,
    engine_environment,
    listed_ids,
    local_client,
    threads_for,
)
from serving.vllm_server import plan_vllm, takes_it, vllm_command
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
    """The row that the settings mean: `auto` is vLLM where it is installed for this machine's
    GPU and the model's plan names it, and never for the bundled model."""
    named = settings.engine != "auto" or settings.endpoint_url
    if not named and settings.model != BUNDLED_MODEL and takes_it(settings):
        return "vllm"
    return settings.resolved_engine


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
        if accelerator.kind != "cuda":
            raise SettingsError(
                f"Setting quantize: nf4 needs an NVIDIA GPU, and there is none here "
                f"({accelerator.reason}).",
                fix="Set HEARTH_QUANTIZE to auto or none.",
            )
        if source.quantized:
            raise SettingsError(
                f"Setting quantize: {source.shown} is quantised already.",
                fix="Set HEARTH_QUANTIZE to auto or none.",
            )
        return "nf4", []
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


# a server that runs already ---------------------------------------------------------------


def connect_endpoint(settings: Settings, say: Say) -> Endpoint:
    """Check that `endpoint_url` is an OpenAI-compatible server that has the model.

    Raises EngineError when it can't be reached, is no such server, refuses the key or doesn't
    have the model.
    """
    key = settings.endpoint_key.get_secret_value()
    base, ids = _list_models(settings.endpoint_url, key)
    shown = shown_address(base)
    if not ids:
        raise EngineError(
            f"The server at {shown} lists no models.", fix="Load a model there, then try again."
        )
    notice = ""
    if settings.model == BUNDLED_MODEL and BUNDLED_MODEL not in ids:
        model = ids[0]
        others = f" (the first of {len(ids)})" if len(ids) > 1 else ""
        notice = f"No model is named, so it is the server's {model}{others}."
        say(notice)
    elif settings.model in ids:
        model = settings.model
    else:
        close = difflib.get_close_matches(settings.model, ids, n=1)
        hint = f"Did you mean {close[0]}? " if close else ""
        more = f" and {len(ids) - 8} more" if len(ids) > 8 else ""
        raise EngineError(
            f"The server at {shown} has no model {settings.model}.",
            fix=f"{hint}Set HEARTH_MODEL to one of: {', '.join(ids[:8])}{more}.",
        )
    say(f"{model} answers at {shown}")
    return Endpoint(base, key, model, "endpoint", None, notice)


def _list_models(url: str, key: str) -> tuple[str, list[str]]:
    """The address that works (the user may have left out /v1) and its models."""
    bases = [url] if url.endswith("/v1") else [url, f"{url}/v1"]
    headers = {"authorization": f"Bearer {key}"} if key else {}
    outside = httpx.URL(url).host not in LOOPBACK
    seen = ""
    with httpx.Client(trust_env=outside, timeout=15, headers=headers) as client:
        for base in bases:
            try:
                reply = client.get(f"{base}/models")
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise EngineError(
                    f"Nothing answers at {shown_address(url)} ({_reason(error)}).",
                    fix="Check HEARTH_ENDPOINT_URL, and that the server runs and can be reached.",
                ) from None
            if reply.status_code in (401, 403):
                problem = "refuses the key" if key else "asks for a key"
                raise EngineError(
                    f"The server at {shown_address(url)} {problem} ({reply.status_code}).",
                    fix="Set HEARTH_ENDPOINT_KEY to a key that it accepts.",
                )
            seen = f"{shown_address(base)}/models {_gave(reply)}"
            try:
                if reply.status_code == 200:
                    return base, listed_ids(reply)
            except ValueError:
                continue
    raise EngineError(
        f"What answers at {shown_address(url)} is no OpenAI-compatible server ({seen}).",
        fix="Set HEARTH_ENDPOINT_URL to the address that ends in /v1.",
    )


def _gave(reply: httpx.Response) -> str:
    # A redirect isn't followed: requests for replies, with their key, would not be either.
    if reply.has_redirect_location:
        return f"redirects to {shown_address(reply.headers['location'])}"
    return f"gave {reply.status_code}"


def _reason(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


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
        phases=(
            ("", "starting Python and vLLM"),
            ("Starting to load model", "loading weights"),
            ("Loading weights took", "making the cache and warming up"),
            ("Capturing CUDA graph", "capturing CUDA graphs"),
            ("Starting vLLM server", "opening its port"),
        ),
    ),
    "endpoint": Engine(
        name="endpoint",
        about="A server that runs already: any OpenAI-compatible address (vLLM, llama.cpp, a "
        "provider), set with endpoint_url and endpoint_key.",
        takes_key=True,
        connect=connect_endpoint,
    ),
}
