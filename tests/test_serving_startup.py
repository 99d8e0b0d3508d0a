"""A model that is started while people wait already: their runs begin, wait, can be stopped, and
end with what the start ends with."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.build import Hearth
from agent.events import ModelChanged, ModelStarting, RunFinished, event_from_dict, event_to_dict
from agent.session import Limits, Session
from errors import Cancelled, EngineError, HearthError
from sandbox.executor import SandboxExecutor
from serving.aside import Aside
from serving.route import Route
from serving.router import RoutedModel
from serving.scripted import ScriptedModel
from tests.engine_help import alive, eventually, make_settings, stub_table


@dataclass
class Waiting:
    """A route whose one engine listens when `go` exists, and sessions on it."""

    route: Route
    go: Path
    new_session: Callable[[], Session]


Begin = Callable[..., Waiting]


@pytest.fixture
def begin(toy: Path, tmp_path: Path) -> Iterator[Begin]:
    with ExitStack() as stack:

        def start(fault: str = "") -> Waiting:
            go = tmp_path / "go"
            settings = make_settings(toy, tmp_path, route="main", family="r1-distill")
            route = Route(settings, engines=stub_table(fault or f"until:{go}"))
            stack.callback(route.stop)
            route.begin()

            def new_session() -> Session:
                session = Hearth(settings).new_session(model=RoutedModel(route))
                stack.callback(session.close)
                return session

            return Waiting(route, go, new_session)

        yield start


def last(session: Session) -> Any:
    return session.events[-1] if session.events else None


def test_a_run_waits_for_the_model_and_tells_how_far_it_is(begin: Begin) -> None:
    waiting = begin()
    session = waiting.new_session()
    session.start("17 and 25?")
    assert eventually(lambda: isinstance(last(session), ModelStarting))
    told = last(session)
    assert told.step == 1 and told.phase and told.text.startswith(told.phase)
    assert event_from_dict(event_to_dict(told)) == told
    assert waiting.route.progress is not None and not waiting.route.startup.over
    waiting.go.touch()
    *events, finished = session.follow()
    assert isinstance(finished, RunFinished) and finished.status == "answered", finished
    assert not any(isinstance(e, ModelChanged) for e in events), "it is the model that was meant"
    assert waiting.route.startup.over and waiting.route.progress is None


def test_a_run_that_waits_can_be_stopped_and_the_start_goes_on(begin: Begin) -> None:
    waiting = begin()
    session = waiting.new_session()
    session.start("17 and 25?")
    assert eventually(lambda: isinstance(last(session), ModelStarting))
    session.cancel()
    assert eventually(lambda: isinstance(last(session), RunFinished), 3)
    assert last(session).status == "stopped"
    assert not waiting.route.startup.over
    waiting.go.touch()
    assert waiting.route.startup.wait().endpoint is not None


def test_a_route_that_is_stopped_in_its_start_leaves_nothing(begin: Begin) -> None:
    waiting = begin()
    place, pid = waiting.route.places[0], 0

    def starts() -> bool:
        nonlocal pid
        supervisor = place._supervisor  # type: ignore[attr-defined]
        launch = supervisor._launch if supervisor else None
        pid = launch.process.pid if launch else 0
        return bool(pid)

    assert eventually(starts)
    waiting.route.stop()
    with pytest.raises(Cancelled):
        waiting.route.startup.wait()
    assert eventually(lambda: not alive(pid), 5)


def test_a_run_ends_with_the_fault_of_the_start_and_the_next_tries_anew(begin: Begin) -> None:
    waiting = begin("exit")
    session = waiting.new_session()
    for _ in range(2):
        *_, finished = session.run("17 and 25?")
        assert isinstance(finished, RunFinished) and finished.status == "failed"
        assert "too little memory" in finished.error and "smaller model" in finished.fix
        assert waiting.route.startup.over


class Late(ScriptedModel):
    """A model that can be asked only after a while."""

    def settle(self, failed: object, *, cancel: object, tell: object) -> None:
        time.sleep(0.6)


def test_the_wait_for_a_model_is_none_of_a_runs_time(tmp_path: Path) -> None:
    model, limits = Late(["Known.</think>Final answer: 42"]), Limits(run_timeout_seconds=0.5)
    session = Session(model, SandboxExecutor(tmp_path), [], tmp_path, limits=limits)
    *_, finished = session.run("6 times 7?")
    session.close()
    assert isinstance(finished, RunFinished) and finished.answer == "42", finished


def test_work_aside_hands_on_its_fault_and_who_waits_can_leave() -> None:
    held = threading.Event()

    def work() -> int:
        held.wait(10)
        raise ZeroDivisionError("by nought")

    def leave() -> None:
        raise Cancelled

    aside = Aside(work, "work")
    with pytest.raises(Cancelled):
        aside.wait(leave)
    held.set()
    with pytest.raises(EngineError, match="ZeroDivisionError: by nought"):
        aside.wait()
    assert aside.over and isinstance(aside.fault, HearthError)
    assert Aside(lambda: 7, "seven").wait() == 7
