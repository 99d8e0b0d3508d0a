"""The exact arguments of an engine for a plan, each with its reason, and what is left alone.

vLLM's flags are those of 0.32 and 0.33 (engine/arg_utils.py, config/*.py, read there);
transformers' those of 5.23 (cli/serve.py); llama.cpp's those of llama-server's help in 2026.
Address, port and key come from the supervisor.
"""

import json

from serving.families import family_for
from serving.plan.result import Flag, gib
from serving.plan.shapes import Shape
from serving.plan.sizes import BASE_CONTEXT, USUAL_TOKENS, Sized, computes_in_32_bits
from serving.plan.ways import AMPERE

# Forced when the thinking budget is spent: the model then goes on to its code.
END_OF_THINKING = "\n\nTime to act.\n</think>"
_LEAST_SEQUENCES = 4


def data_type(sized: Sized, shape: Shape) -> tuple[str, str]:
    """The type that is computed in, and why."""
    device = sized.way.device
    if device.kind == "cuda" and (device.capability or AMPERE) < AMPERE:
        return "float16", (
            f"compute capability {device.capability} has no bfloat16. Qwen2 can overflow in "
            "float16, which shows as `!!!!`: the self-test at the start looks for it"
        )
    if sized.way.engine == "llamacpp":
        return "float16", "the cache's type in llama.cpp; weights are unpacked block by block"
    if device.kind == "cpu":
        if computes_in_32_bits(sized.way, shape):
            return "float32", "the model is small, and half types are emulated on most CPUs"
        return "auto", "the type of the weights"
    return "bfloat16", "the type the weights were published in"


def reasoning_parser(shape: Shape, served_as: str) -> str:
    """vLLM's parser for this model's thinking, or nothing."""
    family = family_for(served_as, {"model_type": shape.model_type}).name
    if family == "gpt-oss" or shape.model_type == "gpt_oss":
        return "openai_gptoss"
    if family == "qwen3" or (family == "thinking" and "qwen3" in served_as.lower()):
        return "qwen3"
    return "deepseek_r1" if family in ("r1-distill", "thinking", "tiny") else ""


def flags_for(sized: Sized, shape: Shape, served_as: str) -> tuple[Flag, ...]:
    """The engine's arguments."""
    makers = {
        "vllm": _vllm,
        "vllm-tpu": _vllm,
        "transformers": _transformers,
        "llamacpp": _llamacpp,
        "zerogpu": _zerogpu,
    }
    return tuple(makers[sized.way.engine](sized, shape, served_as))


def _vllm(sized: Sized, shape: Shape, served_as: str) -> list[Flag]:
    way = sized.way
    dtype, why = data_type(sized, shape)
    sequences = max(_LEAST_SEQUENCES, sized.concurrency)
    flags = [
        Flag("--served-model-name", served_as, "requests name the model that was asked for"),
        Flag("--dtype", "half" if dtype == "float16" else dtype, why),
        Flag("--max-model-len", str(sized.context), _why_context(sized)),
        Flag("--max-num-seqs", str(sequences), _why_sequences(sized)),
        Flag(
            "--max-num-batched-tokens",
            str(sized.batched),
            "vLLM's own choice for this device, written out: the memory for activations is "
            "reckoned with it",
        ),
        Flag("--gpu-memory-utilization", f"{sized.utilisation:.2f}", _why_share(sized)),
    ]
    if way.devices > 1:
        why = "one device can't hold the model: each holds a part of every layer"
        flags.append(Flag("--tensor-parallel-size", str(way.devices), why))
    if way.online:
        why = "8-bit weights made while loading, as no repository with them is known"
        flags.append(Flag("--quantization", "fp8_per_channel", why))
    if way.eager:
        saved = "CUDA graphs would take the memory that the cache needs; replies are slower"
        flags.append(Flag("--enforce-eager", "", saved))
    flags += thinking_flags(shape, served_as)
    flags.append(
        Flag(
            "--enable-prompt-tokens-details",
            "",
            "each reply says how much of its prompt came from the prefix cache",
        )
    )
    return flags


def thinking_flags(shape: Shape, served_as: str) -> list[Flag]:
    """vLLM's arguments for a model that thinks; none for others."""
    parser = reasoning_parser(shape, served_as)
    if not parser:
        return []
    flags = [Flag("--reasoning-parser", parser, "thinking comes in a field of its own")]
    if parser != "openai_gptoss":  # its parser knows no text that ends the thinking
        config = {"reasoning_start_str": "<think>", "reasoning_end_str": END_OF_THINKING}
        why = "a spent thinking_token_budget closes the thinking with this text"
        flags.append(Flag("--reasoning-config", json.dumps(config), why))
    return flags


def _why_context(sized: Sized) -> str:
    if sized.way.engine == "llamacpp":
        could = max(0, sized.cache_bytes - sized.kv_fixed) // sized.kv_per_token
        slow = "but long prompts are read slowly" if could >= 2 * sized.context else "no longer one"
        return f"one conversation; the memory would hold {could:,} tokens, {slow}"
    room = f"the cache holds {sized.kv_tokens:,} tokens"
    if sized.context > BASE_CONTEXT:
        return f"{room}: {sized.kv_tokens / sized.context:.1f} conversations of this length"
    if sized.kv_tokens >= 2 * sized.context:
        return f"{room}; more than this length is read slowly, or leaves room for too few"
    return f"{room}: a longer conversation would not fit"


def _why_sequences(sized: Sized) -> str:
    usual = min(USUAL_TOKENS, sized.context)
    held = f"{sized.kv_tokens:,} tokens / {usual:,} a conversation"
    if sized.concurrency < _LEAST_SEQUENCES:
        return f"{held} is {sized.concurrency}; short ones share, a full cache makes one wait"
    return held


def _why_share(sized: Sized) -> str:
    device = sized.way.device
    if device.kind == "tpu":
        return "the share of the chip's memory that weights and cache may take"
    if sized.utilisation < 0.92:
        return f"only {gib(device.free_bytes)} of {gib(device.total_bytes)} are free"
    return "vLLM's default, written out; it refuses to start where this share is not free"


def left_alone(sized: Sized) -> tuple[Flag, ...]:
    """What the engine does well by itself, and why it is not set."""
    way = sized.way
    if way.engine == "transformers":
        text = "transformers' own: it applies the first request's temperature to all others"
        return (Flag("--continuous-batching", "off", text),)
    if way.engine == "llamacpp":
        return (
            Flag("--cache-prompt", "on", "a conversation's earlier turns are not read again"),
            Flag("--jinja", "on", "the model's own chat template"),
        )
    if way.engine not in ("vllm", "vllm-tpu"):
        return ()
    notes = [
        Flag("--enable-prefix-caching", "on", "prompts of one session begin alike: read once"),
        Flag("--enable-chunked-prefill", "on", "a long prompt doesn't stop the others' replies"),
        Flag("--kv-cache-dtype", "auto", _why_cache_type(sized)),
    ]
    if way.engine == "vllm":
        notes.append(Flag("--attention-backend", "auto", _why_backend(sized)))
        notes.append(
            Flag("--generation-config", "auto", "sampling defaults of the model's own repository")
        )
    if way.engine == "vllm" and not way.online:
        why = "read from the checkpoint's config.json"
        notes.append(Flag("--quantization", "auto", why))
    return tuple(notes)


def _why_cache_type(sized: Sized) -> str:
    device = sized.way.device
    if device.kind != "cuda":
        return "16 bits, as the weights' type: there is room"
    capability = device.capability or AMPERE
    if capability < AMPERE:
        return "16 bits: Triton's FP8 cache needs compute capability 8.9 (vLLM PR 49077)"
    if capability < 9.0:
        return "16 bits: FlashAttention's FP8 cache needs 9.0; grouped queries keep it small"
    return "16 bits: grouped queries keep the cache small, and FP8 would cost quality"


def _why_backend(sized: Sized) -> str:
    capability = sized.way.device.capability or AMPERE
    if capability < AMPERE:
        return (
            "TRITON_ATTN is the only one: FlashAttention needs 8.0, and FlashInfer is broken "
            "on 7.5 (flashinfer issue 3620, vLLM issue 47549)"
        )
    return "vLLM takes FLASH_ATTN or FLASHINFER, whichever its build has for this card"


def _transformers(sized: Sized, shape: Shape, served_as: str) -> list[Flag]:
    device = sized.way.device
    dtype, why = data_type(sized, shape)
    flags = [
        Flag(
            "--device", "cpu" if device.kind == "cpu" else "auto", f"the model is on {device.name}"
        ),
        Flag("--dtype", dtype, why),
        Flag("--model-timeout", "-1", "the model is never unloaded"),
    ]
    if sized.way.format.name == "nf4" and not shape.quantized:
        why = "NF4 with double quantisation while loading; the compute type must be --dtype's"
        flags.append(Flag("--quantization", "bnb-4bit", why))
    return flags


def _llamacpp(sized: Sized, shape: Shape, served_as: str) -> list[Flag]:
    device = sized.way.device
    flags = [
        Flag("--alias", served_as, "requests name the model that was asked for"),
        Flag("--ctx-size", str(sized.context), _why_context(sized)),
        Flag("--parallel", "1", "the context is divided among slots: one keeps all of it"),
        Flag("--cache-ram", "0", "its cache of other prompts would take up to 8 GiB more"),
    ]
    if device.kind == "metal":
        flags.append(Flag("--n-gpu-layers", "99", "all layers on the GPU"))
    else:
        flags.append(Flag("--threads", str(device.cores), "the cores this process may use"))
    if reasoning_parser(shape, served_as):
        why = "thinking comes in a field of its own"
        flags.append(Flag("--reasoning-format", "deepseek", why))
    return flags


def _zerogpu(sized: Sized, shape: Shape, served_as: str) -> list[Flag]:
    size = "xlarge" if "xlarge" in sized.way.device.name else "large"
    return [
        Flag("size", size, "the argument of @spaces.GPU: how much of the card a call gets"),
        Flag(
            "duration", "dynamic", "seconds from the tokens asked for: a call's quota is its length"
        ),
    ]


def environment_for(sized: Sized) -> tuple[Flag, ...]:
    """Variables that the engine needs."""
    if sized.way.engine != "vllm-tpu":
        return ()
    kind = sized.way.device.name.removeprefix("TPU ").replace("v5e-", "v5litepod-")
    why = "a Colab host has no metadata server to ask (tpu_info)"
    return (
        Flag("TPU_ACCELERATOR_TYPE", kind, why),
        Flag("TPU_SKIP_MDS_QUERY", "1", why),
        Flag("TPU_WORKER_ID", "0", why),
        Flag("TPU_WORKER_HOSTNAMES", "localhost", why),
    )
