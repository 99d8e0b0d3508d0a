"""The agent's loop beside smolagents' own: CPU, prompt tokens, prefixes, runs with an answer.

    .venv/bin/python benchmarks/loop_agent.py [--steps 10] [--thinking 2000] [--runs 3] [--vllm]

Both agents get the same raw replies of an R1-shaped model, the same tools and the same sandbox.
Prompts are counted with the bundled model's tokenizer; CPU is this process's own, without the
sandbox and, with the local server, without the server. With `--vllm` a vLLM server on this
machine's CPU reads the prompts too, and says how much of each was in its prefix cache; its model
is the bundled one with a longer context, since stock prompts need it. Needs no network.
"""

import argparse
import json
import multiprocessing
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from smolagents import CodeAgent, LogLevel, Tool  # noqa: E402
from smolagents.models import OpenAIModel  # noqa: E402
from smolagents.monitoring import AgentLogger  # noqa: E402

from agent import prompts  # noqa: E402
from agent.session import Limits, Session  # noqa: E402
from agent.wiring.toolbox import standard_tools  # noqa: E402
from benchmarks.prefix_cache import Reader, long_run, shown  # noqa: E402
from benchmarks.streams import Server  # noqa: E402
from memory.history import History  # noqa: E402
from sandbox.executor import SandboxExecutor  # noqa: E402
from serving.chat import ChatModel  # noqa: E402
from serving.families import FAMILIES  # noqa: E402
from serving.model_source import BUNDLED_FOLDER  # noqa: E402
from serving.supervisor import Supervisor  # noqa: E402
from settings import load_settings  # noqa: E402
from tests.fake_openai import FakeOpenAI, Turn  # noqa: E402
from tests.loop_help import Outcome, Prompt, ours, stock  # noqa: E402

R1 = FAMILIES["r1-distill"]


def fenced(code: str, thinking: str = "Let me see.") -> str:
    return f"{thinking}\n</think>\n\n```python\n{code}\n```"


def said(text: str, thinking: str = "Let me see.") -> str:
    return f"{thinking}\n</think>\n\n{text}"


# What a 7B reasoning model does beside the plain case; each gives the answer 42 somewhere.
HABITS: dict[str, tuple[list[str], str]] = {
    "code, then final_answer": ([fenced("x = 42\nprint(x)"), fenced("final_answer(x)")], "42"),
    "boxed": ([said("The result is $\\boxed{42}$.")], "42"),
    "a final answer in words": ([said("It adds up.\n\n**Final answer:** 42")], "42"),
    "a draft in the thinking": (
        [fenced("final_answer(42)", "Try ```python\nfinal_answer(7)\n``` No, wrong.")],
        "42",
    ),
    "tags talked about": (
        [said("<code>\nfinal_answer(42)\n</code>", "It goes between `<code>` and `</code>`.")],
        "42",
    ),
    "an invented observation": (
        [
            fenced("x = 6 * 7\nprint(x)") + "\nOutput:\n41\n```python\nfinal_answer(41)\n```",
            fenced("final_answer(x)"),
        ],
        "42",
    ),
    "bare prose, again and again": ([said("I believe that it is 42.")], "I believe that it is 42."),
    "an empty reply, then code": (["\n</think>\n", fenced("final_answer(42)")], "42"),
    "the same code for ever": ([fenced("print(42)")], "42"),
    "no end in sight": (
        [*(fenced(f"print({n})") for n in range(8)), said("Final answer: 42")],
        "42",
    ),
    "a stop word in the thinking": (
        [fenced("final_answer(42)", "The Observation: will be 42.")],
        "42",
    ),
    "much output": (
        [*(fenced(f"print('{n}' * 9000)") for n in range(6)), said("\\boxed{42}")],
        "42",
    ),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--thinking", type=int, default=2000, help="words of thinking in a step")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--vllm", action="store_true", help="the hits in a real prefix cache")
    given = parser.parse_args()
    print("$", " ".join(["benchmarks/loop_agent.py", *sys.argv[1:]]))
    names = ("smolagents", "httpx", "openai")
    print(platform.python_version(), *(f"{name} {version(name)}" for name in names), sep=", ")
    replies = long_run(given.steps, given.thinking)
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(Path(folder), data_dir=Path(folder) / "d")
        tools = standard_tools(settings, Path(folder), History(Path(folder) / "h"))
    prompts_sent(replies, tools)
    if given.vllm:
        on_vllm(replies, tools)
    cpu("the script in the process", scripted(replies), given)
    with Replies(replies) as url:
        cpu("a local server, streamed over HTTP", over_http(url), given)
    answers()


def prompts_sent(replies: Sequence[str], tools: Sequence[Tool]) -> None:
    """Tokens of all prompts of one run, and how much of each was in the one before."""
    count = counter()
    steps = len(replies)
    print(f"\nprompts of {steps} steps, {len(tools)} tools: tokens in all, in the last, share of")
    print("each prompt's bytes that is the beginning it shares with the one before (least, mean)")
    sums = {}
    for name, side in (("stock", stock), ("ours", ours)):
        outcome: Outcome = side(replies, max_steps=steps, tools=tools)
        sizes = [count(flat(prompt)) for prompt in outcome.prompts]
        shares = [
            shared(flat(a), flat(b)) / len(flat(b).encode()) for a, b in pairwise(outcome.prompts)
        ]
        sums[name] = sum(sizes)
        least, mean = min(shares), statistics.mean(shares)
        print(f"  {name:6} {sum(sizes):8,} {sizes[-1]:8,}   {least:6.1%} {mean:6.1%}")
    print(f"  ours are {1 - sums['ours'] / sums['stock']:.0%} fewer")


def on_vllm(replies: Sequence[str], tools: Sequence[Tool]) -> None:
    """How much of each prompt a real vLLM has in its prefix cache."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(shutil.copytree(BUNDLED_FOLDER, Path(name) / "tiny"))
        config = json.loads((folder / "config.json").read_text())
        config["max_position_embeddings"] = 32_768
        (folder / "config.json").write_text(json.dumps(config))
        own = load_settings(engine="vllm", model=str(folder), data_dir=Path(name) / "d")
        with Supervisor(own) as endpoint:
            server = Server(endpoint.base_url, endpoint.api_key, endpoint.model_id, True)
            print("\nprefix cache of vLLM on this CPU")
            for name, side in (("stock", stock), ("ours", ours)):
                reader = Reader(server)
                outcome: Outcome = side(replies, max_steps=len(replies), tools=tools)
                lines = shown([reader.read(prompt) for prompt in outcome.prompts])
                print(f"  {name:6}", "\n         ".join(lines))


def flat(prompt: Prompt) -> str:
    return "".join(f"<|{message['role']}|>\n{message['content']}" for message in prompt)


def shared(before: str, now: str) -> int:
    """Bytes at the beginning that are the same."""
    a, b = before.encode(), now.encode()
    differing = (n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y)
    return next(differing, min(len(a), len(b)))


def counter() -> Callable[[str], int]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(ROOT / "models" / "tiny" / "tokenizer.json"))
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def cpu(what: str, run: dict[str, Callable[[], None]], given: argparse.Namespace) -> None:
    """CPU milliseconds of one step, the median of some runs."""
    print(f"\nCPU a step, {given.thinking:,} words of thinking, {what}: median (min to max)")
    medians = {}
    for name, once in run.items():
        costs = []
        for _ in range(given.runs):
            began = time.process_time()
            once()
            costs.append((time.process_time() - began) / given.steps * 1000)
        medians[name] = statistics.median(costs)
        print(f"  {name:6} {medians[name]:8.1f} ms ({min(costs):.1f} to {max(costs):.1f})")
    print(f"  ours takes {medians['stock'] / medians['ours']:.1f} times less")


def scripted(replies: Sequence[str]) -> dict[str, Callable[[], None]]:
    steps = len(replies)

    def stock_once() -> None:
        with tempfile.TemporaryDirectory() as folder:
            executor = SandboxExecutor(Path(folder))
            stock(replies, max_steps=steps, stream=True, executor=executor)
            executor.cleanup()

    return {"stock": stock_once, "ours": lambda: check(ours(replies, max_steps=steps))}


def check(outcome: Outcome) -> None:
    assert outcome.answer and not outcome.error, outcome.error


def over_http(url: str) -> dict[str, Callable[[], None]]:
    def stock_once() -> None:
        with tempfile.TemporaryDirectory() as folder:
            executor = SandboxExecutor(Path(folder))
            agent = CodeAgent(
                tools=[],
                model=OpenAIModel("fake", api_base=url, api_key="none"),
                executor=executor,
                stream_outputs=True,
                max_steps=100,
                logger=AgentLogger(level=LogLevel.OFF, console=quiet()),
            )
            agent.run("Go.")
            executor.cleanup()

    def our_once() -> None:
        with tempfile.TemporaryDirectory() as folder:
            model = ChatModel(url, "fake", "", R1, timeout_seconds=600)
            session = Session(
                model,
                SandboxExecutor(Path(folder)),
                [],
                Path(folder),
                instructions=prompts.instructions(R1.prompt, []),
                limits=Limits(max_steps=100),
            )
            last = list(session.run("Go."))[-1]
            session.close()
            assert last.status == "answered", last  # type: ignore[union-attr]

    return {"stock": stock_once, "ours": our_once}


def quiet():  # type: ignore[no-untyped-def]
    import io

    from rich.console import Console

    return Console(file=io.StringIO())


class Replies:
    """A server in a process of its own that says the replies in turn, again and again."""

    def __init__(self, replies: Sequence[str]) -> None:
        self._replies = list(replies)

    def __enter__(self) -> str:
        here, there = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=_serve, args=(self._replies, there), daemon=True)
        self._process.start()
        return here.recv()

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()


def _serve(replies: list[str], pipe: Connection) -> None:
    with FakeOpenAI([Turn(reply, chunk=5) for reply in replies * 50]) as server:
        pipe.send(server.url)
        time.sleep(3600)


def answers() -> None:
    """Runs that end in the right answer, over the habits of small reasoning models."""
    print("\nruns that end with the answer that the model gave; requests in brackets")
    right = {"stock": 0, "ours": 0}
    for habit, (replies, wanted) in HABITS.items():
        shown = []
        for name, side in (("stock", stock), ("ours", ours)):
            outcome = side(replies, max_steps=8, most_chars=60_000)
            good = str(outcome.answer).strip() == wanted
            right[name] += good
            shown.append(f"{name} {'yes' if good else 'no '} [{len(outcome.prompts)}]")
        print(f"  {habit:30} {'   '.join(shown)}")
    print(f"  {right['stock']} and {right['ours']} of {len(HABITS)}")


if __name__ == "__main__":
    main()
