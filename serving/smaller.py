"""What to change in the settings when an engine ran out of memory: the next smaller plan.

A smaller plan is nothing but other settings, so that it can be taken for the user or told to
them, and be kept in .env.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from errors import HearthError
from serving.hardware import look
from serving.plan.smaller import other_model, same_model, what_changed
from serving.plan.source import find_model, on_disk
from serving.plan.ways import Wishes
from settings import Settings

GB = 10**9
_SPARING = ("vllm", "vllm-tpu", "llamacpp")  # engines whose arguments follow what is left free


@dataclass(frozen=True)
class Step:
    """One step down: `changes` of the settings, `said` in words."""

    changes: Mapping[str, Any]
    said: str
    same_model: bool

    @property
    def as_settings(self) -> str:
        """Such as `HEARTH_ENGINE_CONTEXT=8192`."""
        return " ".join(f"HEARTH_{name.upper()}={value}" for name, value in self.changes.items())


def wishes_of(settings: Settings, engine: str | None, checkpoint: str | None = None) -> Wishes:
    """What the settings ask of a plan."""
    spare = int(settings.engine_spare_gb * GB)
    return Wishes(engine, checkpoint, settings.engine_context, spare)


def next_step(settings: Settings, engine: str, kind: str) -> Step | None:
    """The next step down for `engine`; `kind` is that of the cause. None where there is none."""
    try:
        hardware = look(ask_hub=False)
        found = find_model(settings.model, settings.model, lambda: hardware.hub)
        checkpoint = {"none": "bf16", "nf4": "nf4"}.get(settings.quantize)
        wishes = wishes_of(settings, engine, checkpoint)
        # Settings that name the weights are kept; the other model is planned without them.
        smaller = same_model(hardware, found.shape, wishes, kind, have=on_disk)
        if smaller is not None:
            wish, before, after = smaller
            changes = _changes(settings, wish, engine, after.format)
            if changes:
                return Step(changes, what_changed(before, after), same_model=True)
        if found.bundled:
            return None
        other = other_model(hardware, found.shape, wishes_of(settings, engine), have=on_disk)
    except HearthError:  # nothing can be planned here, so nothing can be offered
        return None
    if other is None:
        return None
    said = f"the model {other.model} instead of {settings.model}"
    return Step({"model": other.model}, said, same_model=False)


def _changes(settings: Settings, wish: Wishes, engine: str, form: str) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if form == "nf4" and settings.quantize != "nf4":
        changes["quantize"] = "nf4"
    if engine in _SPARING:
        if wish.context != settings.engine_context:
            changes["engine_context"] = wish.context
        spare = round(wish.spare_bytes / GB, 2)
        if spare != settings.engine_spare_gb:
            changes["engine_spare_gb"] = spare
    return changes
