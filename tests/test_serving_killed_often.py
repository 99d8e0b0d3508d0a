"""An engine that is killed again and again during a run: the run ends with its answer, and every
step is there, once."""

from collections import Counter
from pathlib import Path

from agent.build import Hearth
from agent.events import (
    OutputDelta,
    RunFinished,
    StepFinished,
    StepStarted,
    TextDelta,
    ThinkingDelta,
)
from serving.chat import ChatModel
from serving.families import FAMILIES
from serving.supervisor import Supervisor
from settings import load_settings
from tests.engine_help import eventually, kill, stub_table

STEPS, KILLS_A_STEP = 10, 2


def restarted(supervisor: Supervisor, dead: int | None) -> bool:
    if supervisor.failure is not None:
        raise supervisor.failure
    return supervisor.endpoint is not None and supervisor.endpoint.pid != dead


def killing(hearth: Hearth, supervisor: Supervisor, task: str, kills_a_step: int) -> list[object]:
    """The events of a run in whose every step the engine is killed: as its reply is asked for, and
    in the middle of it. The last of the list is the number of kills."""
    endpoint = supervisor.endpoint
    assert endpoint is not None
    model = ChatModel(
        endpoint.base_url,
        endpoint.model_id,
        endpoint.api_key,
        FAMILIES["r1-distill"],
        timeout_seconds=300,
        patience_seconds=120,
        check=supervisor.check,
    )
    session, events, killed = hearth.new_session(model=model), [], Counter()
    try:
        step = 0
        for event in session.run(task):
            events.append(event)
            if isinstance(event, StepStarted):
                step = event.step
            reply = isinstance(event, StepStarted | TextDelta | ThinkingDelta)
            if reply and killed[step] < kills_a_step:
                killed[step] += 1
                assert supervisor.endpoint is not None
                dead = supervisor.endpoint.pid
                kill(dead)
                assert eventually(lambda dead=dead: restarted(supervisor, dead), 120)
    finally:
        session.close()
        model.close()
    events.append(sum(killed.values()))
    return events


def test_twenty_kills_lose_no_step(toy: Path, tmp_path: Path) -> None:
    settings = load_settings(
        tmp_path,
        model=str(toy),
        engine="transformers",
        data_dir=tmp_path,
        family="r1-distill",
        max_steps=STEPS + 2,
    )
    hearth = Hearth(settings)
    supervisor = Supervisor(settings, engines=stub_table(f"steps:{STEPS}"), max_deaths=10**6)
    supervisor._deaths._within = 0.1  # so that it is started again without long waits
    with supervisor:
        *events, kills = killing(hearth, supervisor, "count to ten, please", KILLS_A_STEP)
    assert kills >= 20
    finished = events[-1]
    assert isinstance(finished, RunFinished) and finished.status == "answered", finished
    assert finished.answer == str(STEPS)
    assert [e.step for e in events if isinstance(e, StepFinished)] == list(range(1, STEPS + 2))
    printed = "".join(e.text for e in events if isinstance(e, OutputDelta))
    assert printed.split("\n") == [f"step {n}" for n in range(1, STEPS + 1)] + [""]
