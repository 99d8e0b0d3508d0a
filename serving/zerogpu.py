"""The row `zerogpu`: the model in the app's own process, computed with in `@spaces.GPU` calls.

The one engine that is no server, as a ZeroGPU Space has the GPU for single calls only. Only the
model's call is under the decorator, never a tool. How long a call may take is reckoned from the
prompt, the tokens asked for and the speed measured so far, since the quota is taken for what was
asked; what would take longer than one call may is cut into a shorter reply beforehand.

On ZeroGPU there is no GPU outside of calls, so the self-test is made of the first reply instead
of at the start: one that says one thing over and over is an error that says so.
"""

import importlib
import importlib.util
import time
from typing import Any

from errors import EngineError, HearthError, ModelError, Refused, SettingsError
from serving.hardware import look
from serving.in_process import Engine as InProcessEngine
from serving.in_process import InProcess, Pace
from serving.model_source import ModelSource, resolve_model
from serving.plan import Wishes, make_plan
from serving.plan.source import find_model, on_disk
from serving.row import Endpoint, Engine, Say
from serving.vllm_server import does_not_fit
from settings import BUNDLED_MODEL, Settings

ADDRESS = "http://zerogpu.internal/v1"  # no name of any network's: nothing is sent
MOST_SECONDS = 120.0  # of one call; a visitor without an account has that for a whole day
_TOKENS_A_SECOND = 25.0  # of a 7B in 16 bits, before it is measured: half of what memory allows
_WORKER = "serving.zero_worker"


def takes_it(settings: Settings) -> bool:
    """Whether this is a ZeroGPU Space; the bundled model needs no GPU."""
    return settings.model != BUNDLED_MODEL and look(ask_hub=False).platform.name == "zerogpu"


def connect_zerogpu(settings: Settings, say: Say) -> Endpoint:
    """Load the model. Raises SettingsError, InputError or EngineError where that can't be."""
    hardware = look(ask_hub=False)
    if hardware.platform.name != "zerogpu":
        raise SettingsError(
            f"Setting engine: zerogpu runs in a ZeroGPU Space; here {hardware.platform.reason}.",
            fix="Set HEARTH_ENGINE to auto.",
        )
    if importlib.util.find_spec("spaces") is None:
        raise EngineError(
            "The engine zerogpu needs the package spaces, which is not installed.",
            fix="Add a line `spaces` to the Space's requirements.txt.",
        )
    source = resolve_model(settings.model)
    found = find_model(settings.model, settings.model, lambda: hardware.hub)
    wishes = Wishes("zerogpu", "bf16" if settings.quantize == "none" else None)
    plan = make_plan(hardware, found.shape, wishes, have=on_disk, served_as=source.model_id)
    short = does_not_fit(plan, "ZeroGPU")
    if short is not None:
        raise short
    sizes = [flag.value for flag in plan.flags if flag.name == "size"]
    return load(source, say, context=plan.context, size=sizes[0], nf4=plan.format == "nf4")


def load(
    source: ModelSource, say: Say, *, context: int, size: str = "large", nf4: bool = False
) -> Endpoint:
    """Load a model into this process. Raises EngineError when it can't be."""
    name = str(source.folder) if source.folder and not source.from_hub else source.model_id
    say(f"loading {source.shown} into this process …")
    began = time.monotonic()
    try:
        # By its name: it brings torch, which the app must not import for any other engine.
        worker: Any = importlib.import_module(_WORKER)
        loaded = worker.load(name, dtype="bfloat16", size=size, nf4=nf4)
    except Exception as error:
        raise EngineError(
            f"{source.shown} can't be loaded: {_words(error)}.",
            fix="Try another model (HEARTH_MODEL), or restart the Space.",
        ) from error
    engine = InProcessEngine(
        model_id=source.model_id,
        context=context,
        render=worker.render,
        count=worker.count,
        stream=loaded.stream,
        explain=explain,
        pace=Pace(MOST_SECONDS, _TOKENS_A_SECOND),
    )
    say(f"ready in {time.monotonic() - began:.0f} s, in this process")
    return Endpoint(ADDRESS, "", source.model_id, "zerogpu", None, transport=InProcess(engine))


def explain(error: Exception) -> HearthError:
    """The error for what a GPU call raised: `spaces` raises Gradio's errors, with a title."""
    title, said = str(getattr(error, "title", "")), _words(error)
    if "quota" in title or "credits" in title:
        return Refused(
            f"The ZeroGPU quota is used up: {said}",
            fix="Log in to Hugging Face for a quota of your own, wait, or duplicate the Space to "
            "hardware of your own.",
        )
    if "duration" in title:
        return Refused(
            f"ZeroGPU allows no call of that length: {said}",
            fix="Lower HEARTH_MAX_TOKENS, or log in to Hugging Face.",
        )
    if "No GPU was available" in f"{title} {said}" or "queue" in title.lower():
        return ModelError(f"No GPU was free on ZeroGPU: {said}", fix="Wait a little and ask again.")
    if "GPU task aborted" in f"{title} {said}":
        return ModelError(
            "ZeroGPU ended the call: it took longer than was reckoned, or its process died.",
            fix="Ask again; lower HEARTH_MAX_TOKENS if it happens again.",
        )
    kind = title or type(error).__name__
    return ModelError(
        f"The model failed in its GPU call ({kind}): {said}",
        fix="Ask again; if it happens again, look at the Space's log.",
    )


def _words(error: Exception) -> str:
    said = str(getattr(error, "message", "") or error).strip()
    return said.splitlines()[0][:300] if said else type(error).__name__


ROW = Engine(
    name="zerogpu",
    about="In a ZeroGPU Space of Hugging Face, the model in the app's own process (transformers "
    "under @spaces.GPU): no server can run there.",
    takes_key=False,
    connect=connect_zerogpu,
)
