"""How long until the first answer, and what each process weighs.

    .venv/bin/python benchmarks/startup.py [--runs 5]

Cold: no engine runs; the command starts one, asks, answers and stops it. Warm: an engine
runs already and is reused. Each figure is the median over the runs, with minimum and
maximum; the answers are checked. Needs no network.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

TASK, ANSWER = "What is 17% of 2480, plus 3 squared?", "430.6"
IMPORT_APP = (
    "import sys, time; t = time.perf_counter(); import app, agent.build, web.server, web.visitors; "
    "import gradio, uvicorn; print(time.perf_counter() - t); "
    "print(*(m for m in ('torch', 'transformers', 'vllm') if m in sys.modules))"
)


def ask(environment: dict[str, str]) -> float:
    """Seconds of one whole `python -m agent`, from its start to its end."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "agent", TASK],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - started
    if done.returncode != 0 or ANSWER not in done.stdout:
        sys.exit(f"no answer {ANSWER}:\n{done.stdout[-1000:]}\n{done.stderr[-2000:]}")
    return seconds


def import_app(environment: dict[str, str]) -> float:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_APP],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        sys.exit(f"the app can't be imported:\n{done.stderr[-2000:]}")
    seconds, _, heavy = done.stdout.partition("\n")
    if heavy.strip():
        sys.exit(f"the app imports {heavy.strip()}")
    return float(seconds)


def memory(hearth: object) -> dict[str, float]:
    """Resident megabytes of each process while a session has just answered."""
    session = hearth.new_session()  # type: ignore[attr-defined]
    for _ in session.run(TASK):
        pass
    me = psutil.Process()
    sizes = {"this process (client and session)": me.memory_info().rss / 1e6}
    for child in me.children(recursive=True):
        sizes[f"{role(child)}"] = child.memory_info().rss / 1e6
    session.close()
    return sizes


def role(process: psutil.Process) -> str:
    line = " ".join(process.cmdline())
    for part, name in (("guard", "guard"), ("sandbox", "sandbox"), ("transformers", "engine")):
        if part in line:
            return name
    return process.name()


def line(name: str, values: list[float], unit: str = "s") -> str:
    middle = statistics.median(values)
    return f"{name:42} {middle:8.2f} {unit}   ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    packages = ("smolagents", "transformers", "torch", "gradio", "openai")
    print(f"command: benchmarks/startup.py --runs {runs}")
    print(
        f"machine: {platform.machine()}, {os.cpu_count()} cores, {platform.system()} "
        f"{platform.release().split('-')[0]}, Python {platform.python_version()}"
    )
    print("versions:", ", ".join(f"{name} {version(name)}" for name in packages))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HEARTH_DATA_DIR"] = folder
        environment = dict(os.environ)
        print(
            line(
                "import of the app process, no torch",
                [import_app(environment) for _ in range(runs)],
            )
        )
        print(line("cold start to first answer", [ask(environment) for _ in range(runs)]))
        from agent.build import Hearth

        with Hearth() as hearth:
            print(line("warm start to first answer", [ask(environment) for _ in range(runs)]))
            for name, size in memory(hearth).items():
                print(f"{'memory, ' + name:42} {size:8.0f} MB")


if __name__ == "__main__":
    main()
