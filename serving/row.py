"""What a row of the table of engines is, and what rows have in common."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from errors import HearthError
from serving.hardware import Accelerator, cpu_cores
from serving.model_source import ModelSource
from settings import Settings

Say = Callable[[str], None]
_FLOAT32_BELOW_BYTES = 1 << 30
_ONE_THREAD_BELOW_BYTES = 100 << 20


@dataclass(frozen=True)
class Endpoint:
    """A server that answers. `base_url` ends in /v1; `model_id` is the name for requests;
    `pid` is the process of an engine that a Hearth runs on this machine, else None.

    `notice` is a sentence for the user when something was chosen for them, or empty. `transport`
    carries requests to an engine in this very process (in_process.py).
    """

    base_url: str
    api_key: str = field(repr=False)
    model_id: str
    engine: str
    pid: int | None
    notice: str = ""
    transport: httpx.AsyncBaseTransport | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Plan:
    """How an engine is going to run a model. Two apps with equal `options` can share it.

    `source.model_id` is the name for requests; `checkpoint` is what is loaded for it, a hub id
    or empty for the same. `arguments` and `environment` are more of the engine's own. `obstacle`
    is why it can't be started: no error yet, as one that runs already can still be used.
    """

    source: ModelSource
    accelerator: Accelerator
    options: Mapping[str, str]
    notes: tuple[str, ...] = ()
    checkpoint: str = ""
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    obstacle: HearthError | None = None

    @property
    def loaded_id(self) -> str:
        """The hub id, or the folder's name, of what is loaded."""
        return self.checkpoint or self.source.model_id

    @property
    def title(self) -> str:
        """Such as `models/tiny on CPU`."""
        bits = " in 4 bits" if self.options.get("quantize") == "nf4" else ""
        return f"{self.source.shown}{bits} on {self.accelerator.name}"


@dataclass(frozen=True)
class Command:
    """A process to start: arguments, the whole environment, working folder."""

    argv: list[str]
    env: dict[str, str]
    cwd: Path


@dataclass(frozen=True)
class Engine:
    """One row. `phases` are (text in the log, what it means) in the order they appear."""

    name: str
    about: str
    takes_key: bool
    plan: Callable[[Settings], Plan] | None = None
    command: Callable[[Plan, int, str], Command] | None = None
    ready: Callable[[Endpoint], bool] | None = None
    connect: Callable[[Settings, Say], Endpoint] | None = None
    phases: tuple[tuple[str, str], ...] = field(default=())


def data_type(source: ModelSource, accelerator: Accelerator) -> str:
    """`auto` is the weights' own type.

    Small models on a CPU compute in float32: half types are emulated there and slower.
    Cards before Ampere (8.0) have no bfloat16, which is what most checkpoints hold.
    """
    if accelerator.kind == "cpu":
        small = 0 < source.weight_bytes < _FLOAT32_BELOW_BYTES and not source.quantized
        return "float32" if small else "auto"
    if accelerator.kind == "cuda" and accelerator.capability is not None:
        return "auto" if accelerator.capability >= 8.0 else "float16"
    return "auto"


def threads_for(source: ModelSource) -> int:
    """Threads to compute with on a CPU: for a small model, one.

    Its layers are over before a second thread has woken up; on two busy cores, 5 million
    parameters gave 230 tokens a second with one thread and 8 with two.
    """
    return 1 if 0 < source.weight_bytes < _ONE_THREAD_BELOW_BYTES else cpu_cores()


def engine_environment(*, offline: bool, key: str, threads: int) -> dict[str, str]:
    """The user's environment without Hearth's own settings, and with what engines need."""
    env = {k: v for k, v in os.environ.items() if not k.upper().startswith("HEARTH_")}
    env |= {
        "ENGINE_API_KEY": key,  # the environment, since everyone can read a command line
        "PYTHONUNBUFFERED": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "DO_NOT_TRACK": "1",
    }
    if offline:
        env |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    env.setdefault("OMP_NUM_THREADS", str(threads))
    # Threads that wait sleep, not spin: where others use the cores too, that is twice the speed.
    env.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return env


def local_client(endpoint: Endpoint, timeout: float = 5.0) -> httpx.Client:
    """A client for an engine on loopback; the user's proxy settings must not touch it."""
    headers = {"authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
    # Plain http: to load the certificates would be most of the work of a health check.
    return httpx.Client(trust_env=False, verify=False, timeout=timeout, headers=headers)


def answers_health(endpoint: Endpoint) -> bool:
    """Whether the server is up, takes our key and serves our model: ours, and no other."""
    try:
        with local_client(endpoint) as client:
            if client.get(endpoint.base_url.removesuffix("/v1") + "/health").status_code != 200:
                return False
            listed = client.get(f"{endpoint.base_url}/models")
            return listed.status_code == 200 and endpoint.model_id in listed_ids(listed)
    except (httpx.HTTPError, ValueError):
        return False


def listed_ids(reply: httpx.Response) -> list[str]:
    """The models that a reply to GET /models lists. Raises ValueError where it is none."""
    try:
        return [str(entry["id"]) for entry in reply.json()["data"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a list of models: {error}") from None
