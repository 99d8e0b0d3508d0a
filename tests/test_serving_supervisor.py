"""The supervisor and its guard, for the most part with a stub at the seam of the engines' table:
what matters here is processes."""

import dataclasses
import json
import os
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest

from errors import Cancelled, EngineError, SettingsError
from serving.engines import ENGINES
from serving.guard import GuardedProcess
from serving.logs import KEPT, new_log, tail
from serving.model_source import BUNDLED_FOLDER
from serving.ports import PortHold
from serving.state import Process, all_records
from serving.supervisor import Supervisor
from tests.engine_help import alive, client, eventually, kill, make_settings, start_app, stub_table


def test_an_app_killed_with_sigkill_leaves_no_process(tmp_path: Path) -> None:
    app, pid, base_url = start_app(BUNDLED_FOLDER, tmp_path, stub=False)
    (_, record), *_ = all_records(tmp_path / "engines")
    assert alive(pid, record.guard.pid) == [pid, record.guard.pid]
    app.kill()
    app.wait()
    assert eventually(lambda: not alive(pid, record.guard.pid))
    with pytest.raises(httpx.ConnectError):
        httpx.get(base_url + "/models", trust_env=False)


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
        assert eventually(lambda: not alive(endpoint.pid))
        assert eventually(lambda: supervisor.endpoint != endpoint)
        with client(endpoint) as http:
            assert http.get("/models").status_code == 200


def test_three_deaths_are_given_up(toy: Path, tmp_path: Path) -> None:
    supervisor = Supervisor(make_settings(toy, tmp_path), engines=stub_table())
    with supervisor as endpoint:
        for _ in range(3):
            assert supervisor.endpoint is not None
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
        assert "signal 9" in caught.value.message and str(supervisor.log) in caught.value.fix
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
        assert eventually(lambda: supervisor.owned)
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
    assert "the engine does not know this architecture" in caught.value.message
    assert len(caught.value.log.splitlines()) <= 30 and "nonesuch" in caught.value.log


def test_an_engine_that_never_becomes_ready(toy: Path, tmp_path: Path) -> None:
    settings = make_settings(toy, tmp_path, engine_start_timeout_seconds=3.0)
    supervisor = Supervisor(settings, engines=stub_table("silent"))
    with pytest.raises(EngineError, match="did not become ready within 3 seconds") as caught:
        supervisor.start()
    assert "thinking about it" in caught.value.log
    assert "HEARTH_ENGINE_START_TIMEOUT_SECONDS" in caught.value.fix
    assert supervisor._launch is not None and not alive(supervisor._launch.process.pid)


def test_an_engine_that_can_not_reply(toy: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"gave no first reply .*500"):
        Supervisor(make_settings(toy, tmp_path), engines=stub_table("refuses")).start()


def test_an_engine_whose_model_is_not_sound(toy: Path, tmp_path: Path) -> None:
    supervisor = Supervisor(make_settings(toy, tmp_path), engines=stub_table("garbage"))
    with pytest.raises(EngineError, match=r"not sound: it says one thing over and over .*!!!!"):
        supervisor.start()
    assert supervisor._launch is not None and not alive(supervisor._launch.process.pid)


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
        assert "HEARTH_ENGINE_PORT" in caught.value.fix


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
    assert "HEARTH_DATA_DIR" in caught.value.fix


def test_an_unknown_engine_lists_the_valid_ones(toy: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no engine 'transformers'") as caught:
        Supervisor(make_settings(toy, tmp_path), engines={"vllm": ENGINES["endpoint"]}).start()
    assert "vllm" in caught.value.fix


def test_only_the_last_logs_are_kept(tmp_path: Path) -> None:
    made = [new_log(tmp_path, [f"number {n}"]) for n in range(KEPT + 2)]
    assert sorted(tmp_path.iterdir()) == made[-KEPT:]
    made[-1].write_text("one\n 10%|#\r 20%|##\r100%|###\nlast\n")
    assert tail(made[-1], 2) == "100%|###\nlast"
