"""Where a model's files are, and whether they are a model, before anything is started.

`resolve_model("tiny" | folder | hub id)` looks on the disk, asks the hub only for what the
disk hasn't got, and says in one sentence what is wrong and what to do. It downloads nothing.
"""

import difflib
import hashlib
import json
import re
import struct
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from errors import EngineError, HearthError, InputError
from serving.hub_files import HubFile, needed_files, weight_files
from settings import BUNDLED_MODEL, ROOT

BUNDLED_FOLDER = ROOT / "models" / "tiny"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?(@[\w./-]+)?")
_OTHER_FORMATS = {".gguf": "GGUF", ".onnx": "ONNX", ".mlx": "MLX"}


@dataclass(frozen=True)
class ModelSource:
    """A model that can be loaded. `model_id` is its name in requests: a folder's own name or
    the hub id; `shown` is for messages.

    `folder` is None while a hub model isn't whole on this machine; then `files` are to be
    downloaded, `download_bytes` in all. `fingerprint` changes when the files do.
    """

    model_id: str
    shown: str
    folder: Path | None
    from_hub: bool
    bundled: bool = False
    weight_bytes: int = 0
    download_bytes: int = 0
    quantized: bool = False
    fingerprint: str = ""
    files: tuple[HubFile, ...] = field(default=(), repr=False)


def resolve_model(name: str) -> ModelSource:
    """The model that the setting `model` names.

    Raises InputError for a name or folder that is no model, or a hub model that doesn't exist, and
    EngineError for one that may not be read or can't be reached.
    """
    if name == BUNDLED_MODEL:
        return _from_folder(BUNDLED_FOLDER, shown="models/tiny", bundled=True)
    try:
        path = Path(name).expanduser()
    except RuntimeError as error:  # ~somebody
        raise _no_model(name, f"it can't be found ({error})") from None
    try:
        for candidate in (path, ROOT / path):
            if candidate.is_dir():
                return _from_folder(candidate.resolve(), shown=name)
            if candidate.is_file() and candidate.suffix == ".gguf":
                raise InputError(
                    f"{name} is a GGUF file, which llama.cpp alone runs.",
                    fix="Set HEARTH_ENGINE to auto or llamacpp.",
                )
            if candidate.is_file():
                raise _no_model(name, "it is a file, not a folder with a model in it")
    except OSError as error:  # a folder on the way may not be entered, or the name is too long
        raise _no_model(name[:200], f"it can't be read ({error.strerror})") from None
    if name.startswith(("/", ".", "~")) or not _HUB_ID.fullmatch(name):
        raise InputError(
            f"There is no model folder {name}.",
            fix="Set HEARTH_MODEL to `tiny`, to an existing folder, or to a Hugging Face id such "
            f"as deepseek-ai/DeepSeek-R1-Distill-Qwen-7B.{_near_folder(path)}",
        )
    return _from_hub(name)


def _near_folder(path: Path) -> str:
    try:
        names = [p.name for p in path.parent.iterdir() if p.is_dir()]
    except OSError:
        return ""
    close = difflib.get_close_matches(path.name, names, n=1)
    return f" Did you mean {path.parent / close[0]}?" if close else ""


def _no_model(shown: str, why: str) -> InputError:
    return InputError(
        f"{shown} is no model that can be loaded: {why}.",
        fix="Set HEARTH_MODEL to `tiny`, to a folder with config.json, weights (.safetensors) and "
        "a tokenizer, or to a Hugging Face model id.",
    )


def _from_folder(folder: Path, *, shown: str, bundled: bool = False) -> ModelSource:
    if "@" in folder.name:  # the server reads what follows an @ as a revision
        raise _no_model(shown, "the folder's name has an @ in it; rename it")
    try:
        config = check_folder(folder, shown)
    except InputError as error:
        if not bundled:
            raise
        raise InputError(
            f"The bundled model in {shown} is not whole: {error.message}",
            fix="Get the folder again from the repository, or build it with `make tiny`.",
        ) from None
    return _whole(folder, config, model_id=folder.name, shown=shown, bundled=bundled)


def _whole(folder: Path, config: dict[str, Any], **given: Any) -> ModelSource:
    files = sorted(p for p in folder.iterdir() if p.suffix in (".safetensors", ".bin", ".json"))
    stats = [(p.name, p.stat()) for p in files]
    marks = [(name, s.st_size, s.st_mtime_ns) for name, s in stats]
    return ModelSource(
        folder=folder,
        from_hub=given.pop("from_hub", False),
        weight_bytes=sum(s.st_size for name, s in stats if not name.endswith(".json")),
        quantized="quantization_config" in config,
        fingerprint=hashlib.sha256(repr(marks).encode()).hexdigest()[:12],
        **given,
    )


def check_folder(folder: Path, shown: str) -> dict[str, Any]:
    """The folder's config.json, once config, weights and tokenizer are seen to be whole.

    Raises InputError, in one sentence, for whatever keeps it from being loaded as a chat model.
    """
    try:
        names = {p.name for p in folder.iterdir()}
        config = _checked_config(folder, names, shown)
        _check_weights(folder, names, shown)
        _check_tokenizer(folder, names, shown)
    except OSError as error:
        name = Path(error.filename).name if error.filename else shown
        raise _no_model(shown, f"{name} can't be read ({error.strerror})") from None
    return config


def read_config(folder: Path, shown: str) -> dict[str, Any]:
    """A model folder's config.json, whether its weights are there or not.

    Raises InputError when there is none, it can't be read, or the model generates no text.
    """
    try:
        return _checked_config(folder, {p.name for p in folder.iterdir()}, shown)
    except OSError as error:
        raise _no_model(shown, f"config.json can't be read ({error.strerror})") from None


def _checked_config(folder: Path, names: set[str], shown: str) -> dict[str, Any]:
    if "config.json" not in names:
        if "adapter_config.json" in names:
            raise _no_model(shown, "it is an adapter (LoRA); merge it into its base model first")
        for suffix, format_name in _OTHER_FORMATS.items():
            if any(name.endswith(suffix) for name in names):
                raise _no_model(shown, f"it holds {format_name} files, which need another engine")
        raise _no_model(shown, "there is no config.json in it" if names else "it is empty")
    config = _json(folder / "config.json", shown)
    architectures = config.get("architectures") or []
    if not architectures:
        raise _no_model(shown, "its config.json names no architecture")
    if not str(architectures[0]).endswith(("ForCausalLM", "ForConditionalGeneration")):
        raise _no_model(shown, f"{architectures[0]} does not generate text")
    return config


def _json(path: Path, shown: str) -> dict[str, Any]:
    try:
        data = json.loads(path.read_bytes())
    except ValueError as error:
        raise _no_model(shown, f"{path.name} is not JSON ({error})") from None
    if not isinstance(data, dict):
        raise _no_model(shown, f"{path.name} is not a JSON object")
    return data


def _check_weights(folder: Path, names: set[str], shown: str) -> None:
    for kind in ("model.safetensors", "pytorch_model.bin"):
        if f"{kind}.index.json" in names:
            index = _json(folder / f"{kind}.index.json", shown).get("weight_map")
            if not isinstance(index, dict):
                raise _no_model(shown, f"{kind}.index.json names no weight files")
            parts = sorted(set(map(str, index.values())))
            missing = [part for part in parts if part not in names]
            if missing:
                why = f"{len(missing)} of its {len(parts)} weight files are missing ({missing[0]})"
                raise _no_model(shown, why)
        elif kind in names:
            parts = [kind]
        else:
            continue
        for part in parts:
            _check_weight_file(folder / part, shown)
        return
    raise _no_model(shown, "there are no weights (model.safetensors) in it")


def _check_weight_file(path: Path, shown: str) -> None:
    with path.open("rb") as file:
        start = file.read(8)
        if start == b"version ":
            why = f"{path.name} is a Git LFS pointer, not the weights (run `git lfs pull`)"
            raise _no_model(shown, why)
        if path.suffix != ".safetensors":
            return
        size = path.stat().st_size
        length = struct.unpack("<Q", start.ljust(8, b"\xff"))[0]
        if length > min(size, 100_000_000):
            raise _no_model(shown, f"{path.name} is damaged (its header is not safetensors)")
        try:
            header = json.loads(file.read(length))
            ends = [int(t["data_offsets"][1]) for k, t in header.items() if k != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            raise _no_model(shown, f"{path.name} is damaged (its header is garbled)") from None
    if size < 8 + length + max(ends, default=0):
        raise _no_model(shown, f"{path.name} is cut short; copy or download it again")


def _check_tokenizer(folder: Path, names: set[str], shown: str) -> None:
    if not names & {"tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt"}:
        raise _no_model(shown, "there is no tokenizer (tokenizer.json) in it")
    templates = {"chat_template.jinja", "chat_template.json", "additional_chat_templates"}
    if names & templates:
        return
    if "tokenizer_config.json" in names:
        text = _json(folder / "tokenizer_config.json", shown).get("chat_template")
        if text:
            return
    raise _no_model(shown, "it has no chat template, so it is not a chat model")


def _from_hub(model_id: str) -> ModelSource:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    repo, _, revision = model_id.partition("@")
    try:
        cached = try_to_load_from_cache(repo, "config.json", revision=revision or None)
    except HFValidationError as error:
        raise InputError(f"{model_id} is no Hugging Face model id: {error}") from None
    if isinstance(cached, str):
        snapshot = Path(cached).parent
        try:
            config = check_folder(snapshot, model_id)
        except InputError as error:
            why = error
        else:
            return _whole(snapshot, config, model_id=model_id, shown=model_id, from_hub=True)
    else:
        why = None
    return _to_download(model_id, repo, revision or None, why)


def _to_download(model_id: str, repo: str, revision: str | None, why: Any) -> ModelSource:
    """What is to be downloaded. Raises EngineError when it can't or mustn't be, InputError when
    there is no such model."""
    from huggingface_hub import HfApi
    from huggingface_hub import errors as hub

    try:
        info = HfApi().model_info(repo, revision=revision, files_metadata=True, timeout=15)
    except (hub.HTTPError, OSError) as error:
        raise hub_error(error, model_id, "is not whole" if why else "is not") from None
    if getattr(info, "gated", False) and not may_read(repo, revision):
        raise must_accept(repo)
    files = needed_files(info)
    if "config.json" not in {file.name for file in files}:
        raise _no_model(model_id, "its repository has no config.json with weights beside it")
    weights = weight_files(file.name for file in files)
    return ModelSource(
        model_id=model_id,
        shown=model_id,
        folder=None,
        from_hub=True,
        weight_bytes=sum(file.size for file in files if file.name in weights),
        download_bytes=sum(file.size for file in files),
        files=files,
    )


def listed_on_hub(loaded_id: str, source: ModelSource) -> ModelSource:
    """A hub model that is on this machine, with the files that the hub lists for it.

    Raises EngineError when the hub can't be asked.
    """
    repo, _, revision = loaded_id.partition("@")
    fresh = _to_download(loaded_id, repo, revision or None, "damaged")
    return replace(source, files=fresh.files, download_bytes=fresh.download_bytes)


def hub_error(error: Exception, model_id: str, how: str) -> HearthError:
    """What the hub's refusal or silence means; `how` is what the model isn't on this machine.

    InputError for a model that doesn't exist, which the user is to mend; else EngineError.
    """
    from huggingface_hub import errors as hub

    if isinstance(error, hub.GatedRepoError):
        return must_accept(model_id.partition("@")[0])
    if isinstance(error, hub.RepositoryNotFoundError | hub.RevisionNotFoundError):
        return InputError(
            f"Hugging Face has no model {model_id}, or it is private.",
            fix="Check HEARTH_MODEL for typing errors; for a private model, log in with "
            "`hf auth login`.",
        )
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return EngineError(
            f"Hugging Face refuses the token, or what it may read, for {model_id} ({status}).",
            fix="Log in anew with `hf auth login`, or set HF_TOKEN to a token that may read it; "
            "without any, public models can be read.",
        )
    reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    if "/" not in model_id:
        return InputError(
            f"There is no model folder {model_id}, and Hugging Face can't be asked for a model of "
            f"this name ({reason}).",
            fix="Set HEARTH_MODEL to `tiny`, to an existing folder, or to a whole Hugging Face id "
            "such as deepseek-ai/DeepSeek-R1-Distill-Qwen-7B.",
        )
    return EngineError(
        f"The model {model_id} {how} on this machine, and Hugging Face can't be asked for it "
        f"({reason}).",
        fix="Connect to the network, or set HEARTH_MODEL to a folder that holds it or to `tiny`, "
        "the bundled model.",
    )


def hub_config(model_id: str, *, ask: bool = True) -> dict[str, Any] | None:
    """The config.json of a hub model: from the cache, else downloaded (a few hundred bytes).

    None when it isn't in the cache and `ask` is false. Raises InputError for what is no model id
    or no model, EngineError when the hub refuses it or can't be reached.
    """
    from huggingface_hub import errors as hub
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    repo, _, revision = model_id.partition("@")
    try:
        found = try_to_load_from_cache(repo, "config.json", revision=revision or None)
        if not isinstance(found, str):
            if not ask:
                return None
            found = hf_hub_download(repo, "config.json", revision=revision or None, etag_timeout=10)
    except hub.HFValidationError as error:
        raise InputError(f"{model_id} is no Hugging Face model id: {error}") from None
    except hub.RemoteEntryNotFoundError:
        raise _no_model(model_id, "its repository has no config.json") from None
    except (hub.HTTPError, OSError) as error:
        raise hub_error(error, model_id, "is not") from None
    return _json(Path(found), model_id)


def must_accept(repo: str) -> EngineError:
    """The error for a gated repository that this user may not read."""
    return EngineError(
        f"The model {repo} is gated: its owner asks you to accept the licence first.",
        fix=f"Accept it at https://huggingface.co/{repo} and log in with `hf auth login`.",
    )


def may_read(repo: str, revision: str | None) -> bool:
    """Whether this user may read a gated repository; true where the hub does not say."""
    from huggingface_hub import HfApi
    from huggingface_hub import errors as hub

    try:
        HfApi().auth_check(repo)
    except (hub.GatedRepoError, hub.RepositoryNotFoundError):
        return False
    except (hub.HTTPError, OSError):
        return True  # not answered: let the engine try
    return True
