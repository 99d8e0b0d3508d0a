"""The bytes of weights that an engine reads for each token, by the plan's own arithmetic."""

import json
from typing import Any

from serving.plan.checkpoints import FORMATS
from serving.plan.known import CONFIGS
from serving.plan.shapes import shape_from_config
from serving.row import Plan


def bytes_a_token(plan: Plan | None, model_id: str) -> int | None:
    """Bytes, in the format that the engine of `plan` holds its weights in.

    Without a plan, for a server elsewhere, the format is that of the model's name. None where
    neither the files nor a known model say how many they are.
    """
    loaded = plan.loaded_id if plan else model_id
    config = _config(plan, loaded)
    if config is None:  # a GGUF file: all of it
        return plan.source.weight_bytes or None if plan is not None else None
    shape = shape_from_config(config, model_id, "its config.json")
    form = _format(plan, loaded) or shape.quantized or "bf16"
    if form not in FORMATS:
        return None
    twice = plan is not None and plan.options.get("dtype") == "float32" and form == "bf16"
    return FORMATS[form].active_bytes(shape) * (2 if twice else 1)


def _config(plan: Plan | None, loaded: str) -> dict[str, Any] | None:
    folder = plan.source.folder if plan is not None else None
    if folder is not None and (folder / "config.json").is_file():
        config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        return config
    name = loaded.rpartition("/")[2].lower()
    bare = ((known.rpartition("/")[2].lower(), known) for known in CONFIGS)
    fits = [known for short, known in bare if name == short or name.startswith(f"{short}-")]
    return CONFIGS[max(fits, key=len)] if fits else None


def _format(plan: Plan | None, loaded: str) -> str | None:
    if plan is not None and plan.options.get("quantize") == "nf4":
        return "nf4"
    if plan is not None and "--quantization" in plan.arguments:
        return "fp8"  # made while loading
    return next((f for f in ("w4a16", "fp8") if f in loaded.lower()), None)
