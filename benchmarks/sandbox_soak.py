"""A long day of the sandbox in a few minutes: steps, faults and kills over many sessions.

    .venv/bin/python benchmarks/sandbox_soak.py [--steps 2000] [--sessions 50] [--seed 0]

Every step's result is checked. At the end nothing may be left of the sessions: no process, no
thread, no descriptor, no file; and neither the app nor the template may have grown.
"""

import argparse
import gc
import os
import platform
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from smolagents import Tool  # noqa: E402

from errors import Cancelled, CodeError  # noqa: E402
from sandbox import launch  # noqa: E402
from sandbox.executor import SandboxExecutor  # noqa: E402
from sandbox.files import Quota  # noqa: E402

MAX_GROWN_BYTES = 40_000_000
_SHORT, _LONG = 0.5, 60.0  # seconds: a step's limit where it is to be reached, and where not


class Echo(Tool):
    name = "echo"
    description = "Gives its argument back."
    inputs = {"value": {"type": "string", "description": "anything"}}
    output_type = "string"

    def forward(self, value: str) -> str:
        return value


class Wrong(Exception):
    """A step did not do what it had to."""


@dataclass
class Session:
    """One executor and what its variable `count` must be; None when it is gone."""

    executor: SandboxExecutor
    count: int | None = None
    seen: Counter[str] = field(default_factory=Counter)

    def run(self, kind: str) -> None:
        """One step of that kind; raises Wrong."""
        self.seen[kind] += 1
        if self.count is None:
            self._expect("count = 0\ncount", 0)
            self.count = 0
        KINDS[kind](self)

    def _expect(self, code: str, output: Any) -> None:
        found = self.executor(code).output
        if found != output:
            raise Wrong(f"{code!r} gave {found!r}, not {output!r}")

    def _fails(self, code: str, words: str) -> None:
        try:
            self.executor(code)
        except CodeError as error:
            if words not in str(error):
                raise Wrong(f"{code!r} ended in {error}, not in {words!r}") from None
            if "Variables are gone" in str(error):
                self.count = None
            return
        raise Wrong(f"{code!r} did not fail")

    def counts(self) -> None:
        self.count = (self.count or 0) + 1
        self._expect("count += 1\ncount", self.count)

    def calls(self) -> None:
        self._expect("[echo(str(n)) for n in range(5)]", list("01234"))

    def writes(self) -> None:
        self._expect("for n in range(20):\n    open(f'file-{n}', 'w').write('x' * 5000)\n20", 20)

    def computes(self) -> None:
        code = "import pandas as pd\nint(pd.DataFrame({'a': range(100)}).a.sum())"
        self._expect(code, 4950)

    def prints(self) -> None:
        if len(self.executor("for n in range(20_000):\n    print(n)").logs) > 25_000:
            raise Wrong("too much was printed")

    def errs(self) -> None:
        self._fails("1 / 0", "ZeroDivisionError")

    def needs_memory(self) -> None:
        self._fails("bytearray(2**45)", "MemoryError")

    def loops(self) -> None:
        # Asked to stop, and killed only where the machine is too busy for it to hear that.
        self._fails("while True:\n    pass", "The code ran longer than")

    def ends_itself(self) -> None:
        self._fails("import os\nos._exit(3)", "exit code 3")

    def crashes(self) -> None:
        self._fails("import ctypes\nctypes.string_at(0)", "crashed")

    def is_killed(self) -> None:
        pid = self.executor.pid
        assert pid is not None
        timer = threading.Timer(0.05, os.killpg, (pid, signal.SIGKILL))
        timer.start()
        self._fails("import time\ntime.sleep(20)", "was killed")
        timer.join()

    def is_killed_between_steps(self) -> None:
        pid = self.executor.pid
        assert pid is not None
        os.killpg(pid, signal.SIGKILL)
        self._fails("1", "Variables are gone")

    def fills_the_workspace(self) -> None:
        self._fails("for n in range(2000):\n    open(f'many-{n}', 'w').close()", "500 files")

    def is_stopped(self) -> None:
        pid = self.executor.pid
        timer = threading.Timer(0.1, self.executor.interrupt)
        timer.start()
        try:
            self.executor("import time\ntime.sleep(20)")
        except Cancelled:
            timer.join()
            if self.executor.pid != pid:  # too busy to hear it in time
                self.count = None
            return
        raise Wrong("the stop was not heard")


KINDS: dict[str, Callable[[Session], None]] = {
    name: act
    for name, act in vars(Session).items()
    if callable(act) and not name.startswith("_") and name != "run"
}
_WEIGHTS = {"counts": 30, "calls": 10, "writes": 8, "errs": 8, "computes": 6, "prints": 4}
# Where the time is short, nothing that a busy machine could not do in it.
_IN_SHORT = {"loops": 3, "is_stopped": 1}


def one_session(number: int, steps: int, folder: Path, tier: str, seed: int) -> Counter[str]:
    """A session from its start to its end; which steps it took. Raises Wrong."""
    draw = random.Random(f"{seed} {number}")
    short = number % 5 == 0
    executor = SandboxExecutor(
        folder / f"{number}",
        timeout_seconds=_SHORT if short else _LONG,
        confine=tier,
        quota=Quota(max_files=500),
    )
    session = Session(executor)
    executor.send_tools({"echo": Echo()})
    weights = _IN_SHORT if short else {n: _WEIGHTS.get(n, 1) for n in KINDS if n != "loops"}
    try:
        for name in draw.choices(list(weights), list(weights.values()), k=steps):
            session.run(name)
    except Exception as error:
        raise Wrong(f"session {number}, after {dict(session.seen)}: {error}") from error
    finally:
        executor.cleanup()
    if (executor.workspace / ".sandbox").exists():
        raise Wrong(f"session {number} left its caches")
    return session.seen


@dataclass
class State:
    """What the app and the template hold."""

    processes: int
    threads: int
    descriptors: int
    app_bytes: int
    template_bytes: int

    @classmethod
    def now(cls) -> "State":
        gc.collect()
        app = psutil.Process()
        template = launch.warm_up()
        held = psutil.Process(template.pid).memory_full_info().uss if template else 0
        children = [child for child in app.children(recursive=True) if child.is_running()]
        return cls(
            len(children),
            app.num_threads(),
            app.num_fds(),
            app.memory_full_info().uss,
            held,
        )

    def leaks(self, before: "State") -> list[str]:
        """What there is more of than before."""
        found = [
            f"{getattr(self, name) - getattr(before, name)} more {name}"
            for name in ("processes", "threads", "descriptors")
            if getattr(self, name) > getattr(before, name)
        ]
        for name in ("app_bytes", "template_bytes"):
            grown = getattr(self, name) - getattr(before, name)
            if grown > MAX_GROWN_BYTES:
                found.append(f"{name} grew by {grown / 1e6:.0f} MB")
        return found


def soak(
    steps: int, sessions: int, *, tier: str, seed: int, at_once: int = 8
) -> tuple[Counter[str], State, State]:
    """Run the sessions, `at_once` beside each other: the steps taken, and what was held before
    and after. Raises Wrong for a leak or a wrong step."""
    template = launch.warm_up()
    if template is not None:
        template.warm.wait(120)
    seen: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="hearth-soak-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # a worker with a user id of its own has to pass
        with ThreadPoolExecutor(at_once) as pool:  # once around, so that everything is there
            list(pool.map(lambda n: one_session(n, 3, folder, tier, seed), range(-at_once, 0)))
        before = State.now()
        each = [steps // sessions + (n < steps % sessions) for n in range(sessions)]
        with ThreadPoolExecutor(at_once) as pool:
            for found in pool.map(
                lambda n: one_session(n, each[n], folder, tier, seed), range(sessions)
            ):
                seen += found
        deadline = time.monotonic() + 10  # threads and zombies may take a moment to go
        while (after := State.now()).leaks(before) and time.monotonic() < deadline:
            time.sleep(0.2)
    if leaks := after.leaks(before):
        raise Wrong("; ".join(leaks))
    return seen, before, after


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--tier", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(
        f"command: benchmarks/sandbox_soak.py --steps {options.steps} --sessions "
        f"{options.sessions} --tier {options.tier} --seed {options.seed}"
    )
    print(f"machine: {platform.machine()}, {os.cpu_count()} cores, {platform.python_version()}")
    began = time.monotonic()
    seen, before, after = soak(
        options.steps, options.sessions, tier=options.tier, seed=options.seed
    )
    print(f"steps: {sum(seen.values())} in {time.monotonic() - began:.0f} s: {dict(seen)}")
    print(f"held before: {before}\nheld after:  {after}\nno leak, every step as it had to be")


if __name__ == "__main__":
    main()
