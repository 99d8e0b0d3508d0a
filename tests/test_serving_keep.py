"""Engines that outlive their app because that was asked for, and the logs that guards write."""

import fcntl
import os
import signal
import stat
import sys
import time
from pathlib import Path

import pytest

from errors import EngineError
from serving.guard import GuardedProcess
from serving.guard_process import BoundedLog
from serving.logs import KEPT, new_log, older_part, tail
from serving.place_engine import LocalPlace
from serving.state import USE_SUFFIX, all_records
from serving.supervisor import Supervisor
from tests.engine_help import alive, client, eventually, kill, make_settings, start_app, stub_table
from tests.test_serving_command_line import run_cli

SHORT = 0.02  # minutes


def keeper(toy: Path, data: Path, minutes: float, fault: str = "") -> Supervisor:
    settings = make_settings(toy, data, engine_keep_minutes=minutes)
    return Supervisor(settings, engines=stub_table(fault))


def in_use(data: Path) -> bool:
    """Whether an app holds the lock on the engine's use file."""
    ((path, _),) = all_records(data / "engines")
    with path.with_suffix(USE_SUFFIX).open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def test_a_kept_engine_is_found_again_and_stopped(toy: Path, tmp_path: Path) -> None:
    first = keeper(toy, tmp_path, 5)
    endpoint = first.start()
    first.stop()
    first.stop()
    ((_, record),) = all_records(tmp_path / "engines")
    assert alive(endpoint.pid, record.guard.pid) == [endpoint.pid, record.guard.pid]
    place = LocalPlace(make_settings(toy, tmp_path), optional=True)
    assert place.open(lambda line: None, lambda: None).base_url == endpoint.base_url
    assert in_use(tmp_path), "another route's place counts as well"
    place.close()
    assert not in_use(tmp_path)
    second = keeper(toy, tmp_path, 5)
    began = time.monotonic()
    with second as found:
        assert time.monotonic() - began < 3
        assert (found.pid, found.api_key) == (endpoint.pid, endpoint.api_key) and not second.owned
        with client(found) as http:
            assert http.get("/models").status_code == 200
    assert alive(endpoint.pid), "it stays for the next one too"
    assert "stopped transformers" in run_cli(tmp_path, "stop").stdout
    assert not alive(endpoint.pid, record.guard.pid)


def test_a_kept_engine_ends_by_itself_once_nobody_uses_it(toy: Path, tmp_path: Path) -> None:
    first = keeper(toy, tmp_path, SHORT)
    endpoint = first.start()
    ((_, record),) = all_records(tmp_path / "engines")
    with keeper(toy, tmp_path, 0) as found:
        first.stop()
        assert found.pid == endpoint.pid
        time.sleep(SHORT * 60 + 2.5)
        assert alive(endpoint.pid), "as long as somebody uses it"
    assert eventually(lambda: not alive(endpoint.pid, record.guard.pid), 15)
    assert "No engine is running" in run_cli(tmp_path, "status").stdout
    assert not all_records(tmp_path / "engines"), "what is gone is forgotten"


def test_an_app_that_is_killed_leaves_a_kept_engine_for_so_long(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARTH_ENGINE_KEEP_MINUTES", "5")
    app, pid, base_url = start_app(toy, tmp_path)
    app.kill()
    app.wait()
    monkeypatch.delenv("HEARTH_ENGINE_KEEP_MINUTES")
    time.sleep(1.5)  # its guard has seen it by now
    shown = run_cli(tmp_path, "status").stdout
    assert "kept for 5 min more if nobody uses it" in " ".join(shown.split())
    supervisor = keeper(toy, tmp_path, 0)
    with supervisor as found:
        assert (found.pid, found.base_url) == (pid, base_url)
        kill(pid)  # its owner is gone: the one who uses it starts it again
        assert eventually(lambda: supervisor.owned)
        assert supervisor.endpoint is not None and supervisor.endpoint.base_url == base_url
        again = supervisor.endpoint.pid
    assert not alive(pid, again)


def test_a_kept_engine_that_is_mute_is_replaced(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.supervisor._ADOPT_SECONDS", 0.5)
    first = keeper(toy, tmp_path, 5)
    endpoint = first.start()
    first.stop()
    assert endpoint.pid is not None
    ((_, record),) = all_records(tmp_path / "engines")
    os.kill(endpoint.pid, signal.SIGSTOP)
    with keeper(toy, tmp_path, 0) as found:
        assert found.pid != endpoint.pid
        assert not alive(endpoint.pid, record.guard.pid)


def test_what_never_came_up_is_not_kept(toy: Path, tmp_path: Path) -> None:
    supervisor = keeper(toy, tmp_path, 5, "garbage")
    with pytest.raises(EngineError, match="not sound"):
        supervisor.start()
    assert supervisor._launch is not None and not alive(supervisor._launch.process.pid)
    assert not all_records(tmp_path / "engines")


# logs ---------------------------------------------------------------------------------------


def test_a_flood_of_output_is_bounded_and_its_end_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-very-secret-123")
    log = new_log(tmp_path, ["the plan"])
    script = (
        "import os, sys\n"
        "for n in range(120_000): print('line', n, 'x' * 80)\n"
        "print('key', os.environ['SOME_API_KEY'], flush=True)\n"
        "sys.stderr.write('the end')"
    )
    process = GuardedProcess(
        [sys.executable, "-c", script], env=dict(os.environ), cwd=Path("/"), log=log
    )
    assert process.wait(60) and process.code == 0
    sizes = [log.stat().st_size, older_part(log).stat().st_size]
    assert sum(sizes) < 9_000_000 and tail(log, 2) == "key ...\nthe end"
    assert {stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()} == {0o600}
    assert all("sk-very" not in p.read_text() for p in tmp_path.iterdir())


def test_the_end_of_a_log_reaches_into_its_older_part(tmp_path: Path) -> None:
    path = tmp_path / "engine-1.log"
    log = BoundedLog(str(path), most_bytes=20)
    for n in range(7):
        log._add(f"line {n}\n".encode())
    assert tail(path, 3) == "line 4\nline 5\nline 6" and older_part(path).exists()


def test_a_line_that_is_begun_shows_after_a_moment(tmp_path: Path) -> None:
    path = tmp_path / "engine-1.log"
    log = BoundedLog(str(path))
    log._add(b"\rLoading weights:  25%")
    assert log.waits
    log.flush()
    assert not log.waits and tail(path, 1) == "Loading weights:  25%"


def test_a_log_that_can_not_be_written_harms_nobody(tmp_path: Path) -> None:
    log = BoundedLog(str(tmp_path / "nowhere" / "engine-1.log"))
    log._add(b"a line\n")
    log.flush()


def test_the_older_parts_go_with_their_logs(tmp_path: Path) -> None:
    first = new_log(tmp_path)
    older_part(first).write_text("older")
    made = [new_log(tmp_path) for _ in range(KEPT)]
    assert sorted(tmp_path.iterdir()) == made
