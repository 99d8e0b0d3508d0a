"""A fault of the model's server that outlasts the deadline, of every kind: nothing is lost."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from agent.events import Event, RunFinished, StepFinished, event_to_dict
from agent.session import Session
from memory.history import History
from sandbox.executor import SandboxExecutor
from serving.chat import ChatModel
from serving.families import FAMILIES
from tests.fake_openai import FakeOpenAI, Turn

FIRST, LAST = "```python\nx = 6\nprint(x)\n```", "```python\nfinal_answer(x * 7)\n```"
TOO_LONG = {"error": {"message": "This model's maximum context length is 10 tokens."}}
LONG = "x" * 400

WAYS = {
    "no first byte": Turn(LONG, fault="silence", after=-1),
    "no first token": Turn(LONG, fault="silence", after=0),
    "silence between tokens": Turn(LONG, fault="silence", after=5),
    "too slow": Turn(LONG, delay=0.1),
    "429": Turn(status=429, headers={"Retry-After": "0"}),
    "429, for an hour": Turn(status=429, headers={"Retry-After": "3600"}),
    "500": Turn(status=500),
    "502": Turn(status=502, error="<h1>Bad Gateway</h1>"),
    "503": Turn(status=503),
    "504": Turn(status=504, error=""),
    "400, the context": Turn(status=400, error=TOO_LONG),
    "401": Turn(status=401),
    "dropped before the headers": Turn(LONG, fault="drop", after=-1),
    "dropped within the headers": Turn(LONG, fault="half_headers", after=-1),
    "dropped after the headers": Turn(raw=b""),
    "dropped in the middle": Turn(LONG, fault="drop", after=5),
    "ended early": Turn(LONG, fault="early_end", after=5),
    "half an event": Turn(LONG, fault="half_event", after=5),
    "broken encoding": Turn(LONG, fault="bad_chunk", after=5),
    "no JSON": Turn(LONG, fault="malformed", after=5),
    "no events": Turn(raw=b"Internal Server Error"),
    "an error in the stream": Turn(LONG, fault="error_event", after=5),
}


@contextmanager
def session_on(url: str, folder: Path, seen: Callable[[Event], None]) -> Iterator[Session]:
    history = History(folder / "h")

    def store(event: Event) -> None:
        history.append("s", event_to_dict(event))
        if isinstance(event, StepFinished):  # the fault comes now; what is well may take its time
            model.timeout_seconds, model.stall_seconds = 0.8, 0.3
        seen(event)

    model = ChatModel(
        url,
        "fake",
        "",
        FAMILIES["instruct"],
        timeout_seconds=30,
        patience_seconds=0.2,
        stall_seconds=10,
    )
    session = Session(model, SandboxExecutor(folder / "w"), [], folder / "w", store=store)
    try:
        yield session
    finally:
        session.close()


def check_failed(session: Session, folder: Path) -> None:
    """The run ends with what to do about it, and its finished step is kept."""
    failed = list(session.run("Add it all up."))[-1]
    assert isinstance(failed, RunFinished) and failed.status == "failed"
    assert failed.error and failed.fix
    kept = [event["type"] for event in History(folder / "h").events("s")]
    assert kept.count("step_finished") == 1 and kept[-1] == "run_finished"


def check_goes_on(session: Session, folder: Path) -> None:
    session._model.timeout_seconds, session._model.stall_seconds = 30, 10
    last = list(session.resume())[-1]
    assert isinstance(last, RunFinished) and last.answer == "42", last
    assert History(folder / "h").events("s")[-1]["answer"] == "42"


@pytest.mark.parametrize("way", WAYS)
def test_a_fault_loses_nothing_and_the_run_goes_on(way: str, tmp_path: Path) -> None:
    with (
        FakeOpenAI([Turn(FIRST), WAYS[way]]) as server,
        session_on(server.url, tmp_path, lambda event: None) as session,
    ):
        check_failed(session, tmp_path)
        server.turns[1:] = [Turn(LAST)]
        check_goes_on(session, tmp_path)


@pytest.mark.parametrize("deaf", [False, True], ids=["refused", "never accepted"])
def test_a_server_that_can_not_be_connected_to(deaf: bool, tmp_path: Path) -> None:
    with ExitStack() as first:
        server = first.enter_context(FakeOpenAI([Turn(FIRST)]))
        port = int(server.url.split(":")[2].split("/")[0])

        def leave(event: Event) -> None:
            if isinstance(event, StepFinished) and event.answer is None:
                first.close()
                if deaf:
                    first.enter_context(unheard(port))

        with session_on(server.url, tmp_path, leave) as session:
            check_failed(session, tmp_path)
            first.close()
            with FakeOpenAI([Turn(LAST)], port=port):
                check_goes_on(session, tmp_path)


@contextmanager
def unheard(port: int) -> Iterator[None]:
    """A socket that nobody accepts at, its queue full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield
