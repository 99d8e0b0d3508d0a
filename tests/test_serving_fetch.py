"""Models that come from a hub: with progress, through every fault that a hub on loopback can have.

The hub's client reads its settings when it is imported, so a process of its own looks and fetches.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from errors import EngineError
from serving.hub_files import (
    HubFile,
    begun,
    bytes_there,
    check_space,
    checksum,
    needed_files,
    weight_files,
)
from serving.model_source import BUNDLED_FOLDER
from settings import ROOT
from tests.engine_help import eventually, on_small_disk, serving
from tests.fake_hub import COMMIT, TOKEN, WEIGHTS, git, hub_handler

FAULTS = ("slow", "cut", "damaged", "rotten", "missing", "gated", "refused", "private", "down")
FETCH = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from errors import HearthError
from serving.fetch import fetch_model
from serving.model_source import resolve_model

def look(fault):
    repo, said, seen = f"org/{fault}", [], []
    try:
        source = resolve_model(repo)
        came = source.files and fetch_model(
            repo, source, Path(sys.argv[1]), say=said.append, measure=seen.append,
            go_on=lambda: None,
        )
        whole = resolve_model(repo)
        outcome = {"came": came, "folder": str(whole.folder), "files": source.download_bytes}
    except HearthError as error:
        outcome = {"error": error.message, "fix": error.fix}
    progress = [(p.what.partition(" ")[0], p.done, p.total) for p in seen]
    return outcome | {"said": said, "progress": progress}

with ThreadPoolExecutor(3) as pool:
    found = dict(zip(sys.argv[2:], pool.map(look, sys.argv[2:])))
print(json.dumps(found))
"""

FILLED = """
import contextlib, json, sys
from pathlib import Path
from errors import HearthError
from serving.fetch import fetch_model
from serving.model_source import resolve_model

filler = Path(sys.argv[2])

def fill(progress):
    if not list(filler.parent.rglob("*.incomplete")):
        return  # the download has not begun
    with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
        while file.write(bytes(4096)):
            pass

def fetch(measure):
    source = resolve_model("org/slow")
    try:
        came = fetch_model(
            "org/slow", source, Path(sys.argv[1]), say=print_, measure=measure, go_on=lambda: None
        )
        return {"came": came}
    except HearthError as error:
        return {"error": error.message, "fix": error.fix}

def print_(line):
    sys.stderr.write(line)

filled = fetch(fill)
filler.unlink()
whole_then = resolve_model("org/slow").folder is not None
with_room = fetch(lambda progress: None)
print(json.dumps([filled, whole_then, with_room, resolve_model("org/slow").folder is not None]))
"""

DAMAGED = """
import json, sys
from pathlib import Path
from serving.fetch import fetch_model
from serving.model_source import resolve_model
from serving.supervisor import Supervisor
from settings import load_settings

data, said, seen = Path(sys.argv[1]), [], []
settings = load_settings(model="org/sound", engine="transformers", data_dir=data)
fetch_model(
    "org/sound", resolve_model("org/sound"), data, say=said.append, measure=seen.append,
    go_on=lambda: None,
)
folder = resolve_model("org/sound").folder
weights = (folder / "model.safetensors").resolve()
whole = weights.read_bytes()
weights.write_bytes(whole.replace(b'"BF16"', b'"B?16"', 1))
assert resolve_model("org/sound").folder == folder, "what looks before the start sees no damage"
before = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
supervisor = Supervisor(settings, on_progress=said.append, on_measure=seen.append)
with supervisor:
    logs = [p.read_text() for p in sorted((data / "logs").glob("engine-*"))]
changed = [p.name for p in folder.iterdir() if p.stat().st_mtime_ns != before[p.name]]
mended = (folder / "model.safetensors").read_bytes() == whole
print(json.dumps([said, changed, mended, logs]))
"""


def environment(address: str, home: Path, token: str = "") -> dict[str, str]:
    env = {**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0"}
    env.pop("HF_TOKEN", None)
    return env | ({"HF_TOKEN": token} if token else {})


def told(address: str, home: Path, *argv: str, token: str = "") -> Any:
    """What a process that has the hub at `address` and its cache in `home` prints, as JSON."""
    done = subprocess.run(
        [*argv],
        cwd=ROOT,
        env=environment(address, home, token),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def fetch(address: str, home: Path, *faults: str, token: str = "") -> dict[str, dict]:
    script = [sys.executable, "-c", FETCH, str(home / "logs"), *faults]
    return told(address, home, *script, token=token)


@pytest.fixture(scope="module")
def asked() -> Counter[str]:
    return Counter()


@pytest.fixture(scope="module")
def hub(toy: Path, asked: Counter[str]) -> Iterator[str]:
    with serving() as serve:
        yield serve(hub_handler(toy, asked))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(scope="module")
def found(hub: str, home: Path) -> dict[str, dict]:
    return fetch(hub, home, *FAULTS)


def test_bytes_are_counted_while_a_model_comes_in(found: dict[str, dict], toy: Path) -> None:
    slow = found["slow"]
    assert slow["came"] and slow["folder"].endswith(COMMIT)
    size = sum(f.stat().st_size for f in toy.iterdir())
    assert slow["files"] == size
    assert "org/slow is not on this machine yet" in slow["said"][0]
    downloading = [done for what, done, total in slow["progress"] if what == "downloading"]
    assert downloading == sorted(downloading) and downloading[-1] <= size
    assert all(total == size for what, _, total in slow["progress"] if what == "downloading")


def test_bytes_of_unfinished_files_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.hub_files.hub_cache", lambda: tmp_path)
    blobs = tmp_path / "models--org--model" / "blobs"
    blobs.mkdir(parents=True)
    files = [HubFile(name, 100_000, name * 64) for name in "abc"]
    (blobs / ("a" * 64)).write_bytes(bytes(100_000))
    (blobs / ("b" * 64 + ".0123abcd.incomplete")).write_bytes(b"x" * 40_960)
    os.sync()
    assert bytes_there("org/model@main", files) == 140_960
    assert len(begun("org/model")) == 1


def test_a_connection_that_is_cut_goes_on_where_it_was(
    found: dict[str, dict], asked: Counter[str]
) -> None:
    assert found["cut"]["came"] and asked["cut"] == 2


def test_a_damaged_file_is_deleted_and_fetched_again_once(
    found: dict[str, dict], asked: Counter[str], home: Path, toy: Path
) -> None:
    assert f"damaged, so fetched again: {WEIGHTS}" in found["damaged"]["said"]
    weights = Path(found["damaged"]["folder"]) / WEIGHTS
    assert weights.read_bytes() == (toy / WEIGHTS).read_bytes() and asked["damaged"] == 2
    rotten = found["rotten"]
    assert f"{WEIGHTS} of org/rotten arrived damaged twice" in rotten["error"] and rotten["fix"]
    assert asked["rotten"] == 2
    blobs = home / "hub" / "models--org--rotten" / "blobs"
    assert WEIGHTS not in {p.name for p in blobs.parent.glob("snapshots/*/*")}
    assert not list(home.rglob("*.incomplete"))


@pytest.mark.parametrize(
    ("fault", "said", "fix"),
    [
        ("missing", "Hugging Face has no model org/missing, or it is private", "hf auth login"),
        ("private", "Hugging Face has no model org/private, or it is private", "hf auth login"),
        ("gated", "The model org/gated is gated", "https://huggingface.co/org/gated"),
        ("refused", "Hugging Face refuses the token", "HF_TOKEN"),
        ("down", "can't be asked for it", "HEARTH_MODEL"),
    ],
)
def test_what_the_hub_refuses_is_one_clear_error(
    found: dict[str, dict], fault: str, said: str, fix: str
) -> None:
    assert said in found[fault]["error"] and fix in found[fault]["fix"]


def test_a_truncated_file_of_an_earlier_time_is_fetched_again(
    hub: str, home: Path, found: dict[str, dict], toy: Path
) -> None:
    """And a token of the user's reaches the hub."""
    weights = Path(found["slow"]["folder"]) / WEIGHTS
    blob = weights.resolve()
    blob.write_bytes(blob.read_bytes()[:-1000])
    again = fetch(hub, home, "slow", "private", token=TOKEN)
    assert again["slow"]["said"][-1] == f"damaged, so fetched again: {WEIGHTS}"
    assert weights.read_bytes() == (toy / WEIGHTS).read_bytes()
    assert again["private"]["came"]
    for log in (home / "logs").iterdir():
        assert TOKEN not in log.read_text()


def test_a_killed_download_is_not_taken_for_a_model(hub: str, home: Path, toy: Path) -> None:
    argv = [sys.executable, "-m", "serving.fetch_files", "org2/slow", ""]
    process = subprocess.Popen(argv, cwd=ROOT, env=environment(hub, home))
    blobs = home / "hub" / "models--org2--slow" / "blobs"
    assert eventually(lambda: list(blobs.glob("*.incomplete")))
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 1
    assert not list(blobs.glob("*.incomplete")), "no gigabytes are left lying"
    snapshot = home / "hub" / "models--org2--slow" / "snapshots" / COMMIT
    assert not (snapshot / WEIGHTS).exists()


def test_a_disk_without_room_is_said_before_anything_comes() -> None:
    with pytest.raises(EngineError, match=r"org/huge needs 1152921504.6 GB, but .* left") as caught:
        check_space("org/huge", 1 << 60)
    assert "HF_HOME" in caught.value.fix


def test_which_files_an_engine_needs() -> None:
    class Entry:
        def __init__(self, name: str, size: int) -> None:
            self.rfilename, self.size, self.lfs, self.blob_id = name, size, None, "b" * 40

    class Info:
        siblings = [
            Entry(name, 10)
            for name in (
                "config.json",
                "model-00001-of-00002.safetensors",
                "model-00002-of-00002.safetensors",
                "consolidated.safetensors",
                "pytorch_model.bin",
                "original/model.safetensors",
                "README.md",
                "tokenizer.json",
            )
        ]

    names = {f.name for f in needed_files(Info)}
    assert names == {
        "config.json",
        "tokenizer.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    }
    assert weight_files(["consolidated.safetensors"]) == {"consolidated.safetensors"}
    assert weight_files(["README.md"]) == set()


def test_both_kinds_of_checksum(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"hello")
    sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert checksum(file, "a" * 64) == sha256
    assert checksum(file, "a" * 40) == git(file) == "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0"


def test_a_disk_that_becomes_full_is_said_with_what_is_missing(
    hub: str, tmp_path: Path, toy: Path
) -> None:
    """And what is there by then is no model; with room again the rest comes."""
    size = sum(f.stat().st_size for f in toy.iterdir())
    home = tmp_path / "home"
    mounted = on_small_disk(home, size + 200_000)
    script = [sys.executable, "-c", FILLED, str(tmp_path / "logs"), str(home / "filler")]
    filled, whole_then, with_room, whole = told(hub, home, *mounted, *script)
    assert "The disk became full while org/slow was downloaded" in filled["error"]
    assert "0.4 MB of it are missing" in filled["error"] and size > 350_000
    assert f"{home / 'hub'} has only 0." in filled["error"] and "HF_HOME" in filled["fix"]
    assert not whole_then and with_room["came"] and whole


def test_a_garbled_file_of_an_earlier_time_is_fetched_again_alone(
    hub: str, home: Path, found: dict[str, dict], toy: Path, asked: Counter[str]
) -> None:
    weights = Path(found["slow"]["folder"]) / WEIGHTS
    blob, before = weights.resolve(), asked["slow"]
    blob.write_bytes(blob.read_bytes()[:8] + b"?" + blob.read_bytes()[9:])
    others = [p.stat().st_mtime_ns for p in weights.parent.iterdir() if p.name != WEIGHTS]
    again = fetch(hub, home, "slow")
    assert again["slow"]["came"], again
    assert weights.read_bytes() == (toy / WEIGHTS).read_bytes() and asked["slow"] == before + 1
    assert others == [p.stat().st_mtime_ns for p in weights.parent.iterdir() if p.name != WEIGHTS]


def test_damage_that_only_the_engine_notices_is_mended_and_it_starts(tmp_path: Path) -> None:
    """The real engine: its log tells the cause, and no other file is fetched anew."""
    asked: Counter[str] = Counter()
    with serving() as serve:
        address = serve(hub_handler(BUNDLED_FOLDER, asked))
        script = [sys.executable, "-c", DAMAGED, str(tmp_path / "data")]
        said, changed, mended, logs = told(address, tmp_path, *script)
    assert mended and changed == [WEIGHTS] and asked["sound"] == 2
    failed, check, started = logs
    assert "SafetensorError" in failed and "hearth-fetch" in check
    assert "Error" not in started and "startup complete" in started
    assert said[-4:-1] == [
        "comparing the model's files with their published checksums",
        f"damaged, so fetched again: {WEIGHTS}",
        "starting transformers with org/sound on CPU …",
    ]
    assert said[-1].startswith("ready in")
