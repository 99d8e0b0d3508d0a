"""GGUF repositories of the hub: which files are the model that is asked for, and where they are."""

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from errors import InputError
from serving.hub_files import HubFile, all_files, bytes_there, check_space, hub_cache
from serving.model_source import hub_error, may_read, must_accept

PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")
FIX = (
    "Set HEARTH_MODEL to a chat model's .gguf file, or to a repository and a quantisation such as "
    "unsloth/DeepSeek-R1-Distill-Qwen-7B-GGUF:Q4_K_M."
)
# Where none is asked for: what a CPU reads quickly without losing much, then what there is.
_WANTED = ("Q4_K_M", "MXFP4", "UD-Q4_K_XL", "Q4_K_S", "Q4_0", "Q5_K_M", "Q6_K", "Q8_0", "F16")


def by_quantisation(names: Iterable[str]) -> dict[str, list[str]]:
    """The models among the files of a repository: what each file's name ends with, such as
    `Q4_K_M`, and its files, in order where there are several parts."""
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        base = name.rpartition("/")[2]
        if not base.lower().endswith(".gguf") or base.lower().startswith(("mmproj", "imatrix")):
            continue
        stem = PART.sub("", base).removesuffix(".gguf")
        quant = re.search(r"(?i)(?:UD-)?(?:I?Q\d\w*|TQ\d_0|MXFP4\w*|BF16|F16|F32)$", stem)
        found.setdefault(quant.group().upper() if quant else stem, []).append(name)
    return found


def choose(names: Sequence[str], asked: str, shown: str) -> list[str]:
    """The files of the quantisation that is asked for, or of the best known one.

    Raises InputError, with those that there are.
    """
    models = by_quantisation(names)
    if not models:
        raise InputError(f"{shown} is a repository without GGUF files.", fix=FIX)
    if asked.lower().endswith(".gguf"):
        exact = [
            files for files in models.values() if asked in {f.rpartition("/")[2] for f in files}
        ]
        if exact:
            return exact[0]
    elif asked:
        if asked.upper() in models:
            return models[asked.upper()]
    else:
        best = next((q for q in _WANTED if q in models), None)
        if best or len(models) == 1:
            return models[best] if best else next(iter(models.values()))
    close = difflib.get_close_matches(asked.upper(), models, n=1)
    hint = f" Did you mean {close[0]}?" if close and asked else ""
    what = f"no {asked}" if asked else "several quantisations, none of them usual"
    raise InputError(
        f"{shown} has {what}.{hint}",
        fix=f"Name one after a colon: {', '.join(models)}.",
    )


def cached_file(repo: str, revision: str | None, what: str, shown: str) -> Path | None:
    """The (first) file in the hub's cache, where all of the model is there.

    The hub's client names a file only once it is whole.
    """
    folder = hub_cache() / ("models--" + repo.replace("/", "--"))
    try:
        commit = (folder / "refs" / (revision or "main")).read_text("utf-8").strip()
    except OSError:
        commit = revision or ""
    snapshot = folder / "snapshots" / commit
    names = [str(p.relative_to(snapshot)) for p in snapshot.rglob("*.gguf") if p.exists()]
    if not commit or not names:
        return None
    try:
        chosen = choose(names, what, shown)
    except InputError:
        return None
    part = PART.search(chosen[0])
    if part and int(part[2]) != len(chosen):
        return None
    return snapshot / chosen[0]


def files_to_fetch(name: str, repo: str, revision: str | None, what: str) -> tuple[HubFile, ...]:
    """The files of a model on the hub; nothing is downloaded.

    Raises InputError where there are none, EngineError where they can't be had.
    """
    from huggingface_hub import HfApi
    from huggingface_hub import errors as hub

    try:
        info = HfApi().model_info(repo, revision=revision, files_metadata=True, timeout=15)
    except (hub.HTTPError, OSError) as error:
        raise hub_error(error, repo, "is not") from None
    if getattr(info, "gated", False) and not may_read(repo, revision):
        raise must_accept(repo)
    files = {f.name: f for f in all_files(info)}
    chosen = tuple(files[n] for n in choose(list(files), what, name))
    check_space(name, sum(f.size for f in chosen) - bytes_there(repo, chosen))
    return chosen
