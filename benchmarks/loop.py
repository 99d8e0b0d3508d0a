"""The client beside smolagents' own: CPU for each 1,000 streamed tokens, by the reply's length.

    .venv/bin/python benchmarks/loop.py [--tokens 1000,4000,16000] [--runs 3] [--stock-up-to 4000]

One local server, in a process of its own, streams the same reply to all: thinking, then a code
block, one token a chunk. CPU is that of the asking process with all its threads. Three read it:

- `ours`: ChatModel, with the reply split, its loops and its budget watched, as the agent gets it;
- `stock model`: smolagents' OpenAIModel, its deltas taken and thrown away. It costs more than
  ours: its openai client makes objects of a model class of each chunk;
- `stock agent`: a CodeAgent that streams, which joins and renders all deltas again for each.
  What it does grows with the square of the length, so replies longer than --stock-up-to are left
  out: 16,000 tokens take it some four minutes.

Needs no network. The whole loop (steps, prompts, answers) is measured by loop_agent.py.
"""

import argparse
import io
import multiprocessing
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from rich.console import Console  # noqa: E402
from smolagents import CodeAgent, LogLevel  # noqa: E402
from smolagents.local_python_executor import CodeOutput, PythonExecutor  # noqa: E402
from smolagents.models import OpenAIModel  # noqa: E402
from smolagents.monitoring import AgentLogger  # noqa: E402

from serving.chat import ChatModel  # noqa: E402
from serving.families import FAMILIES  # noqa: E402
from tests.fake_openai import FakeOpenAI, Turn  # noqa: E402

CODE = "\n</think>\n\n```python\nfinal_answer(42)\n```"
TOKEN_CHARS = 5
TASK = [{"role": "user", "content": "Go."}]


class Done(PythonExecutor):
    """Runs nothing: every code is the last."""

    def send_tools(self, tools: object) -> None:
        pass

    def send_variables(self, variables: object) -> None:
        pass

    def __call__(self, code_action: str) -> CodeOutput:
        return CodeOutput(output=42, logs="", is_final_answer=True)


def reply(tokens: int) -> str:
    """About that many tokens of thinking that goes on, then code."""
    thinking, number = "", 0
    while len(thinking) < tokens * TOKEN_CHARS:
        number += 1
        thinking += f"Now {number} times {number + 3} is {number * (number + 3)}, so I go on.\n"
    return thinking[: tokens * TOKEN_CHARS - len(CODE)] + CODE


def ours(url: str) -> Callable[[], None]:
    model = ChatModel(
        url, "fake", "", FAMILIES["r1-distill"], timeout_seconds=600, max_tokens=10**6,
        thinking_tokens=10**6,
    )  # fmt: skip

    def run() -> None:
        deltas = list(model.generate_stream(TASK))
        assert deltas[-1].reply is not None
        assert deltas[-1].reply.code == "final_answer(42)"

    return run


def stock_model(url: str) -> Callable[[], None]:
    model = OpenAIModel("fake", api_base=url, api_key="x")

    def run() -> None:
        assert sum(1 for _ in model.generate_stream(TASK)) > 10

    return run


def stock_agent(url: str) -> Callable[[], None]:
    def run() -> None:
        agent = CodeAgent(
            [],
            OpenAIModel("fake", api_base=url, api_key="x"),
            executor=Done(),
            stream_outputs=True,
            # The tag that the reply has, so that it is not stopped in its thinking.
            code_block_tags="markdown",
            logger=AgentLogger(level=LogLevel.OFF, console=Console(file=io.StringIO())),
        )
        assert agent.run("Go.") == 42

    return run


@contextmanager
def serving(text: str) -> Iterator[str]:
    """A server of that reply in a process of its own."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(text, there), daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        process.kill()
        process.join()


def _serve(text: str, pipe: Connection) -> None:
    with FakeOpenAI([Turn(text, chunk=TOKEN_CHARS, linger=3600)]) as server:
        pipe.send(server.url)
        time.sleep(3600)


def cost(run: Callable[[], None], tokens: int, runs: int) -> float:
    """Milliseconds of CPU for each 1,000 tokens: the median of the runs."""
    measured = []
    for _ in range(runs):
        began = time.process_time()
        run()
        measured.append((time.process_time() - began) * 1e6 / tokens)
    return statistics.median(measured)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--tokens", default="1000,4000,16000")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--stock-up-to", type=int, default=4000)
    given = parser.parse_args()
    versions = ", ".join(f"{name} {version(name)}" for name in ("smolagents", "openai", "httpx"))
    print(f"Python {platform.python_version()}, {versions}, {multiprocessing.cpu_count()} cores")
    print("CPU milliseconds for 1,000 streamed tokens\n")
    print(f"{'tokens':>8} {'ours':>10} {'stock model':>12} {'stock agent':>12} {'agent/ours':>11}")
    for tokens in (int(word) for word in given.tokens.split(",")):
        with serving(reply(tokens)) as url:
            mine = ours(url)
            mine()  # the first request opens a thread and connections
            own = cost(mine, tokens, given.runs)
            model = cost(stock_model(url), tokens, given.runs)
            row = f"{tokens:>8} {own:>10.1f} {model:>12.1f}"
            if tokens <= given.stock_up_to:
                agent = cost(stock_agent(url), tokens, 1)
                row += f" {agent:>12.1f} {agent / own:>10.0f}x"
            print(row, flush=True)


if __name__ == "__main__":
    main()
