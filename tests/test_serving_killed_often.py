"""An engine that is killed again and again during a run: the run ends with its answer, and every
step is there, once."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from agent.build import Hearth
from agent.events import (
    ModelReplied,
    OutputDelta,
    RunFinished,
    StepFinished,
    StepStarted,
    TextDelta,
    ThinkingDelta,
)
from serving.chat import ChatModel
from serving.families import FAMILIES
from serving.model_source import BUNDLED_FOLDER
from serving.supervisor import Supervisor
from settings import load_settings
from tests.engine_help import eventually, kill, stub_table

BUNDLED = (BUNDLED_FOLDER / "model.safetensors").is_file()
STEPS, KILLS_A_STEP = 10, 2


def restarted(supervisor: Supervisor, dead: int | None) -> bool:
    if supervisor.failure is not None:
        raise supervisor.failure
    return supervisor.endpoint is not None and supervisor.endpoint.pid != dead


def killing(
    hearth: Hearth,
    supervisor: Supervisor,
    task: str,
    kills_a_step: int,
    files: Sequence[Path] = (),
    family: str = "r1-distill",
    most: int = 10**6,
) -> list[object]:
    """The events of a run in whose every step the engine is killed: as its reply is asked for, and
    in the middle of it; `most` times in all. The last of the list is the number of kills."""
    endpoint = supervisor.endpoint
    assert endpoint is not None
    model = ChatModel(
        endpoint.base_url,
        endpoint.model_id,
        endpoint.api_key,
        FAMILIES[family],
        timeout_seconds=300,
        patience_seconds=120,
        check=supervisor.check,
    )
    session, events, killed = hearth.new_session(model=model), [], Counter()
    try:
        step = 0
        for event in session.run(task, files):
            events.append(event)
            if isinstance(event, StepStarted):
                step = event.step
            reply = isinstance(event, StepStarted | TextDelta | ThinkingDelta)
            if reply and killed[step] < kills_a_step and killed.total() < most:
                killed[step] += 1
                assert supervisor.endpoint is not None
                dead = supervisor.endpoint.pid
                kill(dead)
                assert eventually(lambda dead=dead: restarted(supervisor, dead), 120)
    finally:
        session.close()
        model.close()
    events.append(killed.total())
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


@pytest.mark.skipif(not BUNDLED, reason="the bundled model's weights are being made")
def test_the_real_engine_killed_in_both_steps_loses_none(tmp_path: Path) -> None:
    table = tmp_path / "sales.csv"
    table.write_text("region,units\nNorth,120\nSouth,80\nEast,45\nNorth,30\nSouth,95\n")
    settings = load_settings(tmp_path, model=str(BUNDLED_FOLDER), data_dir=tmp_path / "data")
    hearth, said = Hearth(settings), []
    supervisor = Supervisor(settings, max_deaths=10**6, on_progress=said.append)
    supervisor._deaths._within = 0.1
    task = "Which region has the highest total units in sales.csv?"
    with supervisor:
        *events, kills = killing(hearth, supervisor, task, 2, [table], "tiny", 3)
        tokens = [e.output_tokens for e in events if isinstance(e, ModelReplied)]
    again = [line for line in said if "Starting it again" in line]
    assert kills == len(again) == 3, said
    finished = events[-1]
    assert isinstance(finished, RunFinished) and finished.status == "answered", finished
    assert finished.answer == "South" and all(tokens)
    assert [e.step for e in events if isinstance(e, StepFinished)] == [1, 2]
