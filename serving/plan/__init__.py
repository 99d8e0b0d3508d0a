"""How a model is served on a machine: engine, checkpoint, context and flags, from arithmetic."""

from serving.plan.choose import make_plan
from serving.plan.named import NAMED, named_hardware
from serving.plan.result import Flag, Part, Rejected, ServingPlan
from serving.plan.source import plan_here
from serving.plan.ways import Wishes

__all__ = [
    "NAMED",
    "Flag",
    "Part",
    "Rejected",
    "ServingPlan",
    "Wishes",
    "make_plan",
    "named_hardware",
    "plan_here",
]
