"""Where a model's config.json is: its folder, the hub's cache, what Hearth knows, or the hub."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from errors import InputError
from serving.gguf_source import names_gguf, resolve_gguf
from serving.hardware import look
from serving.hardware.findings import Hub
from serving.hub_files import in_hub_cache
from serving.model_source import BUNDLED_FOLDER, hub_config, read_config
from serving.plan.choose import make_plan
from serving.plan.gguf import shape_of
from serving.plan.known import CONFIGS, DEFAULT_MODEL
from serving.plan.result import ServingPlan
from serving.plan.shapes import Shape, shape_from_config
from serving.plan.ways import Wishes
from settings import BUNDLED_MODEL, ROOT


@dataclass(frozen=True)
class Found:
    """A model to plan for. `served_as` is its name in requests; `note` says what was chosen."""

    shape: Shape
    served_as: str
    bundled: bool = False
    note: str = ""


def find_model(name: str | None, configured: str, hub: Callable[[], Hub]) -> Found:
    """The model named on the command line, or else in the settings, or else the default one.

    Settings name the bundled model where the user named none; a plan for that would say little,
    so it is made for the model that Hearth is meant for. `hub` says whether the hub answers; it
    is called only when nothing is at hand. Raises InputError or EngineError for what is no model.
    """
    if name is None and configured == BUNDLED_MODEL:
        note = f"No model is named, so the plan is for {DEFAULT_MODEL}."
        return Found(_of_hub(DEFAULT_MODEL, hub), DEFAULT_MODEL, note=note)
    name = name or configured
    if name == BUNDLED_MODEL:
        config = read_config(BUNDLED_FOLDER, "models/tiny")
        shape = shape_from_config(config, str(BUNDLED_FOLDER), "models/tiny/config.json")
        return Found(shape, BUNDLED_MODEL, bundled=True)
    if names_gguf(name):
        gguf = resolve_gguf(name)
        return Found(shape_of(gguf), gguf.source.model_id)
    folder = _folder(name)
    if folder is not None:
        shape = shape_from_config(read_config(folder, name), str(folder), f"{name}/config.json")
        return Found(shape, folder.name)
    return Found(_of_hub(name, hub), name)


def _folder(name: str) -> Path | None:
    try:
        path = Path(name).expanduser()
        found = next((p for p in (path, ROOT / path) if p.is_dir()), None)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"The model {name[:200]} can't be looked for ({error}).",
            fix="Set HEARTH_MODEL or --model to a folder or a Hugging Face id.",
        ) from None
    if found is None and (name.startswith(("/", ".", "~")) or name.count("/") > 1):
        raise InputError(
            f"There is no model folder {name}.",
            fix="Set HEARTH_MODEL or --model to `tiny`, to an existing folder, or to a Hugging "
            f"Face id such as {DEFAULT_MODEL}.",
        )
    return found.resolve() if found else None


def _of_hub(model_id: str, hub: Callable[[], Hub]) -> Shape:
    model_id = _full_id(model_id)
    config = hub_config(model_id, ask=False)
    if config is not None:
        return shape_from_config(config, model_id, "config.json in the hub's cache")
    repo = model_id.partition("@")[0]
    if repo in CONFIGS:
        return shape_from_config(CONFIGS[repo], model_id, "known to Hearth (serving/plan/known.py)")
    answer = hub()
    if answer.reachable:
        config = hub_config(model_id)
        assert config is not None
        return shape_from_config(config, model_id, "config.json on the hub")
    close = difflib.get_close_matches(model_id, CONFIGS, n=1, cutoff=0.8)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise InputError(
        f"The config.json of {model_id} is not on this machine, and the hub can't be asked for it "
        f"({answer.reason}).{hint}",
        fix="Connect to the network (without HF_HUB_OFFLINE), or name a folder that holds it with "
        "--model.",
    )


def _full_id(model_id: str) -> str:
    """Known models by their bare name too: `DeepSeek-R1-Distill-Qwen-7B`."""
    if "/" in model_id:
        return model_id
    return next((known for known in CONFIGS if known.split("/")[1] == model_id), model_id)


def plan_here(model: str, wishes: Wishes | None = None) -> ServingPlan:
    """The plan for the model that the settings name, on this machine.

    Raises what `find_model` and `make_plan` raise.
    """
    hardware = look()
    found = find_model(model, model, lambda: hardware.hub)
    return make_plan(hardware, found.shape, wishes, have=on_disk, served_as=found.served_as)


def on_disk(repo: str) -> bool:
    """Whether a checkpoint needs no download: a folder or file, or in the hub's cache."""
    return Path(repo).exists() or in_hub_cache(repo.partition(":")[0])
