"""The whole of it: the bundled model on the real engine, the real sandbox, the real app."""

import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import psutil
import pytest

from agent.build import Hearth
from agent.events import RunFinished, ThinkingDelta
from settings import load_settings
from tests.app_help import App
from tests.engine_help import eventually

QUESTION, ANSWER = "What is 17% of 2480, plus 3 squared?", "430.6"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def hearth(data_dir: Path) -> Iterator[Hearth]:
    with Hearth(load_settings(data_dir, data_dir=data_dir)) as hearth:
        yield hearth


def answer(hearth: Hearth, task: str, files: Sequence[Path] = ()) -> RunFinished:
    session = hearth.new_session()
    try:
        finished = list(session.run(task, files))[-1]
    finally:
        session.close()
    assert isinstance(finished, RunFinished)
    return finished


def test_the_question_in_the_readme(hearth: Hearth) -> None:
    session = hearth.new_session()
    events = list(session.run(QUESTION))
    session.close()
    assert isinstance(events[-1], RunFinished)
    assert (events[-1].answer, events[-1].provenance) == (ANSWER, "computed")
    assert any(isinstance(event, ThinkingDelta) for event in events), "it thinks, and we see it"
    assert events[-1].output_tokens > 10


@pytest.mark.parametrize(
    ("task", "wanted"),
    [
        ("Is 7919 a prime number?", "yes"),
        ("Reverse the word 'hearth'.", "htraeh"),
        ("How many days are there between 2024-02-10 and 2025-01-01?", "326"),
        ("Write a poem about the sea.", "stronger model"),
    ],
)
def test_what_the_page_offers_works(hearth: Hearth, task: str, wanted: str) -> None:
    finished = answer(hearth, task)
    assert finished.status == "answered" and finished.answer
    assert wanted in finished.answer.lower()


def test_a_table_in_two_steps(hearth: Hearth, tmp_path: Path) -> None:
    table = tmp_path / "sales.csv"
    table.write_text("region,units\nNorth,120\nSouth,80\nEast,45\nNorth,30\nSouth,95\n")
    finished = answer(hearth, "Which region has the highest total units in sales.csv?", [table])
    assert (finished.answer, finished.steps) == ("South", 2)


def test_what_is_remembered_is_recalled(hearth: Hearth) -> None:
    assert "Remembered" in str(answer(hearth, "Remember that my dentist is Dr. Zemla.").answer)
    assert "Zemla" in str(answer(hearth, "Who is my dentist?").answer)


def test_a_second_hearth_uses_the_same_engine(hearth: Hearth) -> None:
    started = time.monotonic()
    with Hearth(hearth.settings) as second:
        assert time.monotonic() - started < 5
        assert second.endpoint.pid == hearth.endpoint.pid
        assert answer(second, QUESTION).answer == ANSWER
    assert hearth.ready(), "the borrower's end leaves the engine alone"
    assert answer(hearth, QUESTION).answer == ANSWER


def test_the_app_comes_up_and_goes_down(hearth: Hearth, data_dir: Path) -> None:
    app = App(HEARTH_DATA_DIR=str(data_dir))
    url = app.address()
    try:
        assert url.startswith("http://127.0.0.1:")
        assert "Hearth" in httpx.get(url).text
        assert eventually(lambda: httpx.get(url + "/readyz").json() == {"status": "ok"})
        second = App(HEARTH_DATA_DIR=str(data_dir), HEARTH_PORT=url.rsplit(":", 1)[1])
        said = second.ended()
        assert second.process.returncode == 2
        assert f"Hearth already runs at {url}" in said and "HEARTH_PORT" in said
    finally:
        left = app.end()
    assert not left
    assert "Traceback" not in app.said
    assert hearth.ready(), "the engine was another's"


def test_nothing_is_orphaned_when_the_app_is_killed(tmp_path: Path) -> None:
    app = App(HEARTH_DATA_DIR=str(tmp_path / "data"))
    url = app.address()
    assert eventually(lambda: httpx.get(url + "/readyz").status_code == 200, 120)
    engines = [p for p in psutil.Process(app.process.pid).children(recursive=True)]
    assert len(engines) >= 2, "the guard and the engine"
    assert app.end(signal.SIGKILL) == []
