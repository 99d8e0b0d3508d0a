"""Models on the disk and on the hub: what is checked before an engine is started for one."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from errors import InputError
from serving.model_source import resolve_model
from settings import ROOT
from tests.engine_help import Serve, serving


@pytest.fixture
def copy(toy: Path, tmp_path: Path) -> Path:
    """A copy of the toy model that a test may damage."""
    return Path(shutil.copytree(toy, tmp_path / "copy"))


@pytest.fixture
def serve() -> Iterator[Serve]:
    with serving() as serve:
        yield serve


# models on the disk ---------------------------------------------------------------------------


def test_a_whole_model_folder(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = resolve_model(str(toy))
    assert (source.model_id, source.folder, source.download_bytes) == ("toy", toy, 0)
    assert source.weight_bytes == (toy / "model.safetensors").stat().st_size
    monkeypatch.chdir(toy.parent)
    assert resolve_model("toy") == source.__class__(**{**source.__dict__, "shown": "toy"})
    assert resolve_model("toy/").folder == toy


def test_other_weights_are_another_model(copy: Path) -> None:
    before = resolve_model(str(copy)).fingerprint
    weights = copy / "model.safetensors"
    os.utime(weights, ns=(1, 1))
    assert resolve_model(str(copy)).fingerprint != before


def remove(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def write(name: str, text: str | bytes) -> Callable[[Path], object]:
    data = text.encode() if isinstance(text, str) else text
    return lambda folder: (folder / name).write_bytes(data)


def cut(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:-100])


def empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def only(name: str) -> Callable[[Path], object]:
    return lambda folder: (empty(folder), (folder / name).write_text("x"))


def lose_a_shard(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (empty, "it is empty"),
        (remove("config.json"), "there is no config.json in it"),
        (remove("model.safetensors"), "there are no weights"),
        (remove("tokenizer.json"), "there is no tokenizer"),
        (remove("chat_template.jinja"), "it has no chat template"),
        (write("config.json", "{"), "config.json is not JSON"),
        (write("config.json", "[]"), "config.json is not a JSON object"),
        (write("config.json", "{}"), "names no architecture"),
        (write("config.json", '{"architectures": ["BertModel"]}'), "BertModel does not generate"),
        (write("model.safetensors", "version https://git-lfs"), "is a Git LFS pointer"),
        (write("model.safetensors", b"x"), "its header is not safetensors"),
        (write("model.safetensors", b"\x02" + 7 * b"\0" + b"[]"), "its header is garbled"),
        (cut, "model.safetensors is cut short"),
        (write("model.safetensors.index.json", "{}"), "names no weight files"),
        (lose_a_shard, "1 of its 2 weight files are missing (model-2.safetensors)"),
        (only("model-Q4_K_M.gguf"), "it holds GGUF files"),
        (only("adapter_config.json"), "it is an adapter (LoRA)"),
    ],
)
def test_a_folder_that_is_no_model(copy: Path, damage: Callable[[Path], object], said: str) -> None:
    damage(copy)
    with pytest.raises(InputError) as caught:
        resolve_model(str(copy))
    assert said in caught.value.message and str(copy) in caught.value.message
    assert "\n" not in caught.value.message and "Set HEARTH_MODEL to" in caught.value.fix


def test_shards_that_are_all_there(copy: Path) -> None:
    lose_a_shard(copy)
    (copy / "model-2.safetensors").write_bytes((copy / "model-1.safetensors").read_bytes())
    assert resolve_model(str(copy)).folder == copy


def test_an_unreadable_file(copy: Path) -> None:
    (copy / "config.json").unlink()
    (copy / "config.json").mkdir()  # even root can't read this one
    with pytest.raises(InputError, match=r"config.json can't be read"):
        resolve_model(str(copy))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("/no/such/folder", "There is no model folder"),
        ("./nothing", "There is no model folder"),
        ("two words", "There is no model folder"),
        ("~nosuchuser/model", "it can't be found"),
        ("x" * 5000, "can't be read"),
        (__file__, "it is a file"),
    ],
)
def test_a_name_that_is_no_model(name: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve_model(name)
    assert said in caught.value.message and caught.value.fix


def test_a_mistyped_folder_gets_a_hint(toy: Path) -> None:
    with pytest.raises(InputError) as caught:
        resolve_model(str(toy.parent / "tooy"))
    assert f"Did you mean {toy}?" in caught.value.fix


def test_a_folder_with_an_at_sign(copy: Path) -> None:
    with pytest.raises(InputError, match="has an @ in it"):
        resolve_model(str(copy.rename(copy.with_name("a@b"))))


# models on the hub ----------------------------------------------------------------------------


class Hub(BaseHTTPRequestHandler):
    """As much of the hub's API as a look at a model needs."""

    def do_GET(self) -> None:
        files = [
            {"rfilename": "config.json", "size": 600},
            {"rfilename": "model.safetensors", "size": 15_200_000_000},
            {"rfilename": "pytorch_model.bin", "size": 15_200_000_000},
            {"rfilename": "original/model.safetensors", "size": 15_200_000_000},
        ]
        status, code, info = 200, "", {"id": "x", "siblings": files}
        if "/org/missing" in self.path:
            status, code = 401, "RepoNotFound"
        elif "/org/gated" in self.path:
            status, code = 403, "GatedRepo"
        elif "/org/dataset" in self.path:
            info["siblings"] = [{"rfilename": "README.md", "size": 1}]
        body = json.dumps(info).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        if code:
            self.send_header("x-error-code", code)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


LOOK = """
import sys
from serving.model_source import resolve_model
from errors import HearthError
for name in sys.argv[1:]:
    try:
        print(resolve_model(name))
    except HearthError as error:
        print(type(error).__name__, error.message, "|", error.fix)
"""


def look(hub: str, cache: Path, *names: str) -> list[str]:
    """What `resolve_model` says of each name, in a process of its own: the hub's client reads
    its settings when it is imported."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK, *names],
        cwd=ROOT,
        env={**os.environ, "HF_ENDPOINT": hub, "HF_HOME": str(cache), "HF_HUB_OFFLINE": "0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.splitlines()


def test_a_model_of_the_hub(serve: Serve, tmp_path: Path) -> None:
    names = ["org/model", "org/missing", "org/gated", "org/dataset"]
    model, missing, gated, dataset = look(serve(Hub), tmp_path, *names)
    assert "download_bytes=15200000600" in model and "folder=None" in model
    assert missing.startswith("InputError Hugging Face has no model org/missing")
    assert "org/gated is gated" in gated and "hf auth login" in gated
    assert "org/dataset is no model" in dataset


def test_without_a_network(toy: Path, tmp_path: Path) -> None:
    """What is in the hub's cache is used as it is; the rest is one clear sentence."""
    snapshot = tmp_path / "hub" / "models--org--toy" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("abc")
    for file in toy.iterdir():
        (snapshot / file.name).symlink_to(file)
    nobody = "http://127.0.0.1:9"
    cached, absent, bare = look(nobody, tmp_path, "org/toy", "org/absent", "absent")
    assert "model_id='org/toy'" in cached and "download_bytes=0" in cached
    assert absent.startswith("EngineError The model org/absent is not on this machine")
    assert "Connect to the network" in absent
    assert bare.startswith("InputError There is no model folder absent") and "HEARTH_MODEL" in bare
    (snapshot / "model.safetensors").unlink()
    assert "org/toy is not whole on this machine" in look(nobody, tmp_path, "org/toy")[0]
