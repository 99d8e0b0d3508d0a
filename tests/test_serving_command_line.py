"""`python -m serving`: start, status, stop, and errors in one message."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from errors import EngineError
from serving.state import Process, all_records, write_record
from serving.supervisor import Supervisor
from settings import ROOT
from tests.engine_help import alive, eventually, kill, make_settings, stub_table


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
    model = shutil.copytree(toy, tmp_path / "DeepSeek-R1-Distill-Qwen-7B")
    supervisor = Supervisor(make_settings(model, tmp_path), engines=stub_table())
    with supervisor as endpoint:
        shown = run_cli(tmp_path, "status").stdout
        assert str(endpoint.pid) in shown and endpoint.api_key not in shown
        assert endpoint.base_url in shown, "whole, whatever the width"
        stopped = run_cli(tmp_path, "stop")
        assert stopped.returncode == 0 and "stopped transformers" in stopped.stdout
        assert not alive(endpoint.pid)
        assert eventually(lambda: supervisor.failure)
        with pytest.raises(EngineError, match="was stopped with"):
            supervisor.check()


def test_stop_holds_for_an_engine_that_is_about_to_come_back(toy: Path, tmp_path: Path) -> None:
    supervisor = Supervisor(make_settings(toy, tmp_path), engines=stub_table())
    with supervisor as endpoint:
        with supervisor._state.locked(10) as locked:  # so that it can't come back yet
            assert locked
            kill(endpoint.pid)
            assert eventually(lambda: not alive(endpoint.pid))
            assert "stopped transformers" in run_cli(tmp_path, "stop").stdout
            assert "stopped" in run_cli(tmp_path, "status").stdout
            assert "No engine is running" in run_cli(tmp_path, "stop").stdout
        assert eventually(lambda: supervisor.failure)
        with pytest.raises(EngineError, match="was stopped with"):
            supervisor.check()


def test_an_engine_begun_in_the_place_of_a_dead_one_is_left_alone(
    toy: Path, tmp_path: Path
) -> None:
    supervisor = Supervisor(make_settings(toy, tmp_path), engines=stub_table())
    with supervisor as endpoint:
        with supervisor._state.locked(10):
            (path, record), *_ = all_records(tmp_path / "engines")
            kill(endpoint.pid)
            another = dataclasses.replace(record, process=Process.of(os.getpid()))
            write_record(path, another)
        assert eventually(lambda: supervisor.failure)
    assert all_records(tmp_path / "engines") == [(path, another)]


def test_the_command_line_starts_one_and_ctrl_c_stops_it(tmp_path: Path) -> None:
    app = subprocess.Popen(
        [sys.executable, "-m", "serving", "start", "--model", str(ROOT / "models" / "tiny")],
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
