"""Models whose shape is known where no file is at hand: config.json entries, as data.

Source: the config.json of each repository on huggingface.co (the fields that count). A config
that is on the disk goes before these rows.
"""

from collections.abc import Mapping
from typing import Any

DEFAULT_MODEL = "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B"


def _row(kind: str, dimensions: str, *, tied: bool = False, **more: Any) -> dict[str, Any]:
    """`dimensions`: layers, hidden, heads, KV heads, intermediate, vocabulary, context."""
    names = (
        "num_hidden_layers",
        "hidden_size",
        "num_attention_heads",
        "num_key_value_heads",
        "intermediate_size",
        "vocab_size",
        "max_position_embeddings",
    )
    numbers = (int(word) for word in dimensions.split())
    architecture = {
        "qwen2": "Qwen2ForCausalLM",
        "llama": "LlamaForCausalLM",
        "qwen3": "Qwen3ForCausalLM",
        "qwen3_moe": "Qwen3MoeForCausalLM",
        "gpt_oss": "GptOssForCausalLM",
    }[kind]
    return {
        "model_type": kind,
        "architectures": [architecture],
        "tie_word_embeddings": tied,
        **dict(zip(names, numbers, strict=True)),
        **more,
    }


_MOE: dict[str, Any] = {"num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768}
_OSS: dict[str, Any] = {
    "head_dim": 64,
    "num_experts_per_tok": 4,
    "sliding_window": 128,
    "attention_bias": True,
    "quantization_config": {"quant_method": "mxfp4"},
}

CONFIGS: Mapping[str, dict[str, Any]] = {
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B": _row("qwen2", "28 1536 12 2 8960 151936 131072"),
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B": _row("qwen2", "28 3584 28 4 18944 152064 131072"),
    "deepseek-ai/DeepSeek-R1-Distill-Llama-8B": _row("llama", "32 4096 32 8 14336 128256 131072"),
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-14B": _row("qwen2", "48 5120 40 8 13824 152064 131072"),
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B": _row("qwen2", "64 5120 40 8 27648 152064 131072"),
    "deepseek-ai/DeepSeek-R1-Distill-Llama-70B": _row("llama", "80 8192 64 8 28672 128256 131072"),
    "Qwen/Qwen3-0.6B": _row("qwen3", "28 1024 16 8 3072 151936 40960", tied=True, head_dim=128),
    "Qwen/Qwen3-1.7B": _row("qwen3", "28 2048 16 8 6144 151936 40960", tied=True, head_dim=128),
    "Qwen/Qwen3-4B": _row("qwen3", "36 2560 32 8 9728 151936 40960", tied=True, head_dim=128),
    "Qwen/Qwen3-8B": _row("qwen3", "36 4096 32 8 12288 151936 40960", head_dim=128),
    "Qwen/Qwen3-14B": _row("qwen3", "40 5120 40 8 17408 151936 40960", head_dim=128),
    "Qwen/Qwen3-32B": _row("qwen3", "64 5120 64 8 25600 151936 40960", head_dim=128),
    "Qwen/Qwen3-30B-A3B": _row("qwen3_moe", "48 2048 32 4 6144 151936 40960", head_dim=128, **_MOE),
    "openai/gpt-oss-20b": _row(
        "gpt_oss", "24 2880 64 8 2880 201088 131072", num_local_experts=32, **_OSS
    ),
    "openai/gpt-oss-120b": _row(
        "gpt_oss", "36 2880 64 8 2880 201088 131072", num_local_experts=128, **_OSS
    ),
}

# What to try next when a model doesn't fit: from the largest to the smallest.
FAMILIES: tuple[tuple[str, ...], ...] = (
    (
        "deepseek-ai/DeepSeek-R1-Distill-Llama-70B",
        "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B",
        "deepseek-ai/DeepSeek-R1-Distill-Qwen-14B",
        "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B",
        "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B",
    ),
    (
        "Qwen/Qwen3-32B",
        "Qwen/Qwen3-14B",
        "Qwen/Qwen3-8B",
        "Qwen/Qwen3-4B",
        "Qwen/Qwen3-1.7B",
        "Qwen/Qwen3-0.6B",
    ),
    ("openai/gpt-oss-120b", "openai/gpt-oss-20b"),
)
