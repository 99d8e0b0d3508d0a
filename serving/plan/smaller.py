"""The plan after one whose engine ran out of memory: what of it becomes smaller, and how far."""

import dataclasses

from errors import HearthError
from serving.hardware import Hardware
from serving.plan.choose import Have, make_plan, smaller_model
from serving.plan.result import ServingPlan, gib
from serving.plan.shapes import Shape
from serving.plan.sizes import LEAST_CONTEXT
from serving.plan.ways import Wishes

_SPARE_STEPS = 6  # of a tenth of the memory that the first plan had
_LESS = ("--enforce-eager", "without CUDA graphs")


def same_model(
    hardware: Hardware, shape: Shape, wishes: Wishes, kind: str, *, have: Have
) -> tuple[Wishes, ServingPlan, ServingPlan] | None:
    """The next smaller way to serve the same model with the same engine: what to wish for, the
    plan that it replaces, and the plan that comes of it; None where there is none.

    `kind` is `cache` where one conversation's cache did not fit: then the context is halved.
    Otherwise more memory is left free, and the planner gives up first length and company, then
    CUDA graphs, then the quality of the weights. Raises what `make_plan` raises.
    """
    present = make_plan(hardware, shape, wishes, have=have)
    for wish in _halved(wishes, present) if kind == "cache" else _spared(wishes, present):
        try:
            plan = make_plan(hardware, shape, wish, have=have)
        except HearthError:
            return None
        if not plan.fits or plan.engine != present.engine:
            return None
        if (plan.arguments, plan.checkpoint) != (present.arguments, present.checkpoint):
            return wish, present, plan
    return None


def other_model(
    hardware: Hardware, shape: Shape, wishes: Wishes, *, have: Have
) -> ServingPlan | None:
    """The plan for the largest smaller model of the family that fits; None where none does."""
    present = make_plan(hardware, shape, wishes, have=have)
    roomy = dataclasses.replace(wishes, context=None)
    plan = smaller_model(hardware, shape, roomy, have, present)
    return plan if plan is not None and plan.model != shape.model_id else None


def what_changed(before: ServingPlan, after: ServingPlan) -> str:
    """The difference in words, such as `a context of 8,192 tokens instead of 16,384`."""
    said = []
    if after.model != before.model:
        said.append(f"the model {after.model} instead of {before.model}")
    elif after.format != before.format:
        said.append(f"{after.format} weights instead of {before.format}")
    if after.model == before.model:
        if after.context != before.context:
            said.append(f"a context of {after.context:,} tokens instead of {before.context:,}")
        if after.concurrency != before.concurrency:
            said.append(
                f"{after.concurrency} conversations at once instead of {before.concurrency}"
            )
        flag, words = _LESS
        if flag in after.arguments and flag not in before.arguments:
            said.append(words)
    if not said:
        said.append(f"{gib(before.usable_bytes - after.usable_bytes)} more of the memory left free")
    return ", ".join(said)


def _halved(wishes: Wishes, present: ServingPlan) -> list[Wishes]:
    found, context = [], present.context // 2
    while context >= min(LEAST_CONTEXT, present.context // 2) > 0:
        found.append(dataclasses.replace(wishes, context=context))
        context //= 2
    return found


def _spared(wishes: Wishes, present: ServingPlan) -> list[Wishes]:
    total = present.usable_bytes + wishes.spare_bytes
    return [
        dataclasses.replace(wishes, spare_bytes=wishes.spare_bytes + total * n // 10)
        for n in range(1, _SPARE_STEPS + 1)
    ]
