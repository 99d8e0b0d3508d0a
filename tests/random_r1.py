"""A randomly initialised model of R1-Distill-Qwen's own dimensions, as a folder of shards.

Nothing is downloaded: the shape is what Hearth knows of the model (serving/plan/known.py). The
weights are written shard by shard, so that a 7B needs 2 GB of main memory and 15 GB of disk.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.random_tiny_model import BOS, EOS, write_tokenizer

SHARD_BYTES = 2 << 30
_NOISE = 1 << 22  # values drawn once; each tensor begins elsewhere in them
_DEVIATION = 0.02  # what Qwen2 is initialised with


def build_random_r1(
    folder: Path, config: dict[str, Any], *, shard_bytes: int = SHARD_BYTES
) -> Path:
    """Write a model of `config`, in bfloat16, into `folder` and return it.

    Its tokenizer is one of bytes, with names for all other ids, so that any token can be said.
    """
    import torch
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoModelForCausalLM

    folder.mkdir(parents=True, exist_ok=True)
    context = config["max_position_embeddings"]
    tokenizer = write_tokenizer(folder, size=config["vocab_size"], context=context)
    assert tokenizer.get_vocab_size() == config["vocab_size"]
    known = AutoConfig.for_model(**config)
    known.architectures, known.dtype = config["architectures"], torch.bfloat16
    known.bos_token_id = tokenizer.token_to_id(BOS)
    known.eos_token_id = tokenizer.token_to_id(EOS)
    known.save_pretrained(folder)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(known, dtype=torch.bfloat16)
    sizes = {name: value.shape for name, value in model.state_dict().items()}
    if config.get("tie_word_embeddings"):
        sizes.pop("lm_head.weight", None)
    torch.manual_seed(0)
    noise = (torch.randn(_NOISE) * _DEVIATION).to(torch.bfloat16)
    places: dict[str, str] = {}
    for number, names in enumerate(_shards(sizes, shard_bytes)):
        file = f"model-{number:05}.safetensors"
        tensors = {name: _filled(name, sizes[name], noise) for name in names}
        save_file(tensors, folder / file, {"format": "pt"})
        places |= dict.fromkeys(names, file)
    total = 2 * sum(size.numel() for size in sizes.values())
    index = {"metadata": {"total_size": total}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def _shards(sizes: dict[str, Any], most: int) -> Iterator[list[str]]:
    """The names in order, in parts of at most so many bytes (one tensor at least)."""
    names: list[str] = []
    held = 0
    for name, size in sizes.items():
        if names and held + 2 * size.numel() > most:
            yield names
            names, held = [], 0
        names.append(name)
        held += 2 * size.numel()
    yield names


def _filled(name: str, size: Any, noise: Any) -> Any:
    """A norm is ones, a bias zeros, any other tensor a stretch of the noise, repeated."""
    import torch

    if "norm" in name:
        return torch.ones(size, dtype=torch.bfloat16)
    if name.endswith("bias"):
        return torch.zeros(size, dtype=torch.bfloat16)
    turned = noise.roll(hash(size) % _NOISE + len(name) * 7919)
    rounds = -(-size.numel() // _NOISE)
    return turned.repeat(rounds)[: size.numel()].reshape(size).clone()
