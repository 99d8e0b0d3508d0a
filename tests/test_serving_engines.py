"""The table of engines: what its rows check before anything starts, and what they start."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from errors import EngineError, HearthError, InputError, SettingsError
from serving.causes import explain
from serving.engines import ENGINES, Endpoint, engine_row
from serving.hardware import cpu_cores, find_accelerator
from serving.model_source import resolve_model
from settings import ROOT, Settings, load_settings
from tests.random_tiny_model import build_random_model


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_random_model(tmp_path_factory.mktemp("models") / "toy")


@pytest.fixture
def copy(toy: Path, tmp_path: Path) -> Path:
    """A copy of the toy model that a test may damage."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in toy.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def make_settings(**given: object) -> Settings:
    return load_settings(**({"engine": "transformers"} | given))


# the table ----------------------------------------------------------------------------------


def test_an_unknown_engine_is_an_error_that_lists_the_valid_ones() -> None:
    with pytest.raises(SettingsError, match="Did you mean transformers") as caught:
        engine_row("transformer")
    assert all(name in caught.value.fix for name in ENGINES)


def test_every_row_either_starts_or_connects() -> None:
    for name, row in ENGINES.items():
        assert row.name == name and row.about.endswith(".")
        assert (row.connect is None) == bool(row.plan and row.command and row.ready)
    assert set(ENGINES) == {"transformers", "endpoint"}


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
    assert "\n" not in caught.value.message and "Set model to" in caught.value.fix


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
        elif "/org/huge" in self.path:
            files[1]["size"] = 1 << 60
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


@pytest.fixture
def serve() -> Iterator[Callable[[type[BaseHTTPRequestHandler]], str]]:
    """Serves a handler on loopback and returns its address."""
    servers = []

    def start(handler: type[BaseHTTPRequestHandler]) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


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


def test_a_model_of_the_hub(serve: Callable[..., str], tmp_path: Path) -> None:
    names = ["org/model", "org/missing", "org/gated", "org/huge", "org/dataset"]
    model, missing, gated, huge, dataset = look(serve(Hub), tmp_path, *names)
    assert "download_bytes=15200000000" in model and "folder=None" in model
    assert missing.startswith("EngineError Hugging Face has no model org/missing")
    assert "org/gated is gated" in gated and "hf auth login" in gated
    assert "org/huge needs 1152921504.6 GB, but " in huge
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
    cached, absent = look(nobody, tmp_path, "org/toy", "org/absent")
    assert "model_id='org/toy'" in cached and "download_bytes=0" in cached
    assert absent.startswith("EngineError The model org/absent is not on this machine")
    assert "Connect to the network" in absent
    (snapshot / "model.safetensors").unlink()
    assert "org/toy is not whole on this machine" in look(nobody, tmp_path, "org/toy")[0]


# how transformers is started --------------------------------------------------------------------


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Puts an `nvidia-smi` on the path that says `text` and exits with `code`."""

    def install(text: str, code: int = 0) -> None:
        program = tmp_path / "bin" / "nvidia-smi"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\necho '{text}'\nexit {code}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setattr("serving.hardware._torch_version", lambda: "2.13.0")

    return install


def command(settings: Settings) -> tuple[str, dict[str, str], Path]:
    row = ENGINES["transformers"]
    assert row.plan and row.command
    made = row.command(row.plan(settings), 4321, "secret")
    return " ".join(made.argv), made.env, made.cwd


def test_on_a_cpu(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("HEARTH_ENDPOINT_KEY", "sk-mine")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    argv, environment, folder = command(make_settings(model=str(toy)))
    assert "--host 127.0.0.1 --port 4321 --device cpu --dtype float32" in argv
    assert argv.endswith("-- toy") and folder == toy.parent
    assert "secret" not in argv and environment["ENGINE_API_KEY"] == "secret"
    assert environment["HF_HUB_OFFLINE"] == environment["HF_HUB_DISABLE_TELEMETRY"] == "1"
    assert environment["OMP_NUM_THREADS"] == "1"  # more would slow a small model down
    assert "sk-mine" not in environment.values()


def test_a_large_model_gets_all_cores_and_the_user_decides(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr("serving.engines._ONE_THREAD_BELOW_BYTES", 1)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert command(make_settings(model=str(toy)))[1]["OMP_NUM_THREADS"] == str(cpu_cores())
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert command(make_settings(model=str(toy)))[1]["OMP_NUM_THREADS"] == "7"


def test_the_bundled_model_by_its_name(
    toy: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.model_source.BUNDLED_FOLDER", toy)
    source = resolve_model("tiny")
    assert source.bundled and source.folder == toy and source.shown == "models/tiny"
    (copy / "model.safetensors").unlink()
    monkeypatch.setattr("serving.model_source.BUNDLED_FOLDER", copy)
    with pytest.raises(InputError, match="The bundled model in models/tiny is not whole") as caught:
        resolve_model("tiny")
    assert "make tiny" in caught.value.fix


@pytest.mark.parametrize(
    ("card", "dtype"), [("Tesla T4, 7.5", "float16"), ("NVIDIA L4, 8.9", "auto")]
)
def test_on_a_gpu(toy: Path, gpu: Callable[..., None], card: str, dtype: str) -> None:
    gpu(card)
    argv, *_ = command(make_settings(model=str(toy)))
    assert f"--device auto --dtype {dtype}" in argv and "--quantization bnb-4bit" in argv
    argv, *_ = command(make_settings(model=str(toy), quantize="none"))
    assert "--quantization" not in argv
    assert find_accelerator().name == card.split(",")[0]


def test_a_quantised_checkpoint_is_left_as_it_is(copy: Path, gpu: Callable[..., None]) -> None:
    gpu("NVIDIA L4, 8.9")
    config = json.loads((copy / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes"}
    (copy / "config.json").write_text(json.dumps(config))
    assert "--quantization" not in command(make_settings(model=str(copy)))[0]
    with pytest.raises(SettingsError, match="quantised already"):
        command(make_settings(model=str(copy), quantize="nf4"))


def test_4_bits_without_a_gpu_can_not_be_honoured(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    with pytest.raises(SettingsError, match="quantize: nf4 needs an NVIDIA GPU") as caught:
        command(make_settings(model=str(toy), quantize="nf4"))
    assert "CUDA_VISIBLE_DEVICES" in caught.value.message


def test_a_gpu_that_can_not_be_used_says_why(
    gpu: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu("No devices were found", 6)
    assert find_accelerator().reason == "nvidia-smi finds no GPU: No devices were found"
    gpu("NVIDIA L4, 8.9")
    monkeypatch.setattr("serving.hardware._torch_version", lambda: "2.13.0+cpu")
    assert find_accelerator().kind == "cpu" and "without CUDA" in find_accelerator().reason


# why an engine failed -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("log", "code", "said"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried", 1, "the GPU has too little memory"),
        ("RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate", 1, "this machine has"),
        ("[Errno 98] error while attempting to bind on address", 1, "its port was taken"),
        ("OSError: [Errno 28] No space left on device", 1, "the disk is full"),
        ("GatedRepoError: 403 Client Error", 1, "the model is gated"),
        ("401 Client Error. Repository Not Found for url", 1, "no such model"),
        ("RuntimeError: CUDA error: no kernel image is available", 1, "do not fit together"),
        ("OSError: We couldn't connect to 'https://huggingface.co'", 1, "could not be reached"),
        ("SafetensorError: Error while deserializing header", 1, "files are damaged"),
        ("ModuleNotFoundError: No module named 'torch'", 1, "package is missing"),
        ("", -9, "memory ran out"),
        ("", -11, "SIGSEGV"),
        ("", 3, "code 3"),
        ("", None, "nobody saw why"),
    ],
)
def test_causes_in_words(log: str, code: int | None, said: str) -> None:
    cause = explain(f"INFO: starting\n{log}\nTraceback …", code)
    assert said in cause.what and cause.fix.endswith(".")


# a server that runs already -----------------------------------------------------------------------


class OpenAI(BaseHTTPRequestHandler):
    """Lists two models under /v1; wants a key under /keyed/v1; talks nonsense elsewhere."""

    def do_GET(self) -> None:
        path, status, body = self.path, 404, b"<h1>hello</h1>"
        if path.startswith("/page"):
            status = 200
        elif path.endswith("/v1/models"):
            names = [] if path.startswith("/bare/") else ["big-model", "small-model"]
            status, body = 200, json.dumps({"data": [{"id": n} for n in names]}).encode()
        if path.startswith("/keyed") and self.headers.get("authorization") != "Bearer right":
            status, body = 401, b"{}"
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def connect(url: str, said: list[str] | None = None, **more: object) -> Endpoint:
    row = engine_row("endpoint")
    assert row.connect
    settings = make_settings(engine="endpoint", endpoint_url=url, **more)
    return row.connect(settings, (said if said is not None else []).append)


def test_an_endpoint_with_a_named_model(serve: Callable[..., str]) -> None:
    url = serve(OpenAI)
    for given in (url, f"{url}/v1", f"{url}/v1/"):  # people leave out the /v1
        endpoint = connect(given, model="small-model")
        assert endpoint == Endpoint(f"{url}/v1", "", "small-model", "endpoint", None)


def test_an_endpoint_without_a_named_model_takes_its_first_and_says_so(
    serve: Callable[..., str],
) -> None:
    said: list[str] = []
    endpoint = connect(serve(OpenAI), said)
    assert endpoint.model_id == "big-model"
    assert said[0] == endpoint.notice
    assert "server's big-model (the first of 2)" in endpoint.notice


def test_an_endpoint_with_a_key(serve: Callable[..., str]) -> None:
    url = serve(OpenAI) + "/keyed"
    assert connect(url, endpoint_key="right").api_key == "right"
    with pytest.raises(EngineError, match="refuses the key") as caught:
        connect(url, endpoint_key="sk-wrong")
    assert "endpoint_key" in caught.value.fix and "sk-wrong" not in str(caught.value)
    with pytest.raises(EngineError, match="asks for a key"):
        connect(url)


@pytest.mark.parametrize(
    ("path", "model", "said", "fix"),
    [
        ("", "smal-model", "has no model smal-model", "Did you mean small-model?"),
        ("/page", "tiny", "is no OpenAI-compatible server", "ends in /v1"),
        ("/bare", "tiny", "lists no models", "Load a model"),
    ],
)
def test_an_endpoint_that_will_not_do(
    serve: Callable[..., str], path: str, model: str, said: str, fix: str
) -> None:
    with pytest.raises(EngineError, match=said) as caught:
        connect(serve(OpenAI) + path, model=model)
    assert fix in caught.value.fix


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1", "http://no-such-host.invalid", "http://"])
def test_an_endpoint_that_is_not_there(url: str) -> None:
    with pytest.raises(HearthError) as caught:
        connect(url)
    assert "Nothing answers at" in caught.value.message and "endpoint_url" in caught.value.fix
