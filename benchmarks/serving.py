"""What the engine that is up gives: first token, tokens a second, prefix cache, bandwidth.

    .venv/bin/python benchmarks/serving.py [--against transformers] [--streams 1,8,32]
        [--tokens 64] [--words 120] [--runs 3] [--steps 10] [--own 3] [--save]

The engine is the one of your settings (HEARTH_ENGINE, HEARTH_MODEL, HEARTH_ENDPOINT_URL); one that
runs already is used, else it is started. `--against` measures a second one in the same run: the
name of an engine, or an address, whose key is read from the variable AGAINST_KEY.

- Streams: each reply has a prompt whose beginning no other has, so that no cache helps.
- Prefix cache: a run of ten steps through the whole agent and its sandbox, with scripted replies,
  whose prompts the engine reads; then runs with the model's own replies, by vLLM's /metrics.
- On a GPU, the share of the memory's bandwidth that one stream reaches: bytes of weights that a
  token reads × tokens a second / bandwidth. For a server elsewhere, name its `--device`.

Figures are medians over the runs, with minimum and maximum. `--save` writes them as JSON into
benchmarks/results/. Needs no network.
"""

import argparse
import contextlib
import dataclasses
import datetime
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from agent.build import Hearth  # noqa: E402
from benchmarks import prefix_cache, streams  # noqa: E402
from benchmarks.streams import Server  # noqa: E402
from benchmarks.weights import bytes_a_token  # noqa: E402
from serving.chat import ChatModel  # noqa: E402
from serving.engines import ENGINES, Endpoint, chosen_engine  # noqa: E402
from serving.families import Family, family_for, family_named  # noqa: E402
from serving.first_reply import family_of  # noqa: E402
from serving.hardware import cpu_cores  # noqa: E402
from serving.plan.devices import bandwidth  # noqa: E402
from serving.row import Plan  # noqa: E402
from serving.supervisor import Supervisor  # noqa: E402
from settings import Settings, load_settings  # noqa: E402

TASKS = (
    "What is 17% of 2480, plus 3 squared?",
    "Is 7919 a prime number?",
    "How many days are there from 3 March 2024 to 1 July 2024?",
)


@dataclasses.dataclass
class Side:
    """One engine under test, what is known of it, and what was found."""

    settings: Settings
    endpoint: Endpoint
    server: Server
    family: Family
    plan: Plan | None
    about: dict[str, Any]
    found: dict[str, Any] = dataclasses.field(default_factory=dict)


@contextlib.contextmanager
def up(settings: Settings) -> Iterator[Side]:
    """The engine of the settings, while it is measured."""
    row = ENGINES[chosen_engine(settings)]
    plan = row.plan(settings) if row.plan else None
    said = lambda line: print(f"  {line}", file=sys.stderr)  # noqa: E731
    with Supervisor(settings, on_progress=said) as endpoint:
        server = Server(endpoint.base_url, endpoint.api_key, endpoint.model_id, False)
        with server.client() as http:
            listed = http.get(f"{server.base_url}/models").json()["data"]
            ours = next(model for model in listed if model["id"] == endpoint.model_id)
            server = dataclasses.replace(server, is_vllm=ours.get("owned_by") == "vllm")
            running = http.get(f"{server.root}/version").json() if server.is_vllm else {}
        number = running.get("version") or (
            version("transformers") if endpoint.engine == "transformers" else "version unknown"
        )
        about = {
            "engine": "vllm" if server.is_vllm else endpoint.engine,
            "version": number,
            "model": endpoint.model_id,
            "on": plan.accelerator.name if plan else "a server that runs already",
            "context": ours.get("max_model_len"),
        }
        if plan is not None:
            family = family_of(plan, settings.family)
        elif settings.family:
            family = family_named(settings.family)
        else:
            family = family_for(endpoint.model_id)
        yield Side(settings, endpoint, server, family, plan, about)


def middle(values: list[float], unit: str, digits: int = 1) -> str:
    low, high = min(values), max(values)
    return (
        f"{statistics.median(values):,.{digits}f} {unit} ({low:,.{digits}f} to {high:,.{digits}f})"
    )


def replies(side: Side, given: argparse.Namespace) -> None:
    """So many streams at once: the first token, and tokens a second."""
    streams.ask(side.server, 1, tokens=8, words=given.words)  # what is made on first use
    rows = side.found["streams"] = {}
    for count in map(int, given.streams.split(",")):
        rounds = [
            streams.ask(side.server, count, tokens=given.tokens, words=given.words)
            for _ in range(given.runs)
        ]
        every = [stream for round in rounds for stream in round.streams]
        row = rows[str(count)] = {
            "first_token_seconds": [round.first_token for round in rounds],
            "tokens_a_second_of_one": [round.one for round in rounds],
            "tokens_a_second_of_all": [round.all for round in rounds],
            "tokens": statistics.median(stream.tokens for stream in every),
            "prompt_tokens": statistics.median(stream.prompt_tokens for stream in every),
            "one_at_a_time": all(round.in_turn for round in rounds),
        }
        print(
            f"  {count:3} streams of {row['tokens']:.0f} tokens, prompts of "
            f"{row['prompt_tokens']:.0f}"
            + ("; it takes one request at a time" if row["one_at_a_time"] else "")
        )
        print(f"      first token after {middle(row['first_token_seconds'], 's', 2)}")
        print(f"      one stream        {middle(row['tokens_a_second_of_one'], 'tokens/s')}")
        print(f"      all together      {middle(row['tokens_a_second_of_all'], 'tokens/s')}")


def share_of_bandwidth(side: Side, given: argparse.Namespace) -> None:
    """What one stream makes of the speed at which the memory can be read."""
    device = given.device or (side.plan.accelerator.name if side.plan else "")
    speed = given.bandwidth or bandwidth(device)
    read = bytes_a_token(side.plan, side.endpoint.model_id)
    one = side.found["streams"].get("1")
    if not (one and speed and read):
        lacks = (
            "one stream"
            if not one
            else "the size of its weights"
            if speed
            else "the speed of its memory"
        )
        print(f"  share of the memory's bandwidth: {lacks} is not known ({device or 'no device'})")
        return
    tokens = statistics.median(one["tokens_a_second_of_one"])
    share = tokens * read / (speed * 1e9)
    side.found["bandwidth"] = {
        "device": device,
        "gigabytes_a_second": speed,
        "weight_bytes_a_token": read,
        "share": share,
    }
    print(
        f"  share of the memory's bandwidth: {share:.0%} ({read / 1e9:.2f} GB of weights × "
        f"{tokens:.1f} tokens/s / {speed} GB/s of {device})"
    )


def prefix(side: Side, given: argparse.Namespace) -> None:
    """The prefix cache on runs of the whole agent."""
    reader = prefix_cache.Reader(side.server)
    reader.read(streams.prompt(given.words))
    if not reader.told:
        print("  prefix cache: none that it tells of")
        return
    reads: list[list[prefix_cache.Read]] = []
    for _ in range(given.runs):
        reads.append(scripted_run(side, given.steps))
    print(f"  scripted run through the agent: {prefix_cache.shown(reads[0])[0]}")
    for line in prefix_cache.shown(reads[0])[1:]:
        print(f"    {line}")
    again = [run[0].share for run in reads[1:]]
    if again:
        print(f"    first step of a later session: {statistics.median(again):.1%} in the cache")
    side.found["scripted_runs"] = [[dataclasses.asdict(read) for read in run] for run in reads]
    if given.own and side.server.is_vllm:
        own_runs(side, given.own)


def scripted_run(side: Side, steps: int) -> list[prefix_cache.Read]:
    replies = prefix_cache.long_run(steps, 40, rows=given_rows(side))
    model = prefix_cache.ReadAloud(replies, side.family, side.server)
    run_agent(side, lambda _: model, "Sum up what the rows show.", steps)
    return model.reads


def given_rows(side: Side) -> int:
    """Rows of output a step: fewer where ten steps with ten would not fit the context."""
    return 10 if (side.about["context"] or 1 << 20) > 8192 else 2


def own_runs(side: Side, count: int) -> None:
    """Runs with the model's own replies, by the server's counters."""
    steps = 0
    before = prefix_cache.counters(side.server)
    for number in range(count):
        steps += run_agent(side, lambda hearth: client(side), TASKS[number % len(TASKS)], 10)
    after = prefix_cache.counters(side.server)
    if before is None or after is None or after[0] == before[0]:
        return
    asked, hits = after[0] - before[0], after[1] - before[1]
    side.found["own_runs"] = {"runs": count, "steps": steps, "tokens": asked, "hits": hits}
    print(
        f"  {count} runs with its own replies: {steps} steps, {asked:,.0f} tokens of prompts, "
        f"{hits / asked:.1%} in the cache (/metrics)"
    )


def client(side: Side) -> ChatModel:
    s, endpoint = side.settings, side.endpoint
    return ChatModel(
        endpoint.base_url,
        endpoint.model_id,
        endpoint.api_key,
        side.family,
        timeout_seconds=s.request_timeout_seconds,
        max_tokens=s.max_tokens,
        thinking_tokens=s.thinking_tokens,
    )


def run_agent(side: Side, model: Callable[[Hearth], Any], task: str, steps: int) -> int:
    """One run through the whole agent, in a folder of its own; how many steps it took."""
    with tempfile.TemporaryDirectory() as folder:
        own = load_settings(data_dir=Path(folder), max_steps=steps, family=side.family.name)
        hearth = Hearth(own)
        with contextlib.closing(hearth.new_session(model=model(hearth))) as session:
            finished = list(session.run(task))[-1]
    return int(getattr(finished, "steps", 0))


def other(named: str) -> Settings:
    """The settings of the second engine."""
    if named in ENGINES:
        return load_settings(engine=named, endpoint_url="")
    key = os.environ.get("AGAINST_KEY", "")
    return load_settings(engine="endpoint", endpoint_url=named, endpoint_key=key)


def main() -> None:
    """Measure, print, and save if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--against", help="a second engine's name, or address")
    parser.add_argument("--streams", default="1,8,32", help="how many at once")
    parser.add_argument("--tokens", type=int, default=64, help="of each reply")
    parser.add_argument("--words", type=int, default=120, help="of each prompt")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=10, help="of the scripted run")
    parser.add_argument("--own", type=int, default=3, help="runs with the model's own replies")
    parser.add_argument("--device", default="", help="the GPU of a server elsewhere, such as L4")
    parser.add_argument("--bandwidth", type=float, help="of its memory, in GB/s, if not known")
    parser.add_argument("--save", action="store_true", help="into benchmarks/results/")
    given = parser.parse_args()
    command = " ".join(["benchmarks/serving.py", *sys.argv[1:]])
    packages = {name: version(name) for name in ("smolagents", "httpx")}
    load = os.getloadavg()[0]
    print("$", command)
    print(
        f"Python {platform.python_version()}, {cpu_cores()} cores, load {load:.1f} before:", end=""
    )
    print(" a quiet machine" if load < 0.3 * cpu_cores() else " OTHERS USE THIS MACHINE TOO")
    sides = [load_settings(), *([other(given.against)] if given.against else [])]
    found = []
    for settings in sides:
        with up(settings) as side:
            about = side.about
            named = f"{about['engine']} {about['version']}, {about['model']} on {about['on']}"
            print(f"\n{named}, context {about['context'] or 'not told'}")
            replies(side, given)
            share_of_bandwidth(side, given)
            prefix(side, given)
            found.append({**about, **side.found})
    if given.save:
        machine = {
            "python": platform.python_version(),
            "cores": cpu_cores(),
            "load_before": round(load, 2),
            "packages": packages,
        }
        save(found, {"command": command, "machine": machine})


def save(sides: list[dict[str, Any]], beside: dict[str, Any]) -> None:
    """Write the figures, named after engines, model and device."""
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    words = [*(side["engine"] for side in sides), sides[0]["model"], sides[0]["on"]]
    name = "-".join("".join(c if c.isalnum() else "_" for c in word) for word in words)
    folder = ROOT / "benchmarks" / "results"
    folder.mkdir(exist_ok=True)
    path = folder / f"serving-{name}.json"
    path.write_text(json.dumps({"day": day, **beside, "sides": sides}, indent=1) + "\n")
    print(f"\nsaved as {path.relative_to(ROOT)}")


if __name__ == "__main__":
    try:
        main()
    except httpx.HTTPError as error:
        raise SystemExit(f"The server failed: {error!r}") from None
