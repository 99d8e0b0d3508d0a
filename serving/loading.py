"""How far an engine has come with loading, read from the progress bars in its log.

Seen in transformers 5.23 (core_model_loading.py), vLLM 0.32 (model_loader/weight_utils.py,
v1/worker/gpu_model_runner.py): bars of tqdm, redrawn after a carriage return.
"""

import re
from collections.abc import Sequence

_BAR = re.compile(
    r"(?P<what>Loading weights|Loading [\w-]+ checkpoint shards|Multi-thread loading[\w ]* shards|"
    r"Capturing CUDA graphs?[^:\r\n]*):\s+(?P<percent>\d{1,3})%"
)


def phase_of(log: str, phases: Sequence[tuple[str, str]]) -> str:
    """What the engine is doing: the last of its `phases` whose mark is in the log."""
    doing = [what for mark, what in phases if mark in log]
    return doing[-1] if doing else ""


def loaded_share(log: str) -> float | None:
    """The share of the weights that is loaded, 0 to 1; None where the log's last bar is of
    something else, is full, or is not there."""
    bars = list(_BAR.finditer(log))
    if not bars or bars[-1]["what"].startswith("Capturing"):
        return None
    share = int(bars[-1]["percent"]) / 100
    return share if share < 1 else None
