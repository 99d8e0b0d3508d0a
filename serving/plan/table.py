"""The table of plans in docs/serving.md: the distills on each accelerator that has a name."""

from serving.plan.choose import make_plan
from serving.plan.known import CONFIGS
from serving.plan.named import NAMED, named_hardware
from serving.plan.result import ServingPlan
from serving.plan.shapes import shape_from_config

DISTILLS = ("1.5B", "7B", "14B", "32B")


def plan_for(name: str, size: str) -> ServingPlan:
    """The plan of an R1 distill (`7B`) on a named accelerator."""
    model_id = f"deepseek-ai/DeepSeek-R1-Distill-Qwen-{size}"
    shape = shape_from_config(CONFIGS[model_id], model_id, "known to Hearth")
    return make_plan(named_hardware(name), shape)


def markdown_table() -> str:
    """The table as Markdown, a row an accelerator, a column a distill."""
    lines = ["| `--on` | machine | " + " | ".join(DISTILLS) + " |", "|---|---|" + "---|" * 4]
    for name, row in NAMED.items():
        cells = [_cell(plan_for(name, size)) for size in DISTILLS]
        lines.append(f"| `{name}` | {row.about} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(plan: ServingPlan) -> str:
    if not plan.fits:
        lacks = f"does not fit ({plan.shortfall_bytes / (1 << 30):.1f} GiB short)"
        size = plan.next.model.rpartition("-")[2] if plan.next else "an endpoint"
        return f"{lacks}: {size}"
    kind = f"{plan.engine} {plan.format}"
    if any(flag.name == "--enforce-eager" for flag in plan.flags):
        kind += ", eager"
    if plan.device.endswith("xlarge"):
        kind += ", xlarge"
    if plan.experimental:
        kind += ", experimental"
    return f"{kind}, {plan.context // 1024}k × {plan.concurrency}"
