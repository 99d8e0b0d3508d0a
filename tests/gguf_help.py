"""GGUF files for tests, written by llama.cpp's own library: the bundled model, and bad ones."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from serving.model_source import BUNDLED_FOLDER


def bundled_gguf(path: Path, *, name: str = "tiny", **metadata: Any) -> Path:
    """The bundled model (Qwen2, in bfloat16) as a GGUF file in 32 bits.

    `metadata` are more entries, or others, by their last name: `pooling_type=1`.
    """
    config = _json("config.json")
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_name(name)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    _add_tokenizer(writer, config)
    if "pooling_type" in metadata:
        writer.add_uint32("qwen2.pooling_type", metadata["pooling_type"])
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, config["num_hidden_layers"])
    for tensor, values in _weights(BUNDLED_FOLDER / "model.safetensors"):
        found = names.get_name(tensor, try_suffixes=(".weight", ".bias"))
        assert found, tensor
        writer.add_tensor(found, values)
    return _write(writer, path)


def small_gguf(
    path: Path,
    architecture: str = "qwen2",
    *,
    template: str = "{{ messages }}",
    vocabulary: int = 8,
    **entries: int | str | bool,
) -> Path:
    """A GGUF file with one small tensor; `entries` are metadata, `_` for the dots in their keys'
    last part only: `general__type="mmproj"` is `general.type`."""
    writer = gguf.GGUFWriter(path, architecture)
    if vocabulary:
        writer.add_tokenizer_model("gpt2")
        writer.add_token_list([f"t{n}" for n in range(vocabulary)])
        writer.add_token_merges([f"a{n} b" for n in range(vocabulary)])
    if template:
        writer.add_chat_template(template)
    for key, value in entries.items():
        name = key.replace("__", ".")
        if isinstance(value, bool):
            writer.add_bool(name, value)
        elif isinstance(value, int):
            writer.add_uint32(name, value)
        else:
            writer.add_string(name, value)
    writer.add_tensor("token_embd.weight", np.zeros((8, 64), dtype=np.float32))
    return _write(writer, path)


def _write(writer: gguf.GGUFWriter, path: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _json(name: str) -> Any:
    return json.loads((BUNDLED_FOLDER / name).read_text("utf-8"))


def _add_tokenizer(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    tokenizer = _json("tokenizer.json")
    added = {token["id"]: token for token in tokenizer["added_tokens"]}
    known = {number: token for token, number in tokenizer["model"]["vocab"].items()}
    tokens, types = [], []
    for number in range(config["vocab_size"]):
        if number in added:
            # <think> is no special token: it must come out as text.
            special = added[number]["special"]
            kind = gguf.TokenType.CONTROL if special else gguf.TokenType.USER_DEFINED
            tokens.append(added[number]["content"])
        else:
            kind = gguf.TokenType.NORMAL if number in known else gguf.TokenType.UNUSED
            tokens.append(known.get(number, f"[PAD{number}]"))
        types.append(kind)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")  # whose way of splitting words the bundled tokenizer has
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    writer.add_add_bos_token(False)
    writer.add_chat_template((BUNDLED_FOLDER / "chat_template.jinja").read_text("utf-8"))


def _weights(path: Path) -> Iterator[tuple[str, Any]]:
    """The tensors of a safetensors file in bfloat16, in 32 bits."""
    data = np.memmap(path, dtype=np.uint8, mode="r")
    (length,) = struct.unpack("<Q", data[:8].tobytes())
    head = json.loads(data[8 : 8 + length].tobytes())
    for name, entry in head.items():
        if name == "__metadata__":
            continue
        assert entry["dtype"] == "BF16"
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        halves = data[begin:end].view(np.uint16).astype(np.uint32)
        yield name, (halves << 16).view(np.float32).reshape(entry["shape"])
