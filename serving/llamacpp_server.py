"""The row `llamacpp`: GGUF models on a CPU or an Apple GPU, by llama.cpp's own server.

The server is the program `llama-server`, where one that knows the arguments is on the PATH, as
that may be built for this very machine; else the same server out of the package `xllamacpp`,
in an environment of its own (serving/in_llamacpp). Its arguments are those of the serving plan.
The key travels in LLAMA_API_KEY; llama.cpp asks for it on every path but /health.
"""

import contextlib
import dataclasses
import functools
import os
import shutil
import subprocess
from pathlib import Path

from errors import EngineError, HearthError, SettingsError
from serving import install
from serving.gguf_source import GgufSource, names_gguf, resolve_gguf
from serving.hardware import Accelerator, Hardware, look
from serving.plan import ServingPlan, make_plan
from serving.plan.devices import devices
from serving.plan.gguf import UnknownShape, shape_of
from serving.plan.result import gib
from serving.plan.shapes import Shape
from serving.plan.sizes import BASE_CONTEXT
from serving.plan.source import find_model, on_disk
from serving.ports import HOST
from serving.row import Command, Engine, Plan, answers_health, engine_environment, threads_for
from serving.smaller import wishes_of
from serving.vllm_server import does_not_fit, identity
from settings import BUNDLED_MODEL, Settings

PROGRAM = "llama-server"
_SCRIPT = Path(__file__).with_name("in_llamacpp") / "hearth_llama.py"
# Without these a program is too old to be used; without the others it starts all the same.
_NEEDED = ("--alias", "--ctx-size", "--jinja", "--reasoning-format")
_BESIDE_WEIGHTS = 1 << 30  # bytes: cache and buffers of a model whose shape isn't known yet


def plan_llamacpp(settings: Settings) -> Plan:
    """Check the model, find the server, and settle the arguments. Starts nothing.

    Raises InputError, SettingsError or EngineError for what can't be at all. What only can't be
    now (not installed, no memory) is the plan's `obstacle`.
    """
    if settings.quantize == "nf4":
        raise SettingsError(
            "Setting quantize: llama.cpp loads no NF4 weights.",
            fix="Set HEARTH_QUANTIZE to auto, or HEARTH_ENGINE to transformers.",
        )
    if settings.model == BUNDLED_MODEL:
        raise SettingsError(
            "Setting engine: the bundled model is no GGUF file, and llama.cpp runs nothing else.",
            fix="Set HEARTH_ENGINE to auto, or HEARTH_MODEL to a GGUF model.",
        )
    hardware = look(ask_hub=False)
    if names_gguf(settings.model):
        found, serving = resolve_gguf(settings.model), None
        with contextlib.suppress(UnknownShape):  # of a model that has yet to be downloaded
            serving = _plan_of(settings, hardware, shape_of(found), found.source.model_id)
    else:
        named = find_model(settings.model, settings.model, lambda: hardware.hub)
        serving = _plan_of(settings, hardware, named.shape, settings.model)
        found = resolve_gguf(serving.checkpoint)
        source = dataclasses.replace(found.source, model_id=settings.model, shown=settings.model)
        found = dataclasses.replace(found, source=source)
    return _plan(settings, hardware, found, serving)


def takes_it(settings: Settings) -> bool:
    """Whether `auto` means this engine for a model that has other forms than GGUF: where it is
    installed and the model's plan names it, unless one of those is on this machine already."""
    if settings.quantize != "auto" or _server_obstacle() is not None:
        return False
    try:
        hardware = look(ask_hub=False)
        found = find_model(settings.model, settings.model, lambda: hardware.hub)
        plan = make_plan(hardware, found.shape, have=on_disk, served_as=found.served_as)
    except HearthError:
        return False
    fits = plan.fits and plan.engine == "llamacpp"
    return fits and (on_disk(plan.checkpoint) or not on_disk(settings.model))


def _plan_of(settings: Settings, hardware: Hardware, shape: Shape, served_as: str) -> ServingPlan:
    wishes = wishes_of(settings, "llamacpp")
    return make_plan(hardware, shape, wishes, have=on_disk, served_as=served_as)


def _plan(
    settings: Settings, hardware: Hardware, found: GgufSource, serving: ServingPlan | None
) -> Plan:
    device = next(d for d in devices(hardware) if d.kind in ("metal", "cpu"))
    source = found.source
    arguments, notes, short = _arguments(found, serving, hardware), [], None
    if serving is not None:
        notes, short = list(serving.reasons), does_not_fit(serving, "llama.cpp")
    elif source.weight_bytes + _BESIDE_WEIGHTS > device.free_bytes:
        short = _too_large(found, device.free_bytes)
    return Plan(
        source,
        Accelerator(device.kind, "Apple GPU" if device.kind == "metal" else "CPU", "llama.cpp"),
        # Not the arguments: they go by the memory that is free.
        identity(settings, source, device.kind) | {"model": str(found.file or source.model_id)},
        tuple(notes),
        checkpoint=f"{found.repo}@{found.revision}" if found.revision else found.repo,
        arguments=arguments,
        obstacle=_server_obstacle() or short,
    )


def _arguments(
    found: GgufSource, serving: ServingPlan | None, hardware: Hardware
) -> tuple[str, ...]:
    """The plan's; for a file that isn't here yet, and so of no known shape, what suits most."""
    model = ("--model", str(found.file or found.source.model_id))
    if serving is None:
        metal = ("--n-gpu-layers", "99") if hardware.apple else ()
        given = [
            *("--alias", found.source.model_id),
            *("--ctx-size", str(BASE_CONTEXT), "--parallel", "1", "--cache-ram", "0"),
            *("--threads", str(threads_for(found.source)), *metal),
            *("--reasoning-format", "deepseek"),
        ]
        return (*model, *given)
    given = list(serving.arguments)
    if "--threads" in given:  # a small model is quicker with one than with all
        given[given.index("--threads") + 1] = str(threads_for(found.source))
    return (*model, *given)


def _too_large(found: GgufSource, free: int) -> HearthError:
    return EngineError(
        f"{found.source.shown} does not fit: its weights are {gib(found.source.weight_bytes)} and "
        f"{gib(free)} of memory are free.",
        fix="Take a smaller quantisation, such as :Q4_K_M, or a smaller model.",
    )


# the server


def server_words() -> list[str]:
    """The command that begins the server's: the program on the PATH, or the package's.

    Raises EngineError where there is neither.
    """
    program = shutil.which(PROGRAM)
    if program is not None and _is_new_enough(program):
        return [program]
    return [str(install.require(install.LLAMACPP)), "-P", str(_SCRIPT)]


def _server_obstacle() -> HearthError | None:
    try:
        server_words()
    except HearthError as error:
        return error
    return None


@functools.lru_cache(maxsize=4)
def _help(program: str, changed: float) -> str:
    """What a llama-server says of its arguments; empty where it can't be run."""
    try:
        done = subprocess.run(
            [program, "--help"], capture_output=True, text=True, timeout=30, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr


def _help_of(program: str) -> list[str]:
    try:
        return _help(program, Path(program).stat().st_mtime).replace(",", " ").split()
    except OSError:
        return []


def _is_new_enough(program: str) -> bool:
    known = _help_of(program)
    return all(name in known for name in _NEEDED)


def llamacpp_command(plan: Plan, port: int, key: str) -> Command:
    """The server for `plan`, whose file is here by now. Raises its obstacle."""
    if plan.obstacle is not None:
        raise plan.obstacle
    server = server_words()
    given = ["--host", HOST, "--port", str(port), *plan.arguments, "--jinja", "--no-webui"]
    if len(server) == 1:
        given = _known(given, _help_of(server[0]))
    argv = [*server, *given]
    threads = threads_for(plan.source)
    env = engine_environment(offline=True, key=key, threads=threads)
    env["LLAMA_API_KEY"] = env.pop("ENGINE_API_KEY")
    for name in [name for name in env if name.startswith("LLAMA_ARG_")]:
        del env[name]  # the user's own, for llama-servers that they start by hand
    env.pop("PYTHONPATH", None)  # for another Python
    return Command(argv, env, Path(os.sep))


def _known(words: list[str], known: list[str]) -> list[str]:
    """The arguments without those that this llama-server has not got."""
    kept: list[str] = []
    for word in words:
        if word.startswith("--"):
            skip = word not in known
        if not skip:
            kept.append(word)
    return kept


ROW = Engine(
    name="llamacpp",
    about="A local llama.cpp server that Hearth starts, for GGUF models on a CPU or an Apple GPU: "
    "llama-server from the path, or from an environment of its own (`python -m serving install "
    "llamacpp`); one conversation at a time.",
    takes_key=True,
    plan=plan_llamacpp,
    command=llamacpp_command,
    ready=answers_health,
    phases=(
        ("", "starting llama.cpp"),
        ("loading model", "loading weights"),
        ("model loaded", "opening its port"),
    ),
)
