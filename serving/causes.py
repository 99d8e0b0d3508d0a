"""Why an engine failed, in words, read from the end of its log.

A table, first match wins: the order goes from the particular to the general.
"""

import re
import signal
from typing import NamedTuple


class Cause(NamedTuple):
    """`what` completes "the engine ended: …"; `fix` is the user's next step. `kind` is for what
    can be done about it: `memory` (of any sort), `cache` (one conversation's), `killed` (for
    want of memory, perhaps), `damaged` files."""

    what: str
    fix: str
    kind: str = ""


SHORT = ("memory", "cache")  # kinds of which a log leaves no doubt that memory ran out

_SMALLER = (
    "Choose a smaller model, set HEARTH_QUANTIZE to nf4 on an NVIDIA GPU, or close what else uses "
    "the memory."
)

_TABLE: list[tuple[str, Cause]] = [
    (
        r"CUDA out of memory|torch\.OutOfMemoryError|CUDNN_STATUS_ALLOC_FAILED",
        Cause("the GPU has too little memory for the model", _SMALLER, "memory"),
    ),
    (
        r"Free memory on device .* is less than desired GPU memory utilization",
        Cause(
            "something else uses the GPU's memory",
            "Close it, or choose a smaller model.",
            "memory",
        ),
    ),
    (
        r"No available memory for the cache blocks|larger than the available KV cache memory",
        Cause(
            "the memory holds the model, but not the cache for one conversation",
            _SMALLER,
            "cache",
        ),
    ),
    (
        r"MemoryError|Cannot allocate memory|DefaultCPUAllocator: (can't|not enough)|"
        r"std::bad_alloc|failed to allocate|unable to allocate|failed to create context",
        Cause("this machine has too little memory for the model", _SMALLER, "memory"),
    ),
    (
        r"address already in use|Errno 98|Errno 48|couldn't bind (HTTP )?server socket",
        Cause(
            "its port was taken by another program", "Set HEARTH_ENGINE_PORT to 0: any free one."
        ),
    ),
    (
        r"No space left on device|Errno 28|Disk quota exceeded",
        Cause("the disk is full", "Make room, or set HF_HOME to a larger disk for models."),
    ),
    (
        r"GatedRepoError|gated repo|Access to model .* is restricted",
        Cause(
            "the model is gated",
            "Accept its licence on its Hugging Face page and log in with `hf auth login`.",
        ),
    ),
    (
        r"401 Client Error|Invalid (user )?token|Repository Not Found|"
        r"is not a valid model identifier",
        Cause(
            "Hugging Face has no such model, or may not show it to you",
            "Check the model's id; for a private one log in with `hf auth login`.",
        ),
    ),
    (
        r"CUDA driver version is insufficient|no kernel image is available|CUDA error|"
        r"driver on your system is too old|CUDA initialization: |"
        r"forward compatibility was attempted|libcudart|libcublas|Torch not compiled with CUDA",
        Cause(
            "CUDA, its driver and torch do not fit together",
            "Update the NVIDIA driver or torch; with CUDA_VISIBLE_DEVICES=-1 it runs on the CPU.",
        ),
    ),
    (
        r"offline mode is enabled|couldn't connect to|Connection ?Error|ConnectError|"
        r"Name or service not known|Temporary failure in name resolution|Max retries exceeded",
        Cause(
            "Hugging Face could not be reached",
            "Connect to the network, or set HEARTH_MODEL to a folder that holds the model.",
        ),
    ),
    (
        r"SafetensorError|InvalidHeader|MetadataIncompleteBuffer|corrupt|checksum|"
        r"not within the file bounds",
        Cause(
            "the model's files are damaged",
            "Delete them and download or copy them again.",
            "damaged",
        ),
    ),
    (
        r"bitsandbytes.*(required|not found|install)|install -U bitsandbytes",
        Cause("bitsandbytes is missing or broken", "Install it, or set HEARTH_QUANTIZE to none."),
    ),
    (
        r"ModuleNotFoundError: No module named '([\w.]+)'|ImportError: (.*)",
        Cause(
            "a Python package is missing or broken",
            "Run `make run` to mend the installation, for the engine vllm `python -m serving "
            "install vllm --again` (with --cpu where there is no GPU).",
        ),
    ),
    (
        r"Bfloat16 is only supported on GPUs",
        Cause("this GPU has no bfloat16", "Set HEARTH_ENGINE to transformers; report this plan."),
    ),
    (
        r"Failed to find C compiler|InvalidCxxCompiler|No working C\+\+ compiler",
        Cause("it needs a C compiler", "Install gcc and g++ (on Debian: build-essential)."),
    ),
    (
        r"greater than the derived max_model_len",
        Cause("the model has no such long context", "Choose a model with a longer one."),
    ),
    (
        r"chat_template is not set|no chat template",
        Cause("the model has no chat template", "Choose an instruct or chat model."),
    ),
    (
        r"contains custom code|requires you to execute|execute the (configuration|modeling) file",
        Cause(
            "the model needs its own Python code, which Hearth doesn't run",
            "Choose a model of an architecture that transformers knows.",
        ),
    ),
    (
        r"Unrecognized (model|configuration)|does not recognize this architecture|"
        r"has no attribute '\w+ForCausalLM'|Model architectures .* are not supported|"
        r"has no vLLM implementation|unknown model architecture",
        Cause("the engine does not know this architecture", "Choose another model."),
    ),
    (
        r"Permission denied|Errno 13",
        Cause("a file may not be read or written", "Mend the permissions named in the log."),
    ),
]

_LOOK = "Look at the end of its log."


def explain(log: str, code: int | None = None) -> Cause:
    """The likely cause of an engine's end. `code` is its exit code; negative: a signal."""
    for pattern, cause in _TABLE:
        if re.search(pattern, log, re.IGNORECASE):
            return cause
    if code == -signal.SIGKILL:
        return Cause(
            "it was killed (signal 9), most often because memory ran out", _SMALLER, "killed"
        )
    if code is not None and code < 0:
        return Cause(f"it was ended by {_signal_name(-code)}", _LOOK)
    if code is None:
        return Cause("nobody saw why", _LOOK)
    return Cause(f"it exited with code {code}", _LOOK)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
