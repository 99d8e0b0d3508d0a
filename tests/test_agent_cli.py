"""The command line as a user meets it: its own process, a server on loopback, exit codes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from agent.__main__ import app
from agent.console import tell_fault
from errors import EngineError
from tests.command_line import ROOT, run, start
from tests.fake_openai import FakeOpenAI, Turn

ANSWER = Turn(
    "```python\nprint('hello')\nfinal_answer(6 * 7)\n```", "Six times seven.", "reasoning"
)


def test_an_answer(tmp_path: Path) -> None:
    with FakeOpenAI([ANSWER]) as server:
        code, out, _ = run(["six times seven"], tmp_path, server.url)
    assert code == 0
    for part in ("Six times seven.", "final_answer(6 * 7)", "hello", "Answer: 42", "1 step"):
        assert part in out, out


def test_prose_streams_and_code_is_shown_once(tmp_path: Path) -> None:
    turn = Turn("I multiply.\n\n```python\nfinal_answer(42)\n```", "Seven.", "template")
    with FakeOpenAI([turn, Turn("It is **42**, I think.\nFinal answer: 42")]) as server:
        code, out, _ = run(["go"], tmp_path, server.url)
        assert code == 0 and out.count("final_answer(42)") == 1
        assert "I multiply." in out and "Seven." in out and "```" not in out
        code, out, _ = run(["go"], tmp_path, server.url)
    assert code == 0 and out.count("It is **42**, I think.") == 1
    assert "Answer (stated, not computed): 42" in out


def test_the_task_from_standard_input_and_events_as_json(tmp_path: Path) -> None:
    with FakeOpenAI([ANSWER]) as server:
        code, out, _ = run(["--json"], tmp_path, server.url, stdin="six times seven\n")
        assert server.requests[-1].body["messages"][-1]["content"].endswith("six times seven")
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert events[0]["task"] == "six times seven"
    assert events[-1]["type"] == "run_finished" and events[-1]["answer"] == "42"


def test_a_file_is_there_for_the_code(tmp_path: Path) -> None:
    (tmp_path / "a b.csv").write_text("x\n5\n")
    turn = Turn("```python\nfinal_answer(open('a b.csv').read().split()[1])\n```")
    with FakeOpenAI([turn]) as server:
        code, out, _ = run(["read", "-f", str(tmp_path / "a b.csv")], tmp_path, server.url)
    assert code == 0 and "Answer: 5" in out


def test_no_answer_is_exit_code_one(tmp_path: Path) -> None:
    with FakeOpenAI([Turn("```python\nprint('still at it')\n```")]) as server:
        code, out, _ = run(["go", "--max-steps", "2"], tmp_path, server.url)
    assert code == 1 and "limit of 2 steps" in out and "still at it" in out


def test_a_killed_run_is_listed_and_resumed(tmp_path: Path) -> None:
    turns = [
        Turn("```python\nx = 6\nprint('six')\n```"),
        Turn("x", "thinking aloud " * 500, "reasoning_content", delay=0.05),
        Turn("```python\nfinal_answer(x * 7)\n```"),
    ]
    with FakeOpenAI(turns) as server:
        process = start(["six times seven"], tmp_path, server.url)
        assert process.stdout
        seen = ""
        while "thinking aloud" not in seen:
            seen += (piece := process.stdout.read(1))
            assert piece, seen
        process.kill()
        process.communicate()
        code, out, _ = run(["--unfinished"], tmp_path)
        assert code == 0 and out.rstrip().endswith("six times seven")
        code, out, err = run(["--resume", out.split()[0]], tmp_path, server.url)
        assert code == 0 and "Answer: 42" in out and "variables are there again" in out
        assert "To go on" not in err
        assert len(server.chats) == 3, "the step that was finished is not asked for again"
        sent = [message["content"] for message in server.chats[2].body["messages"]]
        assert sent == [message["content"] for message in server.chats[1].body["messages"]]
    code, out, err = run(["--unfinished"], tmp_path)
    assert (code, out) == (1, "") and "No run" in err
    code, out, err = run(["--resume", "last"], tmp_path, "http://127.0.0.1:1/v1")
    assert (code, out) == (2, "") and "No run" in err


def test_terminal_controls_of_the_model_are_never_sent_on(tmp_path: Path) -> None:
    turn = Turn("```python\nfinal_answer('\x1b]0;owned\x07[bold]x[/bold]')\n```", "\x1b[2J\u202e")
    with FakeOpenAI([turn]) as server:
        code, out, _ = run(["go"], tmp_path, server.url)
    assert code == 0 and "[bold]x[/bold]" in out
    assert "\x1b" not in out and "\x07" not in out and "\u202e" not in out


def test_errors_are_cleaned_too_and_show_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    tell_fault(EngineError("It \x1b[2J died.", fix="Mend it.", log="line one\x9b2J\nline two"))
    out, err = capsys.readouterr()
    assert out == "" and "\x1b" not in err and "\x9b" not in err
    assert err.index("line two") < err.index("died.") < err.index("Mend it.")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("arguments", ["", "--json"])
def test_output_to_a_full_disk_and_to_nobody(tmp_path: Path, arguments: str) -> None:
    environment = {**os.environ, "HEARTH_DATA_DIR": str(tmp_path / "data")}
    with FakeOpenAI([ANSWER]) as server:
        environment["HEARTH_ENDPOINT_URL"] = server.url
        for sink, code, words in (("> /dev/full", 2, "can't be written"), ("| true", 0, "")):
            command = f"{sys.executable} -m agent go {arguments} {sink}"
            done = subprocess.run(
                command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True
            )
            assert done.returncode == code and words in done.stderr
            assert "Traceback" not in done.stderr and "ignored" not in done.stderr


def test_a_terminal_that_knows_few_letters_is_no_reason_to_fail(tmp_path: Path) -> None:
    turn = Turn("```python\nfinal_answer('→ ω')\n```")
    with FakeOpenAI([turn]) as server:
        code, out, _ = run(["go"], tmp_path, server.url, PYTHONIOENCODING="latin-1")
    assert code == 0 and "Answer: ? ?" in out


@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [
        ([], {}, ["no task"]),
        (["  "], {}, ["no task"]),
        (["go", "-f", "/nowhere/x.csv"], {}, ["/nowhere/x.csv", "can't be read"]),
        (["go", "-f", "/tmp"], {}, ["/tmp", "folder"]),
        (["go", "--max-steps", "many"], {}, ["max_steps", "many"]),
        (["go"], {"HEARTH_PORT": "99999"}, ["port", "65535"]),
        (["go"], {"HEARTH_PROT": "1"}, ["HEARTH_PORT"]),
        (["go", "--model", "no/such", "--route", "main"], {}, ["no/such"]),
        (["go", "--model", "/tmp"], {}, ["/tmp", "config.json"]),
        (["go", "--endpoint-url", "http://127.0.0.1:1"], {"HEARTH_ROUTE": "main"}, [":1 ("]),
        (["go", "--route", "openai"], {}, ["route names openai", "openai_key"]),
        (["go", "--resume", "last"], {}, ["task", "--resume"]),
        (["go"], {"HEARTH_DATA_DIR": "/proc/none"}, ["/proc/none", "HEARTH_DATA_DIR"]),
    ],
)
def test_bad_input_is_one_clear_error(
    tmp_path: Path, arguments: list[str], variables: dict[str, str], words: list[str]
) -> None:
    """In this process: starting one for each would take longer than all the rest."""
    done = CliRunner(env={"HEARTH_DATA_DIR": str(tmp_path / "data"), **variables}).invoke(
        app, arguments
    )
    assert done.exit_code == 2 and done.stdout == ""
    assert isinstance(done.exception, SystemExit), "no traceback"
    for word in words:
        assert word in done.stderr, done.stderr
    assert len(done.stderr.strip().splitlines()) <= 6, "one clear error"


def test_ctrl_c_while_the_engine_is_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        process = start(["go", "--endpoint-url", url], tmp_path)
        connection, _ = silent.accept()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        connection.close()
    assert (process.returncode, out, err.strip()) == (130, "", "Stopped.")


def test_ctrl_c_stops_cleanly(tmp_path: Path) -> None:
    with FakeOpenAI(
        [Turn("x", "thinking aloud " * 500, "reasoning_content", delay=0.05)]
    ) as server:
        process = start(["go"], tmp_path, server.url)
        assert process.stdout
        seen = ""
        while "thinking aloud" not in seen:
            seen += (piece := process.stdout.read(1))
            assert piece, seen
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        stopped_at = time.monotonic()
        out, err = process.communicate(timeout=20)
        assert "Traceback" not in err
        assert time.monotonic() - stopped_at < 5
        assert process.returncode == 130 and "The run was stopped." in out
        assert server.requests[-1].disconnected.wait(2), "the server is told"
    left = psutil.wait_procs(children, timeout=2)[1]
    # Whoever adopted them may be slow to bury them.
    assert not [p for p in left if p.status() != psutil.STATUS_ZOMBIE], "no process is left"
