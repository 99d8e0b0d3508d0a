"""What the sandbox costs, beside plain CPython and smolagents' LocalPythonExecutor.

    .venv/bin/python benchmarks/sandbox.py [--tier auto] [--runs 20]

Each figure is the median over the runs, with minimum and maximum; every result is checked.
Loops are timed inside of the code that runs, everything else from the outside, in this process.
Needs no network.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from smolagents import Tool  # noqa: E402
from smolagents.local_python_executor import LocalPythonExecutor  # noqa: E402

from errors import CodeError  # noqa: E402
from sandbox import launch  # noqa: E402
from sandbox.executor import SandboxExecutor  # noqa: E402

LOOPS = {
    "additions, module level, 10^6": (
        "total = 0\nfor i in range(1_000_000):\n    total += i\nassert total == 499999500000"
    ),
    "additions in a function, 10^6": (
        "def add():\n    total = 0\n    for i in range(1_000_000):\n        total += i\n"
        "    return total\nassert add() == 499999500000"
    ),
    "fib(20)": (
        "def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\nassert fib(20) == 6765"
    ),
    "list comprehension, 10^5": "x = [i * i for i in range(100_000)]\nassert len(x) == 100_000",
}
PANDAS = "import pandas as pd\nlen(pd.DataFrame({'a': range(10)}).groupby('a').sum())"
WORK = (
    "import numpy as np, pandas as pd, matplotlib.pyplot as plt\n"
    "frame = pd.DataFrame({'a': np.arange(1000) % 7, 'b': np.arange(1000.0)})\n"
    "means = frame.groupby('a').b.mean()\nplt.plot(means.values)\nplt.savefig('plot.png')\n"
    "plt.close()\nlen(means)"
)
TIMED = "import time\nbegan = time.perf_counter()\n{code}\ntime.perf_counter() - began"


class Same(Tool):
    name = "same"
    description = "Gives its argument back."
    inputs = {"value": {"type": "string", "description": "anything"}}
    output_type = "string"

    def forward(self, value: str) -> str:
        return value


def timed(act: Callable[[], Any], expected: Any = None) -> float:
    """Seconds that `act` takes; its result must be the expected one."""
    began = time.perf_counter()
    result = act()
    seconds = time.perf_counter() - began
    if expected is not None and result != expected:
        sys.exit(f"expected {expected!r}, got {result!r}")
    return seconds


def line(label: str, values: list[float], unit: str = "ms", factor: float = 1000) -> str:
    scaled = [value * factor for value in values]
    middle = statistics.median(scaled)
    return f"{label:52} {middle:9.3f} {unit}   ({min(scaled):.3f} to {max(scaled):.3f})"


@contextmanager
def sandbox(tier: str, **options: Any) -> Iterator[SandboxExecutor]:
    executor = SandboxExecutor(confine=tier, **options)
    try:
        yield executor
    finally:
        executor.cleanup()


def loops(tier: str, runs: int) -> Iterator[str]:
    """Each loop in the sandbox, in plain CPython, and in smolagents' own interpreter."""
    plain = "import sys\ncode = sys.argv[1]\nspace = {}\nexec(code, space)\nprint(space['s'])"
    for name, code in LOOPS.items():
        in_plain, inside, in_local = [], [], []
        with sandbox(tier) as executor:
            executor("1")
            for _ in range(runs):
                ending = TIMED.format(code=code).rpartition("\n")
                script = f"{ending[0]}\ns = {ending[2]}"
                command = [sys.executable, "-I", "-c", plain, script]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                in_plain.append(float(done.stdout))
                inside.append(float(executor(TIMED.format(code=code)).output))
        for _ in range(min(runs, 3)):
            local = LocalPythonExecutor([])
            local.send_tools({})
            in_local.append(float(local(TIMED.format(code=code)).output))
        yield line(f"{name}: CPython", in_plain)
        ratio = statistics.median(inside) / statistics.median(in_plain)
        yield line(f"{name}: sandbox ({ratio:.2f} of CPython)", inside)
        ratio = statistics.median(in_local) / statistics.median(in_plain)
        yield line(f"{name}: LocalPythonExecutor ({ratio:.0f}x)", in_local)


def steps(tier: str, runs: int) -> Iterator[str]:
    """An empty step, and a tool call within a step."""
    calls = "for _ in range(200):\n    same('x')\n"
    local = LocalPythonExecutor([])
    tools = {"same": Same()}
    local.send_tools(dict(tools))
    with sandbox(tier) as executor:
        executor.send_tools(dict(tools))
        for each, name in ((executor, "sandbox"), (local, "LocalPythonExecutor")):
            each("1")
            empty = [timed(lambda each=each: each("1 + 1").output, 2) for _ in range(runs * 20)]
            yield line(f"empty step: {name}", empty)
        for each, name in ((executor, "sandbox"), (local, "LocalPythonExecutor")):
            taken = [float(each(TIMED.format(code=calls)).output) / 200 for _ in range(runs)]
            yield line(f"tool call: {name}", taken)


def start(tier: str) -> float:
    """Seconds from a new executor to the end of its first step, which uses pandas."""
    began = time.perf_counter()
    with sandbox(tier) as executor:
        if executor(PANDAS).output != 10:
            sys.exit("pandas gave a wrong answer")
        return time.perf_counter() - began


def starts(tier: str, runs: int) -> Iterator[str]:
    """From the template and, for comparison, as a process of its own."""
    began = time.perf_counter()
    template = launch.warm_up()
    if template is not None:
        template.warm.wait(120)
        yield line("template: until all libraries are imported", [time.perf_counter() - began])
        yield line("start from the template, to the end of a pandas step", times(start, tier, runs))
    real, launch.warm_up = launch.warm_up, lambda: None
    try:
        cold = times(start, tier, max(2, runs // 4))
        yield line("cold start, to the end of a pandas step", cold)
    finally:
        launch.warm_up = real


def times(act: Callable[[str], float], tier: str, runs: int) -> list[float]:
    return [act(tier) for _ in range(runs)]


def restart(tier: str) -> float:
    """Seconds from a step that kills its process to the end of the next step."""
    with sandbox(tier) as executor:
        executor("x = 1")
        began = time.perf_counter()
        try:
            executor("import os\nos.kill(os.getpid(), 9)")
        except CodeError:
            if executor("1 + 1").output != 2:
                sys.exit("the sandbox gave a wrong answer")
            return time.perf_counter() - began
    sys.exit("the process outlived its end")


def overshoot(tier: str, code: str) -> float:
    """Seconds beyond the time limit until the step has ended."""
    with sandbox(tier, timeout_seconds=0.5) as executor:
        executor("x = 1")
        began = time.perf_counter()
        try:
            executor(code)
        except CodeError:
            seconds = time.perf_counter() - began - 0.5
            if executor("x").output != 1:
                sys.exit("a variable got lost")
            return seconds
    sys.exit("the step ended by itself")


def memory(tier: str) -> Iterator[str]:
    """Private memory of a session, as the kernel counts it (Linux)."""
    executors = [SandboxExecutor(confine=tier) for _ in range(3)]
    try:
        for label, code, expected in (("new", "1", 1), ("that used pandas and drew", WORK, 7)):
            sizes = []
            for executor in executors:
                if executor(code).output != expected or executor.pid is None:
                    sys.exit("the work gave a wrong answer")
                leader = psutil.Process(executor.pid)
                group = [leader, *leader.children(recursive=True)]
                sizes.append(sum(each.memory_full_info().uss for each in group))
            yield line(f"private memory of a session {label}", sizes, "MB", 1e-6)
    except psutil.AccessDenied:
        yield "private memory: only root may look into a confined process"
    finally:
        for executor in executors:
            executor.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tier", default="auto")
    parser.add_argument("--runs", type=int, default=20)
    options = parser.parse_args()
    tier, runs = options.tier, options.runs
    print(f"command: benchmarks/sandbox.py --tier {tier} --runs {runs}")
    print(
        f"machine: {platform.machine()}, {os.cpu_count()} cores, {platform.system()} "
        f"{platform.release().split('-')[0]}, Python {platform.python_version()}"
    )
    packages = ("smolagents", "numpy", "pandas", "matplotlib", "msgspec")
    print("versions:", ", ".join(f"{name} {version(name)}" for name in packages))
    began = time.perf_counter()
    for text in starts(tier, runs):
        print(text, flush=True)
    with sandbox(tier) as executor:
        print(f"tier: {executor.tier}")
    print(line("restart after a kill", times(restart, tier, runs)), flush=True)
    few = max(3, runs // 4)
    for name, code in (
        ("a loop", "while True:\n    pass"),
        ("a sleep", "import time\ntime.sleep(20)"),
    ):
        over = [overshoot(tier, code) for _ in range(few)]
        print(line(f"over the time limit: {name}", over), flush=True)
    for measured in (steps(tier, runs), memory(tier), loops(tier, few)):
        for text in measured:
            print(text, flush=True)
    print(f"all of it: {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
