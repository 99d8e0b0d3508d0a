"""A randomly initialised model of toy size, in the shape of R1-Distill-Qwen.

It speaks nonsense, but it is a whole model folder: Qwen2 weights in safetensors, a byte
tokenizer, and a chat template that opens the thinking, with `<think>` and `</think>` as
ordinary added tokens. Enough for a real engine to load and to stream from.

Written without torch and transformers, whose import takes seconds in each process of tests.
"""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

BOS, EOS = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"
USER, ASSISTANT = "<｜User｜>", "<｜Assistant｜>"

_ADDED = 6  # tokens beside the bytes: these four, and the tags of the thinking

CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}"
    "{{ '" + ASSISTANT + "' + message['content'].split('</think>')[-1].strip() + '" + EOS + "' }}"
    "{% elif message['role'] == 'system' %}{{ message['content'] }}"
    "{% else %}{{ '" + USER + "' + message['content'] }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '" + ASSISTANT + "<think>\\n' }}{% endif %}"
)


def build_random_model(folder: Path) -> Path:
    """Write the model into `folder` (made if absent) and return it.

    Its generation_config.json makes end-of-sentence impossible, so that a reply lasts until
    max_tokens: what a test of cancelling or of limits needs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = write_tokenizer(folder)
    ends = {"bos_token_id": tokenizer.token_to_id(BOS), "eos_token_id": tokenizer.token_to_id(EOS)}
    config = {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "vocab_size": tokenizer.get_vocab_size(),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
        "dtype": "float32",
        **ends,
    }
    sampling = {"do_sample": True, "temperature": 0.6, "top_p": 0.95}
    generation = {**sampling, **ends, "suppress_tokens": [ends["eos_token_id"]]}
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2))
    weights = _random_weights(tokenizer.get_vocab_size(), hidden=64, inner=128, layers=2, kv=32)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def _random_weights(
    vocabulary: int, *, hidden: int, inner: int, layers: int, kv: int
) -> dict[str, np.ndarray]:
    """Qwen2's tensors as it initialises them: norms are ones, biases zeros, others noise."""
    random = np.random.default_rng(0)

    def noise(*size: int) -> np.ndarray:
        return random.normal(0, 0.02, size).astype(np.float32)

    ones = np.ones(hidden, np.float32)
    weights = {"embed_tokens.weight": noise(vocabulary, hidden), "norm.weight": ones}
    for layer in (f"layers.{number}." for number in range(layers)):
        for name, width in (("q", hidden), ("k", kv), ("v", kv)):
            weights[f"{layer}self_attn.{name}_proj.weight"] = noise(width, hidden)
            weights[f"{layer}self_attn.{name}_proj.bias"] = np.zeros(width, np.float32)
        weights[f"{layer}self_attn.o_proj.weight"] = noise(hidden, hidden)
        weights[f"{layer}mlp.gate_proj.weight"] = noise(inner, hidden)
        weights[f"{layer}mlp.up_proj.weight"] = noise(inner, hidden)
        weights[f"{layer}mlp.down_proj.weight"] = noise(hidden, inner)
        weights[f"{layer}input_layernorm.weight"] = ones
        weights[f"{layer}post_attention_layernorm.weight"] = ones
    return {f"model.{name}": value for name, value in weights.items()}


def write_tokenizer(folder: Path, *, size: int = 0, context: int = 2048) -> Tokenizer:
    """Save the byte tokenizer and its chat template into `folder`; returns the tokenizer.

    `size`: with names for so many ids in all, so that a larger model's tokens can all be said.
    """
    tokenizer = _byte_tokenizer(size)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "TokenizersBackend",
        "backend": "tokenizers",
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": EOS,
        "clean_up_tokenization_spaces": False,
        "model_max_length": context,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2))
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    return tokenizer


def _byte_tokenizer(size: int) -> Tokenizer:
    words = sorted(pre_tokenizers.ByteLevel.alphabet())
    words += [f"w{number}" for number in range(len(words) + _ADDED, size)]
    tokenizer = Tokenizer(BPE(vocab={word: i for i, word in enumerate(words)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t in (BOS, EOS)])
    ordinary = [USER, ASSISTANT, "<think>", "</think>"]
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in ordinary])
    return tokenizer
