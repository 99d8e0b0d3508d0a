"""The worker as a process: it ends when it should, leaves nothing, and stays when it should."""

import gc
import os
import re
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import errors
from sandbox.confine import RESERVE_BYTES, Confinement
from sandbox.executor import SandboxExecutor
from sandbox.process import Wake, WorkerProcess
from sandbox.workspace import Quota

ROOT = Path(__file__).resolve().parent.parent
linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., SandboxExecutor]]:
    made: list[SandboxExecutor] = []

    def build(**options: Any) -> SandboxExecutor:
        options.setdefault("confine", "unconfined")  # what the tiers add has its own tests
        made.append(SandboxExecutor(tmp_path / f"workspace-{len(made)}", **options))
        return made[-1]

    yield build
    for executor in made:
        executor.cleanup()


def _wait_gone(pid: int, seconds: float) -> bool:
    """Whether the process ends in time (a zombie has ended)."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize(
    "code",
    ["while True: pass", "sum(range(10**13))", "import time; time.sleep(1000)", "waiting"],
)
def test_worker_ends_when_the_app_is_killed(code: str, tmp_path: Path) -> None:
    app = textwrap.dedent(f"""
        import sys, threading, time
        from pathlib import Path
        from sandbox.executor import SandboxExecutor
        executor = SandboxExecutor(Path({str(tmp_path)!r}))
        executor("waiting = 1")
        print(executor.pid, flush=True)
        threading.Thread(target=executor, args=({code!r},), daemon=True).start()
        time.sleep(1000)
    """)
    command = [sys.executable, "-c", app]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        time.sleep(0.3)
        assert psutil.pid_exists(pid)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert _wait_gone(pid, 3)


def test_worker_ends_with_a_tidy_app(tmp_path: Path) -> None:
    app = textwrap.dedent(f"""
        from pathlib import Path
        from sandbox.executor import SandboxExecutor
        executor = SandboxExecutor(Path({str(tmp_path)!r}))
        executor("import time")
        print(executor.pid)
    """)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", app], capture_output=True, cwd=ROOT, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert _wait_gone(int(done.stdout), 1)


def test_worker_outlives_the_thread_that_asked_for_it(make: Any) -> None:
    executor = make()
    thread = threading.Thread(target=executor, args=("x = 1",))
    thread.start()
    thread.join()
    time.sleep(0.2)
    assert executor("x").output == 1


def test_nothing_is_left_behind(make: Any) -> None:
    executor = make()
    executor("1")  # the first one starts the thread that starts workers, once
    executor.cleanup()
    gc.collect()
    this = psutil.Process()
    before = (len(this.children()), this.num_fds(), this.num_threads())
    for _ in range(5):
        executor = make()
        executor("open('a.txt', 'w').close()")
        with pytest.raises(errors.CodeError):
            executor("import os; os._exit(1)")
        executor("1")
        executor.cleanup()
        assert [path.name for path in executor.workspace.iterdir()] == ["a.txt"]
    assert (len(this.children()), this.num_fds(), this.num_threads()) == before


def test_a_forgotten_executor_ends_its_worker(make: Any, tmp_path: Path) -> None:
    executor = SandboxExecutor(tmp_path)
    executor("1")
    pid = executor.pid
    assert pid is not None
    del executor
    gc.collect()
    assert _wait_gone(pid, 1)


def test_a_closed_sandbox_says_so(make: Any) -> None:
    executor = make()
    executor("1")
    executor.cleanup()
    executor.cleanup()
    with pytest.raises(errors.SandboxError, match="was closed"):
        executor("1")


def test_death_is_noticed_although_a_child_lives(make: Any) -> None:
    executor = make()
    began = time.monotonic()
    with pytest.raises(errors.CodeError, match="exit code 3"):
        executor(
            "import os, subprocess, time\n"
            "subprocess.Popen(['sleep', '60'])\n"
            "if os.fork() == 0:\n    time.sleep(60)\n"
            "os._exit(3)"
        )
    assert time.monotonic() - began < 2


@linux
def test_started_programs_end_with_the_sandbox(make: Any) -> None:
    executor = make()
    pids = executor(
        "import subprocess\n"
        "one = subprocess.Popen(['sleep', '60'])\n"
        "two = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
        "out = subprocess.run(['sh', '-c', 'setsid sleep 60 >/dev/null 2>&1 & echo $!'],\n"
        "                     capture_output=True, text=True).stdout\n"
        "[one.pid, two.pid, int(out)]"
    ).output
    assert all(psutil.pid_exists(pid) for pid in pids)
    executor.cleanup()
    assert all(_wait_gone(pid, 1) for pid in pids)


def test_forked_children_have_no_wire(make: Any) -> None:
    executor = make()
    executor.send_tools({})
    code = (
        "import os\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    print('child')\n"
        "    try:\n        final_answer(1)\n"
        "    except RuntimeError as error:\n        print(error)\n"
        "else:\n    os.waitpid(pid, 0)\n    print('parent')\npid"
    )
    result = executor(code)
    assert not result.is_final_answer and result.output > 0
    assert "child" in result.logs and "outside of a running step" in result.logs
    assert executor("import multiprocessing\nwith multiprocessing.Pool(2) as pool:\n"
                    "    found = pool.map(abs, [-1, -2])\nfound").output == [1, 2]  # fmt: skip


@linux
def test_confinement_is_in_force(make: Any) -> None:
    executor = make(memory_bytes=2 * 1024**3)
    executor("1")
    assert executor.pid is not None
    fields = dict(
        line.split(":", 1) for line in Path(f"/proc/{executor.pid}/status").read_text().splitlines()
    )
    assert fields["NoNewPrivs"].strip() == "1"
    assert Path(f"/proc/{executor.pid}/oom_score_adj").read_text().strip() == "1000"
    limit = psutil.Process(executor.pid).rlimit
    # What the libraries take is not the code's; it is less than a gigabyte.
    assert 0 <= limit(psutil.RLIMIT_AS)[1] - (2 * 1024**3 + RESERVE_BYTES) < 1024**3
    assert limit(psutil.RLIMIT_CORE) == (0, 0)
    assert limit(psutil.RLIMIT_CPU)[0] < 60 * (os.cpu_count() or 1) + 60
    assert os.getpgid(executor.pid) == executor.pid
    assert resource.getrlimit(resource.RLIMIT_CORE)[1] != 0  # the app itself is as it was


def test_large_file_is_refused(make: Any) -> None:
    with pytest.raises(errors.CodeError, match=r"OSError: .*File too large"):
        make()("with open('big', 'wb') as f:\n    f.truncate(10**10)")


def test_a_workspace_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    executor = SandboxExecutor(tmp_path / "link")
    executor("open('helper.py', 'w').write('def f():\\n    return 1 / 0')")
    assert executor.artefacts == [tmp_path / "link" / "helper.py"]
    with pytest.raises(errors.CodeError, match=r"helper\.py, line 2: return 1 / 0"):
        executor("import helper\nhelper.f()")
    executor.cleanup()


def test_removed_workspace_is_made_again(make: Any) -> None:
    executor = make()
    executor("import shutil, os\nshutil.rmtree(os.getcwd())")
    assert executor("open('a', 'w').write('x')").output == 1
    assert [path.name for path in executor.artefacts] == ["a"]


def test_a_sandbox_that_cannot_start_says_why(make: Any, tmp_path: Path) -> None:
    executor = make(memory_bytes=1024**2)
    with pytest.raises(errors.SandboxError) as caught:
        executor("1")
    assert "The sandbox didn't start" in str(caught.value) and caught.value.fix
    (tmp_path / "file").write_text("x")
    with pytest.raises(errors.SandboxError, match="can't be made"):
        SandboxExecutor(tmp_path / "file" / "workspace")("1")


def test_unknown_level_and_platform(
    make: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(errors.SandboxError, match="Unknown tier of confinement 'jail'"):
        make(confine="jail")
    monkeypatch.setattr("sandbox.executor.sys.platform", "win32")
    with pytest.raises(errors.SandboxError, match="needs Linux or macOS"):
        make()


def _until_dropped(executor: SandboxExecutor) -> None:
    deadline = time.monotonic() + 10
    while executor.pid is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert executor.pid is None


def test_an_idle_worker_is_ended_and_the_next_step_says_so(make: Any) -> None:
    executor = make(idle_seconds=0.5)
    executor.send_variables({"sent": 3})
    executor("x = 1\nopen('kept.txt', 'w').write('x')")
    pid = executor.pid
    _until_dropped(executor)
    assert pid is not None and _wait_gone(pid, 1)
    with pytest.raises(errors.CodeError, match="NameError"):
        executor("print(sent, open('kept.txt').read())\nx")
    note = r"\[The sandbox was not used for \d s\. Variables are gone, files .* are kept\.\]\n3 x\n"
    assert re.fullmatch(note, executor.state["_print_outputs"])
    assert executor("1").logs == ""


def test_a_step_that_runs_is_not_idle(make: Any) -> None:
    executor = make(idle_seconds=0.3)
    assert executor("x = 1\nimport time\ntime.sleep(2.5)\nx").output == 1


def test_a_worker_that_breaks_a_limit_between_steps_is_ended(make: Any) -> None:
    executor = make(quota=Quota(max_files=100))
    executor(
        "import threading, time\ndef fill():\n    time.sleep(0.3)\n    for n in range(7000):\n"
        "        open(f'late-{n}', 'w').close()\n    time.sleep(100)\n"
        "threading.Thread(target=fill).start()\nopen('mine', 'w').close()"
    )
    _until_dropped(executor)
    result = executor("import os\nos.listdir()")
    assert result.logs.startswith("[Between two steps the Python process left more than 100 files")
    assert sorted(result.output) == [".sandbox", "mine"]


@linux
def test_memory_of_the_whole_group_is_bounded(make: Any) -> None:
    """Each process has its own address space; the app adds them up."""
    executor = make(memory_bytes=100 * 1024**2)
    code = (
        "import subprocess, sys, time\n"
        "held = 'import time; x = b\"x\" * 300_000_000; time.sleep(60)'\n"
        "programs = [subprocess.Popen([sys.executable, '-c', held]) for _ in range(3)]\n"
        "time.sleep(60)"
    )
    with pytest.raises(errors.CodeError) as caught:
        executor(code)
    assert "needed more memory than the sandbox has" in str(caught.value)
    assert executor("1").output == 1


def test_two_steps_at_once_are_refused(make: Any) -> None:
    executor = make()
    executor("1")
    thread = threading.Thread(target=executor, args=("import time; time.sleep(0.6)",))
    thread.start()
    time.sleep(0.2)
    with pytest.raises(errors.SandboxError, match="running a step already"):
        executor("1")
    thread.join()


def test_interrupt_while_the_worker_starts(make: Any) -> None:
    executor = make()

    def stop() -> None:
        while not executor.interrupt():
            time.sleep(0.001)

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(errors.Cancelled):
        executor("import time; time.sleep(20)")
    thread.join()
    assert executor("1").output == 1


def test_a_stop_before_the_step_is_not_lost(make: Any) -> None:
    executor = make()
    flag = threading.Event()
    executor.stopped = flag.is_set
    assert executor("1").output == 1
    flag.set()
    assert executor.interrupt() is False
    with pytest.raises(errors.Cancelled):
        executor("ran = True")
    flag.clear()
    with pytest.raises(errors.CodeError, match="NameError"):
        executor("ran")


def test_a_callback_that_fails_leaves_a_working_sandbox(make: Any) -> None:
    def broken(text: str) -> None:
        raise KeyError(text)

    executor = make(on_output=broken)
    with pytest.raises(KeyError):
        executor("print('x')\nimport time; time.sleep(20)")
    executor.on_output = None
    assert executor("print('y')\n2").output == 2


def test_variables_that_cannot_be_sent(make: Any) -> None:
    executor = make()
    with pytest.raises(errors.InputError, match="The variable model can't be handed"):
        executor.send_variables({"model": object()})


@linux
def test_a_worker_that_cannot_be_confined_is_not_said_to_need_memory(tmp_path: Path) -> None:
    wake = Wake()
    worker = WorkerProcess(Confinement("uid", str(tmp_path)), output_chars=100, max_calls=1)
    with pytest.raises(errors.SandboxError, match="needs a user id of its own") as caught:
        worker.wait_ready(wake, lambda: False)
    wake.close()
    assert caught.value.fix and "memory" not in caught.value.fix
