"""The row `vllm`: how a vLLM server is planned and started, from an environment of its own.

On an NVIDIA GPU its flags are those of the serving plan (`python -m serving plan`), which may
load a quantised checkpoint under the name that was asked for. On a CPU it runs only when it is
named: PyPI's CPU build is a third party's, and good for small models and for tests.

Seen in vLLM 0.32, by running it: the server is `python -m vllm.entrypoints.openai.api_server`,
as the `vllm` command of the CPU build looks for package metadata under another name; the key
is taken from VLLM_API_KEY and asked for on /v1 only: serving/in_vllm asks for it elsewhere.
"""

import dataclasses
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from errors import EngineError, HearthError, InputError, SettingsError
from serving import install
from serving.hardware import Accelerator, Hardware, look
from serving.model_source import ModelSource, resolve_model
from serving.plan import ServingPlan, Wishes, make_plan
from serving.plan.flags import thinking_flags
from serving.plan.result import gib
from serving.plan.source import Found, find_model, on_disk
from serving.ports import HOST
from serving.row import Command, Plan, data_type, engine_environment, threads_for
from serving.smaller import wishes_of
from settings import BUNDLED_MODEL, Settings

_IN_VLLM = Path(__file__).with_name("in_vllm")
_CPU_CACHE_GIB = 1  # of main memory for the KV cache
_CPU_SEQUENCES = 32
# Tokens in a block of the cache: the fewest that the CPU's attention takes. Only whole blocks are
# found again; with vLLM's 128 for CPUs a step of a small model's run would lose a fifth of itself.
_CPU_BLOCK = 32
_EAGER_BELOW_BYTES = 100 << 20
_ENVIRONMENTS = {"cuda": install.CUDA, "cpu": install.CPU, "tpu": install.TPU}
PHASES = (
    ("", "starting Python and vLLM"),
    ("Starting to load model", "loading weights"),
    ("Loading weights took", "making the cache and warming up"),
    ("Capturing CUDA graph", "capturing CUDA graphs"),
    ("Starting vLLM server", "opening its port"),
)


def plan_vllm(settings: Settings) -> Plan:
    """Check the model and the environment, and settle the flags. Starts nothing.

    Raises InputError, SettingsError or EngineError for what can't be at all. What only can't be
    now (not installed, no room beside what runs) is the plan's `obstacle`.
    """
    refuse_nf4(settings)
    source = resolve_model(settings.model)
    hardware = look(ask_hub=False)
    if hardware.gpus:
        return _on_gpu(settings, source, hardware)
    return _on_cpu(settings, source, hardware)


def refuse_nf4(settings: Settings) -> None:
    """Raise SettingsError for 4-bit weights that vLLM can't load."""
    if settings.quantize == "nf4":
        raise SettingsError(
            "Setting quantize: vLLM loads no NF4 weights (bitsandbytes left it with 0.28).",
            fix="Set HEARTH_QUANTIZE to auto or none, or HEARTH_ENGINE to transformers.",
        )


def takes_it(settings: Settings) -> bool:
    """Whether vLLM is installed for this machine's GPU, and what the model's plan names."""
    return install.CUDA.versions() is not None and is_planned(settings, "vllm", _has_gpu)


def has_idle_gpu(settings: Settings) -> bool:
    """Whether the model's plan names vLLM on this machine's GPU, and it is not installed."""
    if settings.model == BUNDLED_MODEL or settings.endpoint_url:
        return False
    return install.CUDA.versions() is None and is_planned(settings, "vllm", _has_gpu)


def _has_gpu(hardware: Hardware) -> bool:
    return bool(hardware.gpus)


def is_planned(settings: Settings, engine: str, has: Callable[[Hardware], bool]) -> bool:
    """Whether the model's plan names `engine` on this machine, which must have what it runs on."""
    hardware = look(ask_hub=False)
    if not has(hardware):
        return False
    try:
        shape = _found(settings, hardware).shape
        planned = make_plan(hardware, shape, wishes(settings, None), have=on_disk)
    except HearthError:
        return False
    return planned.fits and planned.engine == engine


def wishes(settings: Settings, engine: str | None) -> Wishes:
    """What the settings ask of a plan."""
    return wishes_of(settings, engine, "bf16" if settings.quantize == "none" else None)


def _found(settings: Settings, hardware: Hardware) -> Found:
    return find_model(settings.model, settings.model, lambda: hardware.hub)


def _on_gpu(settings: Settings, source: ModelSource, hardware: Hardware) -> Plan:
    shape = _found(settings, hardware).shape

    def planned(asked: Settings) -> ServingPlan:
        wish = wishes(asked, "vllm")
        return make_plan(hardware, shape, wish, have=on_disk, served_as=source.model_id)

    serving, gpu = planned(settings), hardware.gpus[0]
    loaded, checkpoint, gone = source, "", ""
    if serving.checkpoint not in (source.model_id, str(source.folder)) and source.from_hub:
        try:
            loaded = _named(resolve_model(serving.checkpoint), source)
            checkpoint = serving.checkpoint
        except InputError:  # no fault of the user's, who named another
            gone = f"Hugging Face no longer has {serving.checkpoint}, the plan's quantised weights."
            serving = planned(settings.model_copy(update={"quantize": "none"}))
    too_large = does_not_fit(serving, "vLLM")
    if too_large is not None and gone:
        too_large.message = f"{gone} {too_large.message}"
    return Plan(
        loaded,
        Accelerator("cuda", gpu.name, gpu.reason, gpu.capability),
        # Not the flags: they go by the memory that is free, which an engine that runs has taken.
        identity(settings, source, "cuda") | {"quantize": settings.quantize},
        (*filter(None, [gone]), *serving.reasons),
        checkpoint=checkpoint,
        arguments=tuple(serving.arguments),
        environment={flag.name: flag.value for flag in serving.environment},
        obstacle=install.obstacle(install.CUDA) or too_large,
    )


def _named(loaded: ModelSource, asked: ModelSource) -> ModelSource:
    """Another checkpoint of a model, under the name of the one that was asked for."""
    return dataclasses.replace(loaded, model_id=asked.model_id)


def does_not_fit(serving: ServingPlan, title: str) -> HearthError | None:
    """The error for a plan that does not fit, with what fits; None for one that does."""
    if serving.fits:
        return None
    smaller = f"Set HEARTH_MODEL to {serving.next.model}, which fits, or s" if serving.next else "S"
    return EngineError(
        f"{serving.model} does not fit with {title} on {serving.device}: {serving.lacks} is short "
        f"by {gib(serving.shortfall_bytes)}.",
        fix=f"{smaller}ee `python -m serving plan --engine {serving.engine} "
        f"--model {serving.model}`.",
    )


def identity(settings: Settings, source: ModelSource, device: str) -> dict[str, str]:
    """What two apps must have in common to share an engine."""
    return {
        "model": str(source.folder if not source.from_hub else source.model_id),
        "files": source.fingerprint,
        "device": device,
        "port": str(settings.engine_port),
        "context": str(settings.engine_context or ""),
        "spare": f"{settings.engine_spare_gb:g}",
    }


def _on_cpu(settings: Settings, source: ModelSource, hardware: Hardware) -> Plan:
    cannot = install.cpu_obstacle()
    if cannot:
        raise SettingsError(
            f"Setting engine: there is no NVIDIA GPU here ({hardware.gpu_reason}), and {cannot}.",
            fix="Set HEARTH_ENGINE to auto, or HEARTH_ENDPOINT_URL to a vLLM elsewhere.",
        )
    accelerator = Accelerator("cpu", "CPU", hardware.gpu_reason)
    dtype = data_type(source, accelerator)
    arguments = [
        f"--served-model-name={source.model_id}",  # a name may begin with a dash
        *("--dtype", dtype),
        # auto: the longest whose cache fits, at most the model's own
        *("--max-model-len", str(settings.engine_context or "auto")),
        *("--max-num-seqs", str(_CPU_SEQUENCES)),
        *("--block-size", str(_CPU_BLOCK)),
        "--enable-prompt-tokens-details",  # how much of a prompt came from the prefix cache
    ]
    for flag in thinking_flags(_found(settings, hardware).shape, source.model_id):
        arguments += flag.words
    if source.weight_bytes < _EAGER_BELOW_BYTES or shutil.which("g++") is None:
        # To compile takes a compiler, and for a small model longer than it ever saves.
        arguments.append("--enforce-eager")
    return Plan(
        source,
        accelerator,
        identity(settings, source, "cpu") | {"dtype": dtype},
        (f"on CPU: {hardware.gpu_reason}",),
        arguments=tuple(arguments),
        environment={"VLLM_CPU_KVCACHE_SPACE": str(_CPU_CACHE_GIB)},
        obstacle=install.obstacle(install.CPU),
    )


def vllm_command(plan: Plan, port: int, key: str) -> Command:
    """The server for `plan`. Raises its obstacle, if there is one.

    A folder goes by its name from its parent, as clients need not see the machine's paths.
    """
    if plan.obstacle is not None:
        raise plan.obstacle
    python = install.require(_ENVIRONMENTS[plan.options["device"]])
    source = plan.source
    local = source.folder is not None
    argv = [
        str(python),
        "-P",  # the working folder must not shadow a package
        *("-m", "vllm.entrypoints.openai.api_server"),
        *("--host", HOST, "--port", str(port)),
        *_model(plan),
        *plan.arguments,
        *("--middleware", "hearth_key.RequireKey"),
        "--disable-uvicorn-access-log",  # it would push what matters out of the log's end
    ]
    env = engine_environment(offline=local, key=key, threads=threads_for(source))
    env |= {
        "VLLM_API_KEY": key,
        "PYTHONPATH": str(_IN_VLLM),  # the user's own is for another Python
        "VLLM_NO_USAGE_STATS": "1",
        "PATH": os.pathsep.join([str(python.parent), env.get("PATH", os.defpath)]),
        **plan.environment,
    }
    del env["ENGINE_API_KEY"]
    folder = source.folder.parent if source.folder and not source.from_hub else Path("/")
    return Command(argv, env, folder)


def _model(plan: Plan) -> list[str]:
    source = plan.source
    if source.folder is not None and not source.from_hub:
        return ["--model", f"./{source.folder.name}"]  # a name may begin with a dash
    repo, _, revision = plan.loaded_id.partition("@")
    return ["--model", repo, *(["--revision", revision] if revision else [])]
