"""The template: workers forked from it are processes of their own, and it is never in the way."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import errors
from sandbox import launch
from sandbox.executor import SandboxExecutor

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the template")


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., SandboxExecutor]]:
    made: list[SandboxExecutor] = []

    def build(**options: Any) -> SandboxExecutor:
        options.setdefault("confine", "unconfined")
        made.append(SandboxExecutor(tmp_path / f"workspace-{len(made)}", **options))
        return made[-1]

    yield build
    for executor in made:
        executor.cleanup()


@pytest.fixture
def template() -> launch.TemplateProcess:
    """The template of this process, with everything imported."""
    found = launch.warm_up()
    assert found is not None and found.warm.wait(120)
    return found


def _forked(executor: SandboxExecutor, template: launch.TemplateProcess) -> bool:
    assert executor.pid is not None
    return psutil.Process(executor.pid).ppid() == template.pid


def _fails(executor: SandboxExecutor, code: str) -> str:
    with pytest.raises(errors.CodeError) as caught:
        executor(code)
    return str(caught.value)


def test_libraries_are_there_before_the_first_import(make: Any, template: Any) -> None:
    executor = make()
    code = "import sys\n[name for name in ('numpy', 'pandas', 'sympy') if name in sys.modules]"
    assert executor(code).output == ["numpy", "pandas", "sympy"]
    assert _forked(executor, template)
    # But not in the namespace of the code, nor anything of the worker's own.
    assert "NameError" in _fails(executor, "pandas")
    assert executor("[n for n in sys.modules if n.startswith('sandbox')]").output == []


def test_what_is_drawn_at_random_differs(make: Any, template: Any) -> None:
    code = (
        "import random, numpy as np, os, uuid, tempfile\n"
        "from sympy.core.random import rng\n"
        "name = tempfile.mktemp()\n"
        "[random.random(), np.random.rand(), np.random.default_rng().random(), rng.random(), "
        "os.urandom(8).hex(), str(uuid.uuid4()), os.path.basename(name)]"
    )
    one, two, three = make()(code).output, make()(code).output, make()(code).output
    for a, b, c in zip(one, two, three, strict=True):
        assert len({a, b, c}) == 3


def test_a_worker_has_nothing_of_the_template(make: Any, template: Any) -> None:
    executor = make()
    code = (
        "import os, signal, tempfile, matplotlib\n"
        "{'open': sorted(int(n) for n in os.listdir('/proc/self/fd')), 'cwd': os.getcwd(), "
        "'environ': dict(os.environ), 'group': os.getpgrp() == os.getpid(), "
        "'session': os.getsid(0) == os.getpid(), 'temp': tempfile.gettempdir(), "
        "'matplotlib': [matplotlib.get_configdir(), matplotlib.get_cachedir()], "
        "'handled': [n for n in (signal.SIGCHLD, signal.SIGTERM) "
        "if signal.getsignal(n) != signal.SIG_DFL], 'wakeup': signal.set_wakeup_fd(-1)}"
    )
    found = executor(code).output
    own = executor.workspace.resolve()
    # 5 is the folder that is being listed.
    assert found["open"] == [0, 1, 2, 3, 4, 5] and found["cwd"] == str(own)
    assert found["environ"]["HOME"] == str(own / ".sandbox/home")
    assert found["temp"] == str(own / ".sandbox/tmp")
    assert found["matplotlib"] == [str(own / ".sandbox/matplotlib")] * 2
    assert found["group"] and found["session"]
    assert found["handled"] == [] and found["wakeup"] == -1


def test_the_template_is_given_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    app = textwrap.dedent("""
        import json, os, psutil
        from sandbox import launch
        template = launch.warm_up()
        template.warm.wait(120)
        process = psutil.Process(template.pid)
        names = [os.readlink(f"/proc/{template.pid}/fd/{n}").partition(":")[0]
                 for n in os.listdir(f"/proc/{template.pid}/fd")]
        print(json.dumps([process.environ(), names, process.num_threads(), process.cwd()]))
    """)
    environment = {**os.environ, "HF_TOKEN": "hf_secret", "MY_API_KEY": "key_secret"}
    with (tmp_path / "open-secret").open("w") as secret:
        done = subprocess.run(
            [sys.executable, "-c", app],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            pass_fds=(secret.fileno(),),
        )
    environ, names, threads, cwd = json.loads(done.stdout)
    assert "secret" not in str(environ)
    assert sorted(names) == ["/dev/null"] * 3 + ["pipe"] * 2 + ["socket"]
    assert threads == 1 and cwd.startswith(environ["HOME"].rpartition("/")[0])


def test_an_early_request_is_served(tmp_path: Path) -> None:
    app = textwrap.dedent(f"""
        import time
        from pathlib import Path
        from sandbox import launch
        from sandbox.executor import SandboxExecutor
        executor = SandboxExecutor(Path({str(tmp_path)!r}), confine="unconfined")
        print(executor("import sys\\n'sklearn' in sys.modules").output)
        print(launch.warm_up().warm.is_set())
        print(executor("import pandas as pd\\nint(pd.Series([1, 2]).sum())").output)
        executor.cleanup()
    """)
    done = subprocess.run([sys.executable, "-c", app], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == "" and done.stdout.split() == ["False", "False", "3"]


def test_the_template_ends_with_the_app_and_leaves_no_folder(tmp_path: Path) -> None:
    app = textwrap.dedent(f"""
        import sys, time
        from pathlib import Path
        from sandbox import launch
        from sandbox.executor import SandboxExecutor
        executor = SandboxExecutor(Path({str(tmp_path / "w")!r}), confine="unconfined")
        executor("1")
        print(launch.warm_up().pid, executor.pid, flush=True)
        if sys.argv[1] == "killed":
            time.sleep(100)
    """)
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    for way in ("tidy", "killed"):
        command = [sys.executable, "-c", app, way]
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            pids = [int(number) for number in process.stdout.readline().split()]
            if way == "killed":
                process.kill()
        deadline = time.monotonic() + 3
        while any(map(_lives, pids)) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not any(map(_lives, pids)), way
        if way == "tidy":
            assert not list(tmp_path.glob("hearth-*"))


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("tier", ["unconfined", "landlock", "broker", "namespaces", "uid"])
def test_the_death_of_the_template_is_the_workers_and_no_more(
    make: Any, template: Any, tier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "_deaths", [])
    try:
        executor, idle = make(confine=tier), make(confine=tier)
        executor.start()
    except errors.SandboxError as error:
        pytest.skip(error.message)
    executor("x = 1")
    idle("x = 1")
    pids = [each.pid for each in psutil.Process(template.pid).children(recursive=True)]
    assert {executor.pid, idle.pid} <= set(pids)
    os.kill(template.pid, signal.SIGKILL)
    text = _fails(executor, "import time\ntime.sleep(20)")
    assert "was restarted" in text and "Variables are gone" in text
    assert "the process that it was forked from had ended" in text and "memory" not in text
    deadline = time.monotonic() + 10
    while any(map(_lives, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(_lives, pids))
    assert "Variables are gone" in _fails(idle, "x")
    assert executor("1").output == 1 and idle("2").output == 2
    fresh = launch.warm_up()
    assert fresh is not None and fresh.pid != template.pid and _forked(executor, fresh)


def test_ending_a_worker_of_a_dead_template_ends_nobody_else(
    make: Any, template: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number was given up with the template: long after, another group may have it."""
    monkeypatch.setattr(launch, "_deaths", [])
    executor = make()
    executor("x = 1")
    forked = executor._cell.worker._process
    os.kill(template.pid, signal.SIGKILL)
    assert forked.wait(10) is not None and template.gone
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as other:
        forked.pid = other.pid
        forked.kill()
        time.sleep(0.1)
        assert other.poll() is None
        other.kill()


def test_a_library_whose_import_kills_the_template_is_passed_over(
    make: Any, template: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "_deaths", [])
    template.importing = "sympy"  # as if it had died there
    template.end()
    while not template.gone:
        time.sleep(0.01)
    fresh = launch.warm_up()
    assert fresh is not None and fresh.warm.wait(120)
    executor = make()
    assert executor("import sys\n'sympy' in sys.modules, 'numpy' in sys.modules").output == (
        False,
        True,
    )
    assert executor("import sympy\nstr(sympy.sqrt(8))").output == "2*sqrt(2)"


def test_without_a_template_workers_start_directly(
    make: Any, template: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    monkeypatch.setattr(launch, "_deaths", [(now, "")] * 3)  # it has died too often
    monkeypatch.setattr(launch, "_template", [])
    assert launch.warm_up() is None
    executor = make(timeout_seconds=0.5)
    assert executor("x = 5\nimport sys\n'pandas' in sys.modules").output is False
    assert psutil.Process(executor.pid).ppid() == os.getpid()
    assert "Variables were kept" in _fails(executor, "while True:\n    pass")
    assert "exit code 3" in _fails(executor, "import os\nos._exit(3)")
    assert "NameError" in _fails(executor, "x")
    monkeypatch.undo()


def test_a_template_that_answers_too_late_is_not_waited_for(
    make: Any, template: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(psutil.Process(template.pid).children())
    monkeypatch.setattr(launch, "_ANSWER_SECONDS", 0.3)
    os.kill(template.pid, signal.SIGSTOP)
    executor = make()
    try:
        assert executor("x = 1\nx").output == 1
        assert psutil.Process(executor.pid).ppid() == os.getpid()
    finally:
        os.kill(template.pid, signal.SIGCONT)
    monkeypatch.undo()
    _until_as_few(template, before)
    assert not template.gone and executor("x").output == 1


def test_a_template_that_dies_while_nobody_waits_for_its_answer(
    make: Any, template: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "_deaths", [])
    executor = make()
    executor("x = 1")
    forked = executor._cell.worker._process
    monkeypatch.setattr(launch, "_ANSWER_SECONDS", 0.3)
    os.kill(template.pid, signal.SIGSTOP)
    assert make()("1").output == 1  # started directly, without the answer
    os.kill(template.pid, signal.SIGKILL)
    assert forked.wait(10) == -signal.SIGKILL and forked._code.done()


def _until_as_few(template: launch.TemplateProcess, children: int) -> None:
    """Wait until no more than that many processes are the template's."""
    deadline = time.monotonic() + 10
    while len(psutil.Process(template.pid).children()) > children and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(psutil.Process(template.pid).children()) <= children


def test_ended_workers_are_reaped(make: Any, template: Any) -> None:
    before = len(psutil.Process(template.pid).children())
    for number in range(5):
        executor = make()
        executor(str(number))
        assert "exit code" in _fails(executor, "import os\nos._exit(1)")
        executor.cleanup()
    _until_as_few(template, before)


def test_what_an_ended_worker_left_behind_ends_too(make: Any, template: Any) -> None:
    executor = make()
    code = (
        "import subprocess\n"
        "one = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
        "print(one.pid, flush=True)\nimport os\nos._exit(1)"
    )
    _fails(executor, code)
    pid = int(executor.state["_print_outputs"])
    deadline = time.monotonic() + 3
    while _lives(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _lives(pid)


def _in_a_fork(folder: str) -> None:
    executor = SandboxExecutor(Path(folder), confine="unconfined")
    answer = executor("6 * 7").output
    executor.cleanup()
    os._exit(0 if answer == 42 else 1)


def test_a_forked_app_has_a_template_of_its_own(make: Any, template: Any, tmp_path: Path) -> None:
    executor = make()
    executor("x = 1")
    child = multiprocessing.get_context("fork").Process(
        target=_in_a_fork, args=(str(tmp_path / "fork"),)
    )
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert executor("x").output == 1 and not template.gone


def test_many_start_at_once(make: Any, template: Any) -> None:
    executors = [make() for _ in range(8)]
    for executor in executors:
        executor.start()
    assert [executor(f"{n}").output for n, executor in enumerate(executors)] == list(range(8))


def test_libraries_compute_with_several_threads_again(make: Any, template: Any) -> None:
    executor = make()
    code = (
        "import threadpoolctl\n[p['num_threads'] for p in threadpoolctl.threadpool_info() "
        "if p['user_api'] == 'blas']"
    )
    assert set(executor(code).output) == {min(2, os.cpu_count() or 1)}
    code = "import numpy as np\na = np.random.rand(400, 400)\nbool(np.allclose(a @ np.eye(400), a))"
    assert executor(code).output is True
