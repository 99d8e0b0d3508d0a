"""Which tools the prompt lists when they are many."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
from smolagents import Tool

from agent import prompts
from agent.build import Hearth
from agent.events import RunFinished
from agent.selection import ALWAYS, listed
from serving.families import FAMILIES
from serving.scripted import ScriptedModel
from settings import load_settings
from tools.base import HearthTool


class Many(HearthTool):
    """One of many tools that a server may offer."""

    name: str
    description: str
    inputs: ClassVar[dict[str, Any]] = {"what": {"type": "string", "description": "What."}}
    skip_forward_signature_validation = True

    def __init__(self, name: str, about: str) -> None:
        self.name, self.description = name, f"{about} {'and so on ' * 20}"
        super().__init__()

    def forward(self, what: str) -> str:
        return f"{self.name} did {what}"


def many(count: int = 40) -> list[Tool]:
    about = ["Sends a mail.", "Books a train ticket.", "Lists issues of a repository.", "Waters."]
    return [Many(f"lab_tool{n}", about[n % 4]) for n in range(count)]


def standard(tmp_path: Path, **more: Any) -> tuple[Any, ScriptedModel]:
    hearth = Hearth(load_settings(tmp_path, data_dir=tmp_path / "d"))
    code = "```python\nfinal_answer(lab_tool39.__doc__[:24] + lab_tool39('it'))\n```"
    model = ScriptedModel([code, code, code], FAMILIES["instruct"])
    return hearth.new_session(model=model, **more), model


def list_in(prompt: str) -> str:
    return prompt.partition("import them:\n")[2].partition("- final_answer")[0]


def test_our_own_tools_are_listed(tmp_path: Path) -> None:
    session, _ = standard(tmp_path)
    prompt = prompts.instructions("r1", [*session._tools.values()], "go")
    session.close()
    assert len(list_in(prompt)) <= 5_250
    assert {line.partition("(")[0][2:] for line in list_in(prompt).splitlines()} >= ALWAYS


@pytest.mark.parametrize("layout", ["r1", "instruct"])
def test_however_many_there_are_the_list_stays_small(tmp_path: Path, layout: str) -> None:
    session, _ = standard(tmp_path)
    ours = [*session._tools.values()]
    session.close()
    prompt = prompts.instructions(layout, [*ours, *many()], "Book a ticket for the train to Oslo")
    text = list_in(prompt)
    assert len(text) < 5_250, "1,500 tokens of 3.5 characters"
    assert all(f"- {name}(" in text for name in ALWAYS)
    assert "- lab_tool1(" in text, "the task is about it"
    assert "described by `print(NAME.__doc__)`: " in text and "lab_tool39" in text
    assert prompt == prompts.instructions(
        layout, [*ours, *many()], "Book a ticket for the train to Oslo"
    )


def test_relevance_and_order() -> None:
    entries = [(f"t{n}", f"t{n}(x): {'water plants' if n % 2 else 'send mails'}") for n in range(9)]
    assert listed(entries, "Who waters my plants?", 70) == {"t1", "t3", "t5"}
    assert listed(entries, "", 53) == {"t0", "t1", "t2"}
    assert listed([*entries, ("remember", "x" * 50)], "water", 60) == {"remember"}
    assert listed(entries, "x", 10) == set()


def test_a_session_s_prompt_is_settled_by_its_first_task(tmp_path: Path) -> None:
    session, model = standard(tmp_path, extra_tools=many())
    first = list(session.run("Book a train ticket"))
    list(session.run("List the issues of my repository"))
    events = session.events
    session.close()
    one, other = (history[0]["content"] for history in model.history)
    assert list_in(one) == list_in(other) and "- lab_tool1(" in one
    last = first[-1]
    assert isinstance(last, RunFinished)
    assert last.answer == "lab_tool39(what)\n\nWaters" + "lab_tool39 did it", "it can be called"

    again, model = standard(tmp_path, extra_tools=many(), history=events, name="again")
    list(again.run("Water the plants"))
    again.close()
    assert list_in(model.history[0][0]["content"]) == list_in(one), "and after a restart"
