"""GGUF models, before anything is started: files, folders and repositories, and what is wrong."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import gguf
import pytest

from errors import HearthError, InputError
from serving.gguf_file import Listed, read_gguf
from serving.gguf_hub import choose
from serving.gguf_source import names_gguf, resolve_gguf
from serving.hub_files import HubFile
from serving.model_family import family_of_model
from serving.model_source import resolve_model
from serving.plan import Wishes, make_plan, named_hardware
from serving.plan.gguf import UnknownShape, shape_of
from serving.plan.source import find_model
from settings import ROOT
from tests.engine_help import serving
from tests.fake_hub import hub_handler
from tests.gguf_help import bundled_gguf, small_gguf

REPO = [
    "README.md",
    "x-Q4_K_M.gguf",
    "x-Q5_K_M.gguf",
    "mmproj-x-F16.gguf",
    "x-UD-Q2_K_XL.gguf",
    "BF16/x-BF16-00002-of-00002.gguf",
    "BF16/x-BF16-00001-of-00002.gguf",
]


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundled_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


# files


def test_a_head_reads_as_llama_cpps_own_library_reads_it(bundled: Path) -> None:
    head = read_gguf(bundled)
    library = gguf.GGUFReader(bundled)
    for key, field in library.fields.items():
        if key.startswith("GGUF."):
            continue
        value = head.metadata[key]
        if isinstance(value, Listed):
            assert value.length == len(field.data)
        else:
            assert value == field.contents(), key
    assert head.parameters == sum(int(t.n_elements) for t in library.tensors) == 4_823_296
    assert head.weight_bytes == sum(int(t.n_bytes) for t in library.tensors)


def test_a_file_is_a_model_of_its_name(bundled: Path, tmp_path: Path) -> None:
    found = resolve_gguf(str(bundled))
    assert found.source.model_id == "tiny" and found.file == bundled
    assert found.source.weight_bytes == bundled.stat().st_size
    again = Path(shutil.copy2(bundled, tmp_path / "tiny.gguf"))
    assert resolve_gguf(str(tmp_path)).file == again, "a folder with one model is that"
    again.touch()
    assert resolve_gguf(str(again)).source.fingerprint != found.source.fingerprint


ONE = b"\x01\0\0\0\0\0\0\0"


def damaged(good: Path, bad: Path, what: str) -> Path:
    data = good.read_bytes()
    bad.write_bytes(
        {
            "text": b"this is no model, it is a poem\n",
            "empty": b"",
            "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "old": data[:4] + b"\x01\0\0\0" + data[8:],
            "big-endian": data[:8] + b"\0\0\0\0\0\0\0\x23" + data[16:],
            "nested": data[:16] + ONE + ONE + b"a\x09\0\0\0" + (b"\x09\0\0\0" + ONE) * 3000,
            "head": data[:2000],
            "tail": data[: len(data) // 2],
        }[what]
    )
    return bad


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("text", "does not begin like a GGUF file"),
        ("empty", "it is empty"),
        ("pointer", "Git LFS pointer"),
        ("old", "GGUF of version 1"),
        ("big-endian", "big-endian"),
        ("nested", "lists without end"),
        ("head", "cut short"),
        ("tail", "cut short"),
    ],
)
def test_what_is_no_whole_gguf_file(bundled: Path, tmp_path: Path, what: str, why: str) -> None:
    with pytest.raises(InputError, match=why) as caught:
        resolve_gguf(str(damaged(bundled, tmp_path / "bad.gguf", what)))
    assert "HEARTH_MODEL" in caught.value.fix


@pytest.mark.parametrize(
    ("architecture", "given", "why"),
    [
        ("bert", {}, "embedding model"),
        ("qwen3", {"qwen3__pooling_type": 3}, "embedding model"),
        ("gemma3", {"gemma3__attention__causal": False}, "embedding model"),
        ("clip", {"general__type": "mmproj"}, "sees pictures"),
        ("llama", {"general__type": "adapter"}, "its adapter"),
        ("llama", {"template": ""}, "no chat template"),
        ("llama", {"vocabulary": 0}, "no vocabulary"),
        ("llama", {"split__count": 3}, "not named like one"),
        ("llama", {"general__alignment": 0}, "an alignment that can't be"),
    ],
)
def test_what_does_not_chat(architecture: str, given: dict, why: str, tmp_path: Path) -> None:
    file = small_gguf(tmp_path / "x.gguf", architecture, **given)
    with pytest.raises(InputError, match=why):
        resolve_gguf(str(file))


def test_a_model_in_parts(tmp_path: Path) -> None:
    parts = [tmp_path / f"big-Q4_K_M-0000{n}-of-00002.gguf" for n in (1, 2)]
    small_gguf(parts[0], split__count=2)
    with pytest.raises(InputError, match="1 of its 2 parts are missing"):
        resolve_gguf(str(parts[0]))
    small_gguf(parts[1], split__count=2)
    found = resolve_gguf(str(parts[0]))
    assert found.source.model_id == "big-Q4_K_M"
    assert found.source.weight_bytes == sum(part.stat().st_size for part in parts)
    assert resolve_gguf(str(tmp_path)).file == parts[0]
    with pytest.raises(InputError, match=f"name the first, {parts[0].name}"):
        resolve_gguf(str(parts[1]))


def test_a_folder_and_a_name_that_are_none(bundled: Path, toy: Path, tmp_path: Path) -> None:
    for name in ("a-Q4_K_M.gguf", "a-Q8_0.gguf"):
        shutil.copy(bundled, tmp_path / name)
    with pytest.raises(InputError, match=r"several GGUF models: a-Q4_K_M.gguf, a-Q8_0.gguf"):
        resolve_gguf(str(tmp_path))
    with pytest.raises(InputError, match=r"There is no GGUF file .* Did you mean .*a-Q4_K_M"):
        resolve_gguf(str(tmp_path / "a-Q4_K.gguf"))
    with pytest.raises(InputError, match="holds no GGUF file") as caught:
        resolve_gguf(str(toy))
    assert "convert_hf_to_gguf.py" in caught.value.fix


def test_other_engines_name_the_one_that_runs_it(bundled: Path) -> None:
    with pytest.raises(InputError, match=r"a GGUF file, which llama\.cpp alone runs") as caught:
        resolve_model(str(bundled))
    assert "HEARTH_ENGINE" in caught.value.fix


def test_which_names_are_ggufs(bundled: Path, toy: Path) -> None:
    for name in (
        str(bundled),
        str(bundled.parent),
        "org/x-GGUF",
        "org/x-GGUF:Q4_K_M",
        "org/x:Q8_0",
    ):
        assert names_gguf(name), name
    for name in ("tiny", str(toy), "org/x", "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B"):
        assert not names_gguf(name), name


# repositories


def test_the_quantisation_that_is_asked_for() -> None:
    assert choose(REPO, "", "x") == ["x-Q4_K_M.gguf"]
    assert choose(REPO, "q5_k_m", "x") == ["x-Q5_K_M.gguf"]
    assert choose(REPO, "x-UD-Q2_K_XL.gguf", "x") == ["x-UD-Q2_K_XL.gguf"]
    assert choose(REPO, "BF16", "x")[0] == "BF16/x-BF16-00001-of-00002.gguf"
    assert choose(["odd.gguf"], "", "x") == ["odd.gguf"]
    with pytest.raises(InputError, match=r"has no Q4_K_S\. Did you mean Q4_K_M") as caught:
        choose(REPO, "Q4_K_S", "org/x")
    assert "UD-Q2_K_XL" in caught.value.fix
    with pytest.raises(InputError, match="without GGUF files"):
        choose(["model.safetensors"], "", "org/x")
    with pytest.raises(InputError, match="several quantisations"):
        choose(["a-IQ1_S.gguf", "a-IQ2_M.gguf"], "", "org/x")


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as choosing and downloading needs."""

    commit = "c" * 40
    file = b""

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        sizes = {"x-Q4_K_M.gguf": len(self.file), "x-Q8_0.gguf": 1 << 60}
        if "/none" in self.path:
            sizes = {"model.safetensors": 5}
        if "/api/" in self.path:
            files = [{"rfilename": name, "size": size} for name, size in sizes.items()]
            body = json.dumps({"id": "org/x", "sha": self.commit, "siblings": files}).encode()
        else:
            body = self.file
        self.send_response(404 if "/gone" in self.path else 200)
        self.send_header("content-length", str(len(body)))
        if "/gone" in self.path:
            self.send_header("x-error-code", "RepoNotFound")
        self.send_header("etag", '"e"')
        self.send_header("x-repo-commit", self.commit)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(bundled: Path) -> object:
    with serving() as serve:
        yield serve(type("Full", (Hub,), {"file": bundled.read_bytes()}))


LOOK = """
import sys
from serving.gguf_source import resolve_gguf
from errors import HearthError
for name in sys.argv[1:]:
    try:
        print(resolve_gguf(name))
    except HearthError as error:
        print(type(error).__name__, error.message, "|", error.fix)
"""


def on_hub(hub: object, cache: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own: the hub's client reads its settings when imported."""
    environment = {"HF_ENDPOINT": str(hub), "HF_HOME": str(cache), "HF_HUB_OFFLINE": "0"}
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_model_of_the_hub(hub: object, tmp_path: Path) -> None:
    names = ["org/x:Q4_K_M", "org/x:Q8_0", "org/x:Q3_K", "org/none:Q4_K_M", "org/gone:Q4_K_M"]
    found, huge, unknown, none, gone = on_hub(hub, tmp_path, "-c", LOOK, *names).stdout.splitlines()
    assert "folder=None" in found and "download_bytes=19" in found
    assert "org/x:Q8_0 needs 1152921504.6 GB" in huge
    assert "org/x:Q3_K has no Q3_K" in unknown and "Q4_K_M, Q8_0" in unknown
    assert "org/none:Q4_K_M is a repository without GGUF files" in none
    assert "Hugging Face has no model org/gone" in gone


def test_the_one_file_is_downloaded_and_then_it_is_here(bundled: Path, tmp_path: Path) -> None:
    published, home = tmp_path / "published", tmp_path / "home"
    published.mkdir()
    shutil.copy(bundled, published / "x-Q4_K_M.gguf")
    (published / "x-Q8_0.gguf").write_bytes(b"not wanted")
    with serving() as serve:
        hub = serve(hub_handler(published, Counter()))
        asked = ["-m", "serving.fetch_files", "org/fine", "", "--only=x-Q4_K_M.gguf"]
        done = on_hub(hub, home, *asked)
        assert done.returncode == 0, done.stdout + done.stderr
    nobody = "http://127.0.0.1:9"  # from now on it is there, with no network
    (found,) = on_hub(nobody, home, "-c", LOOK, "org/fine:Q4_K_M").stdout.splitlines()
    assert "from_hub=True" in found and "snapshots/" in found and "repo='org/fine'" in found
    assert "model_id='org/fine:Q4_K_M'" in found and "download_bytes=0" in found
    (other,) = on_hub(nobody, home, "-c", LOOK, "org/fine:Q8_0").stdout.splitlines()
    assert other.startswith("EngineError The model org/fine is not on this machine")


# what it is like


def test_the_plan_takes_the_files_own_bytes(bundled: Path) -> None:
    found = find_model(str(bundled), "tiny", lambda: pytest.fail("the hub was asked"))
    assert found.served_as == "tiny" and found.shape.layers == 6 and found.shape.kv_heads == 2
    for name, device in (("cpu", "CPU"), ("mac", "the Apple GPU"), ("t4", "CPU")):
        plan = make_plan(named_hardware(name), found.shape, served_as="tiny")
        assert (plan.engine, plan.format, plan.device) == ("llamacpp", "gguf", device)
        assert abs(plan.weight_bytes - bundled.stat().st_size) < 100 and plan.context == 2048
        assert plan.command.startswith(f"llama-server -m {bundled} --alias tiny --ctx-size 2048")
    with pytest.raises(InputError, match="Nothing here can serve"):
        make_plan(named_hardware("l4"), found.shape, Wishes(engine="vllm"))


def test_the_shape_of_one_not_downloaded_is_that_of_the_model_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "serving.gguf_source.files_to_fetch",
        lambda *_: (HubFile("x-Q4_K_M.gguf", 4_683_073_536, "a"),),
    )
    monkeypatch.setattr("serving.gguf_source.cached_file", lambda *_: None)
    found = resolve_gguf("unsloth/DeepSeek-R1-Distill-Qwen-7B-GGUF:Q4_K_M")
    assert 4.9 < shape_of(found).bits < 4.95 and shape_of(found).layers == 28
    with pytest.raises(UnknownShape, match="not known before it is downloaded"):
        shape_of(resolve_gguf("someone/Else-GGUF"))


@pytest.mark.parametrize(
    ("file", "own_name", "family"),
    [
        ("tiny.gguf", "", "tiny"),
        ("model-Q4_K_M.gguf", "DeepSeek R1 Distill Qwen 7B", "r1-distill"),
        ("qwen3-8b-Q4_K_M.gguf", "model", "qwen3"),
        ("model.gguf", "", "thinking"),
        ("model.gguf", "no template", "instruct"),
    ],
)
def test_the_family_of_a_file(file: str, own_name: str, family: str, tmp_path: Path) -> None:
    opens = "{% if add_generation_prompt %}{{ '<think>\\n' }}{% endif %}"
    template = "{{ messages }}" if own_name else opens
    path = small_gguf(tmp_path / file, template=template, general__name=own_name)
    found = family_of_model(str(path), resolve_gguf(str(path)).source.model_id)
    assert found.name == family
    assert family_of_model(str(path), "x", "gpt-oss").name == "gpt-oss"
    with pytest.raises(HearthError, match="unknown family"):
        family_of_model(str(path), "x", "nonesuch")
