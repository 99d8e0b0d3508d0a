"""The runner: whole agents on a small server, each task in a world of its own."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.build import Hearth
from errors import HearthError
from evals.__main__ import app
from evals.results import Result, ResultFile, read_results
from evals.runner import GivenFirst, canned_search, open_session, run_task, run_tasks, written_reply
from evals.tasks import Expect, Given, Page, Task
from serving.families import FAMILIES
from serving.scripted import ScriptedModel
from settings import Settings
from tests.fake_openai import FakeOpenAI, Turn
from tests.test_evals_report import ABOUT, example, write_tasks

ROOT = Path(__file__).resolve().parent.parent


def task(name: str, expect: Expect | None = None, **more: object) -> Task:
    expect = expect or Expect("number", 4)
    return Task(name, "f", "p", False, f"task {name}", expect, **more)  # type: ignore[arg-type]


def turn(code: str) -> Turn:
    return Turn(f"```python\n{code}\n```", thinking="Do it.", chunk=40)


class Engine:
    """A Hearth on a small server whose replies the test sets, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.server = FakeOpenAI(models=["tiny"])
        self.folder = folder

    def replies(self, *codes: str) -> None:
        self.server.turns = [turn(code) for code in codes]
        self.server.requests.clear()

    @property
    def last_messages(self) -> list[dict[str, str]]:
        return self.server.chats[-1].body["messages"]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = Engine(tmp_path_factory.mktemp("data"))
    with engine.server:
        yield engine


@pytest.fixture
def hearth(engine: Engine) -> Iterator[Hearth]:
    settings = Settings(endpoint_url=engine.server.url, data_dir=engine.folder, max_steps=3)
    with Hearth(settings) as hearth:
        yield hearth


def one(hearth: Hearth, task: Task) -> Result:
    return run_task(task, open_session(hearth))


class TestOneTask:
    def test_files_notes_and_web_are_the_tasks_own(self, engine: Engine, hearth: Hearth) -> None:
        engine.replies(
            "rows = open('a.csv').read().split()\nprint(search_notes('cake'))",
            "print(web_search('lighthouse height'))\nprint(web_search('zebra'))",
            "print(search_history('cake'))\nfinal_answer(len(rows))",
        )
        pages = [Page("Rubjerg", "https://a.example", "The lighthouse is 23 m high.")]
        given = {
            "files": {"a.csv": b"1 2 3 4", "b.csv": b""},
            "notes": {"n.md": "Anna brings the cake"},
            "web": pages,
        }
        result = one(hearth, task("1", **given))
        assert (result.right, result.answer, result.steps) == (True, "4", 3)
        told = [message["content"] for message in engine.last_messages]
        assert told[0] == "task 1\n\nFiles: a.csv, b.csv"
        assert told[2] == "Output:\n1. n.md: Anna brings the cake"
        assert told[4] == (
            "Output:\n1. Rubjerg\n   https://a.example\n   The lighthouse is 23 m high.\n"
            "No results for 'zebra'."
        )
        assert result.code[0].startswith("rows = ")

    def test_nothing_stays_for_the_next_task(self, engine: Engine, hearth: Hearth) -> None:
        engine.replies(
            "remember('the cake is blue')\nopen('x.txt', 'w').write('1')\nfinal_answer(4)"
        )
        assert one(hearth, task("the cake")).right
        engine.replies(
            "import glob\nprint(glob.glob('*'), search_notes('cake'), search_history('cake'))",
            "final_answer(4)",
        )
        assert one(hearth, task("2")).right
        seen = engine.last_messages[2]["content"]
        assert seen == "Output:\n[] No notes match 'cake'. No notes match 'cake'."
        assert not list((engine.folder / "history").glob("*")), "the user's history stays clean"
        assert not (engine.folder / "workspaces").exists()

    def test_files_that_are_made_are_looked_at(self, engine: Engine, hearth: Hearth) -> None:
        code = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.savefig('p.png')"
        engine.replies(f"{code}\nfinal_answer('p.png')")
        assert one(hearth, task("1", Expect("file", "p.png"))).right
        engine.replies("open('p.png', 'w').write('x')\nfinal_answer('p.png')")
        assert one(hearth, task("1", Expect("file", "p.png"))).why == "p.png is no PNG picture"

    def test_given_steps_come_first(self, engine: Engine, hearth: Hearth) -> None:
        engine.replies("final_answer(len(words))")
        steps = [Given("Split.", "words = 'a b c d'.split()"), Given("Oops.", "1 / 0")]
        result = one(hearth, task("1", given=steps))
        assert result.right
        assert len(engine.server.chats) == 1, "only the last step was asked for"
        told = [message["content"] for message in engine.last_messages]
        assert told[1] == "```python\nwords = 'a b c d'.split()\n```"
        assert told[4].endswith("ZeroDivisionError: division by zero")

    def test_an_answer_that_was_only_collected_is_none(
        self, engine: Engine, hearth: Hearth
    ) -> None:
        engine.replies("print(4)")
        result = one(hearth, task("1"))
        assert (result.right, result.status, result.steps) == (False, "limit", 3)
        assert result.why == "the run ended as limit"

    def test_a_wrong_answer_says_why(self, engine: Engine, hearth: Hearth) -> None:
        engine.replies("final_answer(5)")
        result = one(hearth, task("1"))
        assert (result.right, result.status, result.why) == (False, "answered", "'5', not '4'")

    def test_a_fault_of_ours_is_a_failed_result(self, engine: Engine, hearth: Hearth) -> None:
        engine.server.turns = [Turn(status=400)]
        result = one(hearth, task("1"))
        assert result.status == "failed"
        assert result.error


class TestMany:
    def test_it_goes_on_where_it_stopped(
        self, engine: Engine, hearth: Hearth, tmp_path: Path
    ) -> None:
        engine.replies("final_answer(4)")
        tasks = [task(str(n)) for n in range(4)]
        first = run_tasks(tasks, open_session(hearth), ResultFile(tmp_path / "r.jsonl", ABOUT))
        assert [next(first).id, next(first).id] == ["0", "1"]
        first.close()
        results = ResultFile(tmp_path / "r.jsonl", ABOUT)
        assert [r.id for r in run_tasks(tasks, open_session(hearth), results)] == ["2", "3"]
        assert len(read_results(tmp_path / "r.jsonl")[1]) == 4
        assert list(run_tasks(tasks, open_session(hearth), results)) == []

    def test_several_at_once(self, engine: Engine, hearth: Hearth, tmp_path: Path) -> None:
        engine.replies("import time\ntime.sleep(2)\nfinal_answer(4)")
        results = ResultFile(tmp_path / "r.jsonl", ABOUT)
        tasks = [task(str(n)) for n in range(4)]
        ended = list(run_tasks(tasks, open_session(hearth), results, jobs=4))
        assert sorted(r.id for r in ended) == ["0", "1", "2", "3"]
        assert all(r.right for r in ended)
        asked = [chat.at for chat in engine.server.chats]
        assert max(asked) - min(asked) < 2, "the last was asked for before the first had ended"

    def test_a_dead_engine_stops_the_evaluation(
        self, engine: Engine, hearth: Hearth, tmp_path: Path
    ) -> None:
        engine.server.turns = [Turn(status=400)]
        results = ResultFile(tmp_path / "r.jsonl", ABOUT)
        with pytest.raises(HearthError, match="3 tasks in a row failed"):
            list(run_tasks([task(str(n)) for n in range(9)], open_session(hearth), results))
        assert len(results.done) == 3
        assert results.done_ids == set()

    @pytest.mark.parametrize("pause_seconds", [0.0, 0.5], ids=["as it begins", "as it runs"])
    def test_leaving_stops_what_runs(
        self, engine: Engine, hearth: Hearth, tmp_path: Path, pause_seconds: float
    ) -> None:
        engine.replies("final_answer(4)", "import time\ntime.sleep(60)")
        results = ResultFile(tmp_path / "r.jsonl", ABOUT)
        tasks = [task(str(n)) for n in range(3)]
        running = run_tasks(tasks, open_session(hearth), results, jobs=2)
        next(running)
        time.sleep(pause_seconds)
        started = time.monotonic()
        running.close()
        assert time.monotonic() - started < 10


class TestSeams:
    def test_the_given_replies_are_as_the_family_writes(self) -> None:
        step = Given("Think.", "x = 1\n")
        block = "```python\nx = 1\n```"
        assert written_reply(step, FAMILIES["tiny"]) == f"Think.\n</think>\n\n{block}"
        assert written_reply(step, FAMILIES["instruct"]) == f"<think>\nThink.\n</think>\n\n{block}"

    def test_given_first(self) -> None:
        family = FAMILIES["tiny"]
        real = ScriptedModel(["b</think>\n```python\nx = 2\n```"], family)
        model = GivenFirst([Given("a", "x = 1")], real)
        messages = [{"role": "user", "content": "hi"}]
        replies = [model.generate(messages).raw for _ in range(2)]
        assert [(r.thinking, r.code) for r in replies] == [("a", "x = 1"), ("b", "x = 2")]
        assert len(real.history) == 1

    def test_the_canned_web(self) -> None:
        pages = [Page(f"Title {n}", f"https://{n}.example", "tower") for n in range(4)]
        search = canned_search(pages)
        assert [r.title for r in search("how high is the TOWER", 2)] == ["Title 0", "Title 1"]
        assert search("of it", 5) == []
        assert canned_search([])("tower", 5) == []


class TestCommandLine:
    @pytest.fixture
    def tasks(self, tmp_path: Path) -> Path:
        rows = [example().to_dict() | {"family": family} for family in ("a", "b")]
        return write_tasks(tmp_path / "t.jsonl", *rows)

    @pytest.fixture
    def run(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch, tasks: Path
    ) -> Iterator[list[str]]:
        engine.replies("final_answer(2)")
        monkeypatch.setenv("HEARTH_ENDPOINT_URL", engine.server.url)
        yield ["run", str(tasks), "--out", str(tasks.parent / "r.jsonl")]

    def test_run_and_report(self, run: list[str], tmp_path: Path) -> None:
        cli = CliRunner()
        assert cli.invoke(app, [*run, "--limit", "1"]).exit_code == 0
        about, results = read_results(tmp_path / "r.jsonl")
        assert [r.family for r in results] == ["a"]
        assert about["model"] == "tiny"
        assert cli.invoke(app, [*run, "--jobs", "2"]).exit_code == 0
        shown = cli.invoke(
            app, ["report", str(tmp_path / "r.jsonl"), "--command", "make tiny-eval"]
        )
        assert shown.exit_code == 0
        assert "| b | " in shown.output
        assert "`make tiny-eval`" in shown.output
        assert cli.invoke(app, ["report", str(tmp_path / "r.jsonl"), "--check"]).exit_code == 1

    @pytest.mark.parametrize(
        ("more", "said"),
        [(["--family", "z"], "There are: a, b"), (["--max-steps", "0"], "max_steps")],
    )
    def test_bad_input(self, run: list[str], more: list[str], said: str) -> None:
        result = CliRunner().invoke(app, [*run, *more])
        assert result.exit_code == 2
        assert said in result.output
        assert "Traceback" not in result.output

    def test_a_file_that_is_not_there(self) -> None:
        for words in (["run", "none.jsonl", "--out", "r.jsonl"], ["report", "none.jsonl"]):
            assert CliRunner().invoke(app, words).exit_code == 2

    def test_ctrl_c_ends_it_cleanly(self, engine: Engine, run: list[str], tmp_path: Path) -> None:
        engine.replies("import time\ntime.sleep(60)")
        process = subprocess.Popen(
            [sys.executable, "-m", "evals", *run],
            cwd=ROOT,
            env={**os.environ, "HEARTH_ENDPOINT_URL": engine.server.url},
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 60
        while not engine.server.chats and time.monotonic() < deadline:
            threading.Event().wait(0.1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 130, errors
        assert "goes on from here" in errors
        assert "Traceback" not in errors
        assert read_results(tmp_path / "r.jsonl")[1] == []
