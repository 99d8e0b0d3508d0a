"""The supervisor and its guard: with the real `transformers serve` on a toy model where the
engine matters, and with a stub at the seam of the engines' table where only processes do."""

import dataclasses
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from errors import Cancelled, EngineError, SettingsError
from serving.engines import ENGINES, Command, Endpoint, Engine, Plan
from serving.guard import GuardedProcess
from serving.logs import KEPT, new_log, tail
from serving.ports import PortHold
from serving.state import Process, all_records
from serving.supervisor import Supervisor
from settings import ROOT, Settings, load_settings
from tests.random_tiny_model import build_random_model

STUB = Path(__file__).with_name("stub_engine.py")
SCRIPT = """
import sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from settings import load_settings
from serving.supervisor import Supervisor
from tests.test_serving_supervisor import ENGINES, stub_table
supervisor = Supervisor(
    load_settings(model={model!r}, engine="transformers", data_dir=Path({data!r})),
    engines=stub_table() if {stub} else ENGINES,
)
endpoint = supervisor.start()
print(endpoint.pid, endpoint.base_url, flush=True)
time.sleep(600)
"""


def stub_table(fault: str = "") -> dict[str, Engine]:
    """The table with the stub's command in the row `transformers`."""

    def command(plan: Plan, port: int, key: str) -> Command:
        argv = [sys.executable, str(STUB), str(port), plan.source.model_id, fault]
        return Command(argv, {**os.environ, "ENGINE_API_KEY": key}, Path("/"))

    return {"transformers": dataclasses.replace(ENGINES["transformers"], command=command)}


def make_settings(model: Path, data: Path, **more: object) -> Settings:
    return load_settings(model=str(model), engine="transformers", data_dir=data, **more)


def eventually(true: Callable[[], object], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def alive(*pids: int | None) -> list[int]:
    """Those of `pids` that still run; zombies don't."""
    found = []
    for pid in pids:
        try:
            if pid and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
        except psutil.NoSuchProcess:
            continue
    return found


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def client(endpoint: Endpoint) -> httpx.Client:
    headers = {"authorization": f"Bearer {endpoint.api_key}"}
    return httpx.Client(base_url=endpoint.base_url, headers=headers, trust_env=False, timeout=30)


def chat(endpoint: Endpoint, tokens: int = 8, **more: object) -> dict[str, object]:
    return {
        "model": endpoint.model_id,
        "messages": [{"role": "user", "content": "What is <think> 2 + 2?"}],
        "max_tokens": tokens,
        "stream": True,
        **more,
    }


def stream(endpoint: Endpoint, **more: object) -> tuple[str, dict[str, object]]:
    """The text of a streamed reply and its last chunk."""
    text, last = "", {}
    with (
        client(endpoint) as http,
        http.stream("POST", "/chat/completions", json=chat(endpoint, **more)) as reply,
    ):
        assert reply.status_code == 200, reply.read()
        for line in reply.iter_lines():
            if line.startswith("data: {"):
                last = json.loads(line[6:])
                delta = last["choices"][0]["delta"]
                assert "reasoning_content" not in delta
                text += delta.get("content") or ""
    return text, last


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with a name that has a space and a dash first, in one with an @."""
    return build_random_model(tmp_path_factory.mktemp("me@home") / "-toy model")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return []


@pytest.fixture(scope="module")
def engine(toy: Path, data: Path, lines: list[str]) -> Iterator[Supervisor]:
    """One real engine for the whole module, started once."""
    supervisor = Supervisor(make_settings(toy, data), on_progress=lines.append)
    supervisor.start()
    yield supervisor
    supervisor.stop()


# the real engine --------------------------------------------------------------------------


def test_it_says_what_it_does_and_answers_in_a_stream(engine: Supervisor, lines: list[str]) -> None:
    endpoint = engine.endpoint
    assert endpoint is not None and endpoint.model_id == "-toy model"
    assert lines[0].startswith("starting transformers with ") and " on CPU" in lines[0]
    assert any(line.startswith("loading weights (") for line in lines)
    assert lines[-1].startswith("ready in ") and endpoint.base_url[:-3] in lines[-1]
    assert endpoint.base_url.startswith("http://127.0.0.1:")
    text, last = stream(endpoint)
    assert text and last["choices"][0]["finish_reason"] == "length"
    assert last["usage"]["completion_tokens"] == 8


def test_the_prompt_is_not_sent_back_as_the_reply(engine: Supervisor) -> None:
    """transformers takes every qwen2 for ChatML and would echo an R1 prompt."""
    assert engine.endpoint is not None
    text, _ = stream(engine.endpoint, temperature=0)
    assert "What is" not in text and "｜User｜" not in text
    assert text == stream(engine.endpoint, temperature=0)[0]  # temperature 0 is honoured
    with client(engine.endpoint) as http:
        whole = http.post("/chat/completions", json=chat(engine.endpoint, stream=False))
    assert "What is" not in whole.json()["choices"][0]["message"]["content"]


def test_only_its_key_opens_it(engine: Supervisor) -> None:
    assert engine.endpoint is not None and len(engine.endpoint.api_key) >= 32
    wrong = dataclasses.replace(engine.endpoint, api_key="wrong")
    with client(wrong) as http:
        assert http.get("/models").status_code == 401
        assert http.post("/chat/completions", json=chat(wrong)).status_code == 401
        assert http.post("/../reset").status_code == 401
    with client(engine.endpoint) as http:
        assert [m["id"] for m in http.get("/models").json()["data"]] == ["-toy model"]
    argv = " ".join(psutil.Process(engine.endpoint.pid).cmdline())
    assert engine.endpoint.api_key not in argv


def test_it_listens_on_loopback_only_and_never_asks_the_network(engine: Supervisor) -> None:
    assert engine.endpoint is not None
    process = psutil.Process(engine.endpoint.pid)
    listening = [c for c in process.net_connections() if c.status == psutil.CONN_LISTEN]
    assert {c.laddr.ip for c in listening} == {"127.0.0.1"}
    environment = process.environ()
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert not [name for name in environment if name.startswith("HEARTH_")]


def test_a_closed_stream_frees_the_engine(engine: Supervisor) -> None:
    assert engine.endpoint is not None
    with (
        client(engine.endpoint) as http,
        http.stream("POST", "/chat/completions", json=chat(engine.endpoint, 2000)) as reply,
    ):
        next(reply.iter_lines())
    began = time.monotonic()
    stream(engine.endpoint, tokens=1)
    assert time.monotonic() - began < 1.0  # 2,000 tokens take several


def test_its_state_and_log_are_the_users_alone(engine: Supervisor, data: Path) -> None:
    (path, record), *others = all_records(data / "engines")
    assert not others and record.process.alive and record.guard.alive
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert engine.log is not None and "Uvicorn running" in tail(engine.log, 200)
    assert stat.S_IMODE(engine.log.stat().st_mode) == 0o600


def test_a_second_app_uses_it_and_leaves_it_running(
    engine: Supervisor, toy: Path, data: Path
) -> None:
    said: list[str] = []
    second = Supervisor(make_settings(toy, data), on_progress=said.append)
    with second as endpoint:
        assert endpoint == engine.endpoint and not second.owned
        assert said[-1].startswith("using the engine that runs already")
    assert engine.endpoint is not None and alive(engine.endpoint.pid)
    stream(engine.endpoint, tokens=1)


def test_killed_it_comes_back_at_the_same_address(engine: Supervisor, lines: list[str]) -> None:
    before = engine.endpoint
    assert before is not None
    kill(before.pid)
    assert eventually(lambda: engine.endpoint != before, 60)
    after = engine.endpoint
    assert after is not None and after.pid != before.pid
    assert dataclasses.replace(after, pid=before.pid) == before
    assert stream(before)[0]  # with the old address and key
    assert any("signal 9" in line and "Starting it again" in line for line in lines)
    assert engine.wait_until_ready(1)


def test_an_app_killed_with_sigkill_leaves_no_process(toy: Path, tmp_path: Path) -> None:
    app, pid, base_url = start_app(toy, tmp_path, stub=False)
    (_, record), *_ = all_records(tmp_path / "engines")
    assert alive(pid, record.guard.pid) == [pid, record.guard.pid]
    app.kill()
    app.wait()
    assert eventually(lambda: not alive(pid, record.guard.pid), 5)
    with pytest.raises(httpx.ConnectError):
        httpx.get(base_url + "/models", trust_env=False)


def start_app(
    model: Path, data: Path, *, stub: bool = True
) -> tuple[subprocess.Popen[str], int, str]:
    """Another process that owns a supervisor: the process, the engine's pid and address."""
    script = SCRIPT.format(root=str(ROOT), model=str(model), data=str(data), stub=stub)
    app = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert app.stdout is not None
    with app.stdout as said:
        pid, base_url = said.readline().split()
    return app, int(pid), base_url


# processes, with the stub -------------------------------------------------------------------


def test_stop_leaves_nothing(toy: Path, tmp_path: Path) -> None:
    supervisor = Supervisor(make_settings(toy, tmp_path), engines=stub_table("stubborn"))
    endpoint = supervisor.start()
    assert supervisor.log is not None
    child = int(supervisor.log.read_text().partition("child ")[2].split()[0])
    (_, record), *_ = all_records(tmp_path / "engines")
    assert len(alive(endpoint.pid, child, record.guard.pid)) == 3
    supervisor.stop()
    supervisor.stop()
    assert not alive(endpoint.pid, child, record.guard.pid)
    assert not all_records(tmp_path / "engines")
    free = PortHold.take(record.port, exact=True)
    free.release()
    with pytest.raises(Cancelled):
        supervisor.start()


def test_a_killed_guard_takes_the_engine_with_it_and_it_comes_back(
    toy: Path, tmp_path: Path
) -> None:
    supervisor = Supervisor(make_settings(toy, tmp_path), engines=stub_table())
    with supervisor as endpoint:
        (_, record), *_ = all_records(tmp_path / "engines")
        kill(record.guard.pid)
        assert eventually(lambda: not alive(endpoint.pid), 5)
        assert eventually(lambda: supervisor.endpoint != endpoint)
        with client(endpoint) as http:
            assert http.get("/models").status_code == 200


def test_three_deaths_are_given_up(toy: Path, tmp_path: Path) -> None:
    supervisor = Supervisor(make_settings(toy, tmp_path), engines=stub_table())
    with supervisor as endpoint:
        for _ in range(3):
            assert supervisor.wait_until_ready(10) and supervisor.endpoint is not None
            present = supervisor.endpoint.pid
            kill(present)
            assert eventually(
                lambda before=present: (
                    supervisor.failure
                    or (supervisor.endpoint and supervisor.endpoint.pid != before)
                )
            )
        assert eventually(lambda: supervisor.failure)
        with pytest.raises(EngineError, match=r"died 3 times.*isn't started again") as caught:
            supervisor.check()
        assert "signal 9" in caught.value.message and caught.value.fix
        with pytest.raises(EngineError):
            supervisor.wait_until_ready(1)
        assert not all_records(tmp_path / "engines")
        with pytest.raises(httpx.ConnectError):
            httpx.get(endpoint.base_url, trust_env=False)


def test_when_its_owner_is_killed_the_reuser_starts_its_own(toy: Path, tmp_path: Path) -> None:
    app, pid, base_url = start_app(toy, tmp_path)
    supervisor = Supervisor(make_settings(toy, tmp_path), engines=stub_table())
    with supervisor as endpoint:
        assert (endpoint.pid, endpoint.base_url) == (pid, base_url) and not supervisor.owned
        app.kill()
        app.wait()
        assert eventually(lambda: supervisor.owned, 20)
        assert supervisor.endpoint is not None and supervisor.endpoint.pid != pid
        assert supervisor.endpoint.base_url == base_url  # clients go on
        with client(endpoint) as http:
            assert http.get("/models").status_code == 200
        assert not alive(pid)
    assert not alive(supervisor.endpoint and supervisor.endpoint.pid)


def test_two_apps_that_start_at_once_share_one_engine(toy: Path, tmp_path: Path) -> None:
    pair = [Supervisor(make_settings(toy, tmp_path), engines=stub_table()) for _ in range(2)]
    threads = [threading.Thread(target=one.start) for one in pair]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    try:
        assert pair[0].endpoint == pair[1].endpoint is not None
        assert sorted(one.owned for one in pair) == [False, True]
    finally:
        for one in pair:
            one.stop()


def test_a_stale_record_and_an_orphan_are_cleaned(toy: Path, tmp_path: Path) -> None:
    first = Supervisor(make_settings(toy, tmp_path), engines=stub_table())
    with first as endpoint:
        (path, record), *_ = all_records(tmp_path / "engines")
        gone = dataclasses.asdict(record) | {"owner": {"pid": 1 << 22, "started": 1.0}}
        path.write_text(json.dumps(gone))  # as if its owner had been lost
        first._stopping.set()  # this app no longer restarts it
        with Supervisor(make_settings(toy, tmp_path), engines=stub_table()) as other:
            assert other.pid != endpoint.pid and not alive(endpoint.pid)


def test_a_process_is_known_by_its_start_too() -> None:
    me = Process.of(os.getpid())
    assert me.alive
    assert not dataclasses.replace(me, started=me.started - 100).alive
    assert not Process.of(1 << 22).alive


def test_a_guard_reports_a_command_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no-such-program"):
        GuardedProcess(
            ["no-such-program"], env=dict(os.environ), cwd=Path("/"), log=tmp_path / "log"
        )


# starts that fail ---------------------------------------------------------------------------


def test_an_engine_that_exits_at_once_shows_its_log_and_the_cause(
    toy: Path, tmp_path: Path
) -> None:
    supervisor = Supervisor(make_settings(toy, tmp_path), engines=stub_table("exit"))
    with pytest.raises(EngineError) as caught:
        supervisor.start()
    assert "ended before it was ready: the GPU has too little memory" in caught.value.message
    assert "Tried to allocate 14.00 GiB" in caught.value.log and caught.value.fix
    assert not all_records(tmp_path / "engines")


def test_a_real_engine_that_can_not_load_its_model(toy: Path, tmp_path: Path) -> None:
    """A fault that only the engine finds: weights that don't fit the configuration."""
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in toy.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    config = json.loads((broken / "config.json").read_text()) | {"model_type": "nonesuch"}
    (broken / "config.json").write_text(json.dumps(config))
    with pytest.raises(EngineError) as caught:
        Supervisor(make_settings(broken, tmp_path)).start()
    assert "transformers does not know this architecture" in caught.value.message
    assert len(caught.value.log.splitlines()) <= 30 and "nonesuch" in caught.value.log


def test_an_engine_that_never_becomes_ready(toy: Path, tmp_path: Path) -> None:
    settings = make_settings(toy, tmp_path, engine_start_timeout_seconds=1.0)
    supervisor = Supervisor(settings, engines=stub_table("silent"))
    with pytest.raises(EngineError, match="did not become ready within 1 seconds") as caught:
        supervisor.start()
    assert "thinking about it" in caught.value.log
    assert "engine_start_timeout_seconds" in caught.value.fix
    assert not [
        p for p in psutil.process_iter(["cmdline"]) if "silent" in (p.info["cmdline"] or [])
    ]


def test_an_engine_that_can_not_reply(toy: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="answered its first request with 500"):
        Supervisor(make_settings(toy, tmp_path), engines=stub_table("refuses")).start()


def test_a_start_can_be_stopped(toy: Path, tmp_path: Path) -> None:
    supervisor = Supervisor(make_settings(toy, tmp_path), engines=stub_table("silent"))
    threading.Timer(0.5, supervisor.stop).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        supervisor.start()
    assert time.monotonic() - began < 5


def test_a_port_in_use(toy: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = make_settings(toy, tmp_path, engine_port=port)
        with pytest.raises(EngineError, match=f"Port {port} on 127.0.0.1 is in use") as caught:
            Supervisor(settings, engines=stub_table()).start()
        assert "engine_port" in caught.value.fix


def test_a_set_port_is_used(toy: Path, tmp_path: Path) -> None:
    hold = PortHold.take()
    hold.release()
    settings = make_settings(toy, tmp_path, engine_port=hold.port)
    with Supervisor(settings, engines=stub_table()) as endpoint:
        assert endpoint.base_url == f"http://127.0.0.1:{hold.port}/v1"


def test_a_data_folder_that_can_not_be_written(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EngineError, match=r"Can't write to .*file") as caught:
        Supervisor(make_settings(toy, tmp_path / "file"), engines=stub_table()).start()
    assert "data_dir" in caught.value.fix


def test_an_unknown_engine_lists_the_valid_ones(toy: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no engine 'transformers'") as caught:
        Supervisor(make_settings(toy, tmp_path), engines={"vllm": ENGINES["endpoint"]}).start()
    assert "vllm" in caught.value.fix


def test_logs_are_rotated(tmp_path: Path) -> None:
    made = [new_log(tmp_path, [f"number {n}"]) for n in range(KEPT + 2)]
    assert sorted(tmp_path.iterdir()) == made[-KEPT:]
    made[-1].write_text("one\n 10%|#\r 20%|##\r100%|###\nlast\n")
    assert tail(made[-1], 2) == "100%|###\nlast"


# the command line ---------------------------------------------------------------------------


def run_cli(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "serving", *arguments],
        cwd=ROOT,
        env={**os.environ, "HEARTH_DATA_DIR": str(data)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_line_lists_shows_and_stops(toy: Path, tmp_path: Path) -> None:
    assert "endpoint" in run_cli(tmp_path, "engines").stdout
    assert "No engine is running" in run_cli(tmp_path, "status").stdout
    supervisor = Supervisor(make_settings(toy, tmp_path), engines=stub_table())
    with supervisor as endpoint:
        shown = run_cli(tmp_path, "status").stdout
        assert str(endpoint.pid) in shown and endpoint.api_key not in shown
        stopped = run_cli(tmp_path, "stop")
        assert stopped.returncode == 0 and "stopped transformers" in stopped.stdout
        assert not alive(endpoint.pid)
        assert eventually(lambda: supervisor.failure)
        with pytest.raises(EngineError, match="was stopped with"):
            supervisor.check()


def test_the_command_line_starts_one_and_ctrl_c_stops_it(toy: Path, tmp_path: Path) -> None:
    app = subprocess.Popen(
        [sys.executable, "-m", "serving", "start", "--model", str(toy)],
        cwd=ROOT,
        env={**os.environ, "HEARTH_DATA_DIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert app.stdout is not None
    assert app.stdout.readline().startswith("address  http://127.0.0.1:")
    (_, record), *_ = all_records(tmp_path / "engines")
    assert alive(record.process.pid)
    app.send_signal(signal.SIGINT)
    _, said = app.communicate(timeout=20)
    assert app.returncode == 0 and "Traceback" not in said
    assert not alive(record.process.pid, record.guard.pid)


def test_the_command_line_fails_in_one_message(tmp_path: Path) -> None:
    failed = run_cli(tmp_path, "start", "--model", str(tmp_path / "nothing"))
    assert failed.returncode == 1 and failed.stdout == ""
    assert "There is no model folder" in failed.stderr and "Traceback" not in failed.stderr
