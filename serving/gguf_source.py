"""GGUF models: a file, a folder with one, or a repository of the hub and a quantisation in it.

    HEARTH_MODEL=/models/x-Q4_K_M.gguf        a file; of one in parts, the first
    HEARTH_MODEL=unsloth/x-GGUF:Q5_K_M        a repository and a quantisation (Q4_K_M without one)

Nothing is downloaded here: serving/fetch.py does, before the engine is started.
"""

import dataclasses
import difflib
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errors import EngineError, InputError
from serving.gguf_file import Gguf, Listed, read_gguf
from serving.gguf_hub import FIX, PART, by_quantisation, cached_file, files_to_fetch
from serving.model_source import ModelSource
from settings import ROOT

_NAMED = re.compile(
    r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w./-]+))?(:(?P<what>[\w.-]+))?"
)
_ENCODERS = frozenset(  # llama.cpp's names of models that only embed
    [
        "bert",
        "modern-bert",
        "nomic-bert",
        "nomic-bert-moe",
        "neo-bert",
        "jina-bert-v2",
        "jina-bert-v3",
        "eurobert",
        "gemma-embedding",
        "t5encoder",
    ]
)


@dataclass(frozen=True)
class GgufSource:
    """A GGUF model. `source` is it as other engines' rows know models; `file` the (first) file
    on this machine, or None; then `source.files` are to be downloaded from `repo` at `revision`.

    `head` is what the file says of itself, None for one that is to be fetched.
    """

    source: ModelSource
    file: Path | None
    repo: str = ""
    revision: str | None = None
    head: Gguf | None = None


def names_gguf(name: str) -> bool:
    """Whether the setting `model` names a GGUF model, which llama.cpp alone can run."""
    if name.lower().endswith(".gguf"):
        return True
    named = _NAMED.fullmatch(name)
    if named and (named["what"] or named["repo"].lower().endswith("-gguf")):
        return True
    folder = _local(name)
    return folder is not None and folder.is_dir() and _holds_only_gguf(folder)


def resolve_gguf(name: str) -> GgufSource:
    """The GGUF model of this name.

    Raises InputError for what is none, or none that chats; EngineError for one on the hub that
    can't be had.
    """
    found = _local(name)
    if found is not None:
        return _of_file(_file_in(found, name) if found.is_dir() else found, name)
    named = _NAMED.fullmatch(name)
    if named is None or (name.lower().endswith(".gguf") and not named["what"]):
        raise InputError(f"There is no GGUF file {name}.{_near(name)}", fix=FIX)
    return _of_hub(name, named["repo"], named["revision"], named["what"] or "")


def _local(name: str) -> Path | None:
    try:
        path = Path(name).expanduser()
        return next((p.resolve() for p in (path, ROOT / path) if p.exists()), None)
    except (OSError, RuntimeError):
        return None


def _near(name: str) -> str:
    path = Path(name)
    try:
        names = [p.name for p in path.parent.iterdir() if p.suffix == ".gguf"]
    except OSError:
        return ""
    close = difflib.get_close_matches(path.name, names, n=1)
    return f" Did you mean {path.parent / close[0]}?" if close else ""


def _holds_only_gguf(folder: Path) -> bool:
    try:
        suffixes = {p.suffix for p in folder.iterdir()}
    except OSError:
        return False
    return ".gguf" in suffixes and not suffixes & {".safetensors", ".bin"}


# files


def _file_in(folder: Path, shown: str) -> Path:
    """The one model in a folder."""
    models = by_quantisation(p.name for p in folder.glob("*.gguf"))
    if len(models) == 1:
        (names,) = models.values()
        return folder / names[0]
    if models:
        listed = ", ".join(names[0] for names in models.values())
        raise InputError(
            f"{shown} holds several GGUF models: {listed}.",
            fix="Set HEARTH_MODEL to one of these files.",
        )
    raise InputError(
        f"{shown} holds no GGUF file, and llama.cpp runs nothing else.",
        fix="Set HEARTH_ENGINE to transformers or vllm for this folder, name the model's GGUF "
        "repository, or convert it with llama.cpp's convert_hf_to_gguf.py.",
    )


def _of_file(path: Path, shown: str) -> GgufSource:
    part = PART.search(path.name)
    if part and part[1] != "00001":
        first = path.with_name(path.name.replace(f"-{part[1]}-of-", "-00001-of-"))
        raise _no_gguf(shown, f"it is a part of a model; name the first, {first.name}")
    head = check_gguf(path, shown)
    files = _parts_of(path, head, shown)
    stats = [p.stat() for p in files]
    marks = [(p.name, s.st_size, s.st_mtime_ns) for p, s in zip(files, stats, strict=True)]
    source = ModelSource(
        model_id=PART.sub(".gguf", path.name).removesuffix(".gguf"),
        shown=shown,
        folder=path.parent,
        from_hub=False,
        weight_bytes=sum(s.st_size for s in stats),
        quantized=True,
        fingerprint=hashlib.sha256(repr(marks).encode()).hexdigest()[:12],
    )
    return GgufSource(source, path, head=head)


def check_gguf(path: Path, shown: str) -> Gguf:
    """The head of a model's file. Raises InputError, in one sentence, for what can't chat."""
    try:
        head = read_gguf(path)
    except OSError as error:
        raise _no_gguf(shown, f"it can't be read ({error.strerror})") from None
    except ValueError as error:
        raise _no_gguf(shown, str(error)) from None
    why = _why_no_chat(head)
    if why:
        raise _no_gguf(shown, why)
    return head


def _why_no_chat(head: Gguf) -> str:
    kind = str(head.metadata.get("general.type", "model"))
    if kind == "mmproj" or head.architecture == "clip":
        return "it is the part of a model that sees pictures, not the model"
    if kind != "model":
        return f"it is no model but its {kind}"
    pooled = head.of_architecture("pooling_type")
    causal = head.of_architecture("attention.causal")
    if head.architecture in _ENCODERS or pooled or causal is False:
        return "it is an embedding model, which does not generate text"
    if not isinstance(head.metadata.get("tokenizer.ggml.tokens"), Listed):
        return "it has no vocabulary"
    if not head.metadata.get("tokenizer.chat_template"):
        return "it has no chat template, so it is not a chat model"
    return ""


def _parts_of(path: Path, head: Gguf, shown: str) -> list[Path]:
    if head.parts == 1:
        return [path]
    found = PART.search(path.name)
    if found is None:
        raise _no_gguf(shown, f"it is one of {head.parts} parts and not named like one")
    stem = path.name[: found.start()]
    count = int(found[2])
    parts = [path.with_name(f"{stem}-{n:05}-of-{count:05}.gguf") for n in range(1, count + 1)]
    missing = [p.name for p in parts if not p.exists()]
    if missing:
        raise _no_gguf(shown, f"{len(missing)} of its {count} parts are missing ({missing[0]})")
    return parts


def _no_gguf(shown: str, why: str) -> InputError:
    return InputError(f"{shown} can't be run by llama.cpp: {why}.", fix=FIX)


def _of_hub(name: str, repo: str, revision: str | None, what: str) -> GgufSource:
    cached = cached_file(repo, revision, what, name)
    if cached is not None:
        found = _of_file(cached, name)
        source = dataclasses.replace(found.source, model_id=name, from_hub=True)
        return dataclasses.replace(found, source=source, repo=repo, revision=revision)
    files = files_to_fetch(name, repo, revision, what)
    size = sum(file.size for file in files)
    source = ModelSource(
        model_id=name,
        shown=name,
        folder=None,
        from_hub=True,
        weight_bytes=size,
        download_bytes=size,
        quantized=True,
        files=files,
    )
    return GgufSource(source, None, repo, revision)


# what it is like


def config_of(head: Gguf) -> dict[str, Any]:
    """A file's metadata as the config.json that the model had: for its shape and its family."""
    get = head.of_architecture
    kind = _MODEL_TYPES.get(head.architecture, head.architecture)
    tokens = head.metadata.get("tokenizer.ggml.tokens")
    config = {
        "model_type": kind,
        "architectures": [f"{kind}ForCausalLM"],
        "num_hidden_layers": get("block_count"),
        "hidden_size": get("embedding_length"),
        "num_attention_heads": _largest(get("attention.head_count")),
        "num_key_value_heads": _largest(get("attention.head_count_kv")),
        "head_dim": get("attention.key_length"),
        "intermediate_size": _largest(get("feed_forward_length")),
        "vocab_size": tokens.length if isinstance(tokens, Listed) else None,
        "max_position_embeddings": get("context_length"),
        "num_experts": get("expert_count"),
        "num_experts_per_tok": get("expert_used_count"),
        "moe_intermediate_size": get("expert_feed_forward_length"),
        "sliding_window": get("attention.sliding_window"),
        "chat_template": head.metadata.get("tokenizer.chat_template"),
        "name": head.metadata.get("general.name"),
    }
    return {name: value for name, value in config.items() if value is not None}


_MODEL_TYPES = {"qwen3moe": "qwen3_moe", "qwen2moe": "qwen2_moe", "gpt-oss": "gpt_oss"}


def _largest(value: Any) -> Any:
    """One number, also where there is one for each layer."""
    return max(value) if isinstance(value, list) and value else value


def head_config(name: str) -> dict[str, Any]:
    """`config_of` the file that the setting `model` names, or of the one in the hub's cache;
    empty where none is on this machine."""
    try:
        found = _local(name)
        if found is None:
            named = _NAMED.fullmatch(name)
            if named is None:
                return {}
            found = cached_file(named["repo"], named["revision"], named["what"] or "", name)
        elif found.is_dir():
            found = _file_in(found, name)
        return config_of(read_gguf(found)) if found else {}
    except (InputError, EngineError, OSError, ValueError):
        return {}
