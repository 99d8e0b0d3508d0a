"""A model's shape, read from its config.json: how many parameters, how much KV cache a token.

The counts are those of transformers' modules for each architecture (a test builds them and
counts). An architecture without a row of its own is taken as a Llama-like one, and said to be.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from errors import InputError

# model_type → what differs from Llama, as in transformers' modeling_*.py
_QKV_BIAS = {"qwen2", "qwen2_moe"}
_QK_NORM = {"qwen3", "qwen3_moe"}
_EXACT = {"llama", "mistral", "qwen2", "qwen3", "qwen3_moe", "gpt_oss"}
_TIED_BY_DEFAULT = {"gemma", "gemma2", "gemma3", "gemma3_text"}


@dataclass(frozen=True)
class Shape:
    """A causal language model's dimensions.

    `linear` counts the parameters that quantisation makes smaller (the layers' matrices, experts
    included), `expert` those of them in experts, `rest` all others (embeddings, head, norms,
    biases, routers). `active` is what one token's computation reads. `intermediate` is the width
    of a token's MLP, all of its experts together. `context` is the longest the model knows.
    `sliding` of the `layers` keep only `window` tokens of KV cache. `quantized` is the format
    its own checkpoint is kept in, such as `mxfp4`, or nothing; `bits` is what a weight
    of a GGUF file takes, on average. `exact` is false where the count
    is that of a Llama-like model of the same dimensions.
    """

    model_id: str
    model_type: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocab: int
    context: int
    linear: int
    expert: int
    rest: int
    active: int
    sliding: int = 0
    window: int = 0
    quantized: str = ""
    bits: float = 0.0
    exact: bool = True
    source: str = ""

    @property
    def parameters(self) -> int:
        """All parameters."""
        return self.linear + self.rest

    def kv_bytes_per_token(self, value_bytes: int = 2) -> int:
        """Bytes of KV cache that each token of the context takes: a key and a value per layer."""
        full = self.layers - self.sliding
        return 2 * full * self.kv_heads * self.head_dim * value_bytes

    def kv_bytes_fixed(self, value_bytes: int = 2) -> int:
        """Bytes of KV cache that a conversation takes whatever its length: sliding windows."""
        return 2 * self.sliding * self.kv_heads * self.head_dim * value_bytes * self.window


def shape_from_config(config: Mapping[str, Any], model_id: str, source: str) -> Shape:
    """The shape that a config.json describes.

    Raises InputError for a model that generates no text, or a config that lacks a dimension.
    """
    _check_generates_text(config, model_id)
    nested = isinstance(config.get("text_config"), Mapping)
    text = config["text_config"] if nested else config
    model_type = str(text.get("model_type") or config.get("model_type") or "")
    get = _Reader(text, model_id)
    wanted = ("num_hidden_layers", "hidden_size", "num_attention_heads")
    layers, hidden, heads = map(get.number, wanted)
    kv_heads = get.number("num_key_value_heads", heads)
    head_dim = get.number("head_dim", hidden // heads)
    experts = get.number("num_local_experts", get.number("num_experts", 0, least=0), least=0)
    dense = get.number("intermediate_size", 4 * hidden)
    width = get.number("moe_intermediate_size", dense) if experts else dense
    per_token = get.number("num_experts_per_tok", 1) if experts else 1
    vocab = get.number("vocab_size")
    tied = bool(text.get("tie_word_embeddings", model_type in _TIED_BY_DEFAULT))
    small = _small_per_layer(text, model_type, hidden, heads, kv_heads, head_dim)
    sparse = _sparse_layers(text, layers) if experts else 0
    linear = layers * 2 * hidden * (heads + kv_heads) * head_dim  # attention
    linear += (layers - sparse) * 3 * hidden * dense
    rest = layers * small + hidden + vocab * hidden * (1 if tied else 2)
    rest += sparse * _router(model_type, hidden, experts, width)
    read = rest - (0 if tied else vocab * hidden)  # a token reads one row of the embedding
    sliding, window = _sliding(text, model_type, layers)
    expert = sparse * experts * 3 * hidden * width
    return Shape(
        model_id=model_id,
        model_type=model_type,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        intermediate=per_token * width if experts else dense,
        vocab=vocab,
        context=get.number("max_position_embeddings", 8192),
        linear=linear + expert,
        expert=expert,
        rest=rest,
        active=linear + sparse * per_token * 3 * hidden * width + read,
        sliding=sliding,
        window=window,
        quantized=_quantized(config),
        exact=model_type in _EXACT and not nested,
        source=source,
    )


class _Reader:
    """Reads whole numbers out of a config; a missing one without default is an InputError."""

    def __init__(self, config: Mapping[str, Any], model_id: str) -> None:
        self._config, self._model_id = config, model_id

    def number(self, name: str, default: int | None = None, *, least: int = 1) -> int:
        value = self._config.get(name)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise InputError(
                f"The config.json of {self._model_id} gives no usable {name} (it is {value!r}).",
                fix="Name a causal language model with HEARTH_MODEL or --model.",
            )
        return value


def _check_generates_text(config: Mapping[str, Any], model_id: str) -> None:
    architectures = config.get("architectures") or []
    name = str(architectures[0]) if architectures else ""
    if name.endswith(("ForCausalLM", "ForConditionalGeneration")):
        return
    what = f"is a {name}, which does not generate text" if name else "names no architecture"
    raise InputError(
        f"{model_id} {what}.",
        fix="Name a causal language model (its config.json says …ForCausalLM) with HEARTH_MODEL "
        "or --model, such as deepseek-ai/DeepSeek-R1-Distill-Qwen-7B.",
    )


def _small_per_layer(
    config: Mapping[str, Any], kind: str, hidden: int, heads: int, kv_heads: int, head_dim: int
) -> int:
    """Norms and biases of one layer; they stay in 16 bits in every format."""
    small = 2 * hidden
    attention_bias = bool(config.get("attention_bias", kind == "gpt_oss"))
    if kind in _QKV_BIAS or attention_bias:
        small += (heads + 2 * kv_heads) * head_dim
    if attention_bias and kind not in _QKV_BIAS:
        small += hidden
    if config.get("mlp_bias"):
        small += 2 * int(config.get("intermediate_size", 0)) + hidden
    if kind in _QK_NORM:
        small += 2 * head_dim
    if kind == "gpt_oss":
        small += heads  # attention sinks
    return small


def _router(kind: str, hidden: int, experts: int, width: int) -> int:
    """The router of one sparse layer, and its experts' biases; both stay in 16 bits."""
    biases = experts + experts * (2 * width + hidden) if kind == "gpt_oss" else 0
    return hidden * experts + biases


def _sparse_layers(config: Mapping[str, Any], layers: int) -> int:
    step = int(config.get("decoder_sparse_step") or 1)
    dense = set(config.get("mlp_only_layers") or [])
    return sum((n + 1) % step == 0 and n not in dense for n in range(layers))


def _sliding(config: Mapping[str, Any], kind: str, layers: int) -> tuple[int, int]:
    """How many layers see only a window, and its length in tokens."""
    window = config.get("sliding_window")
    if not isinstance(window, int) or config.get("use_sliding_window") is False:
        return 0, 0
    kinds = config.get("layer_types")
    if isinstance(kinds, list):
        return sum(kind == "sliding_attention" for kind in kinds), window
    if kind == "gpt_oss":
        return (layers + 1) // 2, window  # every other layer, from the first
    return 0, 0


def _quantized(config: Mapping[str, Any]) -> str:
    settings = config.get("quantization_config")
    if not isinstance(settings, Mapping):
        return ""
    method = str(settings.get("quant_method") or "unknown")
    if method == "compressed-tensors":
        return _compressed(settings)
    if method in ("awq", "gptq", "auto_awq", "auto_gptq"):
        return f"w{settings.get('bits') or settings.get('w_bit') or 4}a16"
    if method == "bitsandbytes":
        return "nf4" if settings.get("load_in_4bit") else "int8"
    return method


def _compressed(settings: Mapping[str, Any]) -> str:
    """`w4a16`, `w8a8` or `fp8` of a compressed-tensors checkpoint (its first group of layers)."""
    groups = settings.get("config_groups")
    group: Any = next(iter(groups.values()), {}) if isinstance(groups, Mapping) else {}
    weights = group.get("weights") if isinstance(group, Mapping) else None
    if not isinstance(weights, Mapping):
        return "compressed"
    bits = weights.get("num_bits")
    if weights.get("type") == "float" and bits == 8:
        return "fp8"
    inputs = group.get("input_activations")
    return f"w{bits}a{inputs.get('num_bits') if isinstance(inputs, Mapping) else 16}"
