"""The row `vllm-tpu`: vLLM on Google's TPUs. Experimental: Hearth has not run it on a TPU yet.

The server is vLLM's own, of the same version as on GPUs and started in the same way; underneath
are JAX and tpu-inference. A Colab host has no metadata server to tell which TPU it holds, so the
plan's variables do.
"""

from errors import SettingsError
from serving import install
from serving.hardware import Accelerator, Hardware, look
from serving.model_source import resolve_model
from serving.plan import make_plan
from serving.plan.source import find_model, on_disk
from serving.row import Engine, Plan, answers_health
from serving.vllm_server import (
    PHASES,
    does_not_fit,
    identity,
    is_planned,
    refuse_nf4,
    vllm_command,
    wishes,
)
from settings import Settings


def plan_tpu(settings: Settings) -> Plan:
    """Check the model, the machine and the environment, and settle the flags. Starts nothing.

    Raises InputError, SettingsError or EngineError for what can't be at all. What only can't be
    now (not installed, no room beside what runs) is the plan's `obstacle`.
    """
    refuse_nf4(settings)
    hardware = look(ask_hub=False)
    tpu = hardware.tpu
    if tpu is None:
        raise SettingsError(
            "Setting engine: vllm-tpu needs a TPU, and there is none here.",
            fix="Choose a TPU runtime (on Colab: Runtime, Change runtime type, v6e-1), or set "
            "HEARTH_ENGINE to auto.",
        )
    source = resolve_model(settings.model)
    found = find_model(settings.model, settings.model, lambda: hardware.hub)
    serving = make_plan(
        hardware,
        found.shape,
        wishes(settings, "vllm-tpu"),
        have=on_disk,
        served_as=source.model_id,
    )
    return Plan(
        source,
        Accelerator("tpu", tpu.name, tpu.reason),
        identity(settings, source, "tpu"),
        ("vllm-tpu is experimental: Hearth has not run it on a TPU yet.", *serving.reasons),
        arguments=tuple(serving.arguments),
        environment={flag.name: flag.value for flag in serving.environment},
        obstacle=install.obstacle(install.TPU) or does_not_fit(serving, "vLLM"),
    )


def takes_it(settings: Settings) -> bool:
    """Whether it is installed, and what the model's plan names on this machine."""

    def has_tpu(hardware: Hardware) -> bool:
        return hardware.tpu is not None

    return install.TPU.versions() is not None and is_planned(settings, "vllm-tpu", has_tpu)


ROW = Engine(
    name="vllm-tpu",
    about="A local vLLM server on a TPU that Hearth starts, from an environment of its own "
    "(`python -m serving install vllm-tpu`); experimental.",
    takes_key=True,
    plan=plan_tpu,
    command=vllm_command,
    ready=answers_health,
    phases=(*PHASES, ("Compil", "compiling programs for the TPU (minutes the first time)")),
)
