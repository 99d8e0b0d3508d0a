"""Sessions that are killed at a chosen moment: real processes, SIGKILL, a JSON-lines history.

    python -m tests.broken_off FOLDER [MOMENT …]

runs the script below once for each moment, in `FOLDER/MOMENT`, and kills the process there. A
moment is `n` (right after the n-th kept event) or `type:n` (at the n-th event of a type, the
streamed ones included). Without moments it prints the types of the kept events of a whole run.
"""

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from smolagents import Tool

from agent.events import Event, event_from_dict, event_to_dict
from agent.session import Session
from memory.history import History
from sandbox.executor import SandboxExecutor
from serving.families import FAMILIES
from serving.scripted import ScriptedModel
from tests.agent_help import code

TASK = "Add it all up."


REPLIES = [
    code("import math\nx = 21\nprint(x)"),
    "Hm.\n</think>\n\nI would look it up.",
    code("y = look(x)\nprint(y)"),
    code("z = 5\nprices['apple']"),
    code("with open('out.txt', 'w') as file:\n    print(math.floor(y), file=file)"),
    code("final_answer(x + y + z)"),
]
ANSWER = "68"


class Look(Tool):
    """Looks something up; each real call leaves a line in a file outside of the workspace."""

    name = "look"
    description = "Doubles."
    inputs = {"number": {"type": "integer", "description": "What."}}
    output_type = "integer"
    side_effects = False

    def __init__(self, log: Path) -> None:
        super().__init__()
        self.log = log

    def forward(self, number: int) -> int:
        with self.log.open("a") as file:
            print(number, file=file)
        return number * 2


def session_in(
    folder: Path,
    replies: Sequence[str],
    history: Sequence[Event] = (),
    kill: Callable[[Event], None] = lambda event: None,
    tools: Sequence[Tool] = (),
) -> Session:
    """A session whose workspace, history and log of calls lie in `folder`."""
    kept = History(folder / "history")

    def store(event: Event) -> None:
        kept.append("s", event_to_dict(event))
        kill(event)

    (folder / "work").mkdir(parents=True, exist_ok=True)
    return Session(
        ScriptedModel(replies, FAMILIES["r1-distill"]),
        SandboxExecutor(folder / "work"),
        [Look(folder / "calls"), *tools],
        folder / "work",
        instructions="Solve it.",
        store=store,
        history=history,
        name="s",
        on_close=lambda: kept.close("s"),
    )


def kept_events(folder: Path) -> list[Event]:
    """What the killed process has left."""
    return [event_from_dict(event) for event in History(folder / "history").events("s")]


def killer(moment: str) -> Callable[[Event], None]:
    """Kills this process at the moment."""
    kind, _, number = moment.rpartition(":")
    seen: Counter[str] = Counter()

    def kill(event: Event) -> None:
        seen[event.type] += 1
        kept = sum(n for name, n in seen.items() if not name.endswith("_delta"))
        now = kept if not kind else seen[event.type] if event.type == kind else 0
        if now == int(number):
            os.kill(os.getpid(), signal.SIGKILL)

    return kill


def main(folder: Path, moments: Sequence[str]) -> None:
    """Run the script in a child of its own for each moment."""
    if not moments:
        session = session_in(folder, REPLIES)
        list(session.run(TASK))
        session.close()
        sys.stdout.write(json.dumps([event.type for event in kept_events(folder)]))
    for moment in moments:
        child = os.fork()
        if not child:
            session = session_in(folder / moment, REPLIES, kill=killer(moment))
            list(session.run(TASK))
            os._exit(1)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, moment


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
