"""Which tools the prompt lists when they are many."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
from huggingface_hub import try_to_load_from_cache
from smolagents import Tool
from tokenizers import Tokenizer

from agent import prompts
from agent.build import Hearth
from agent.events import RunFinished
from agent.selection import ALWAYS, Choice, choose
from agent.tokens import likely_tokens
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


QWEN = ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", "Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen3-8B")
BUNDLED = Path(__file__).parent.parent / "models" / "tiny" / "tokenizer.json"


def tokens_of_a_7b(text: str) -> tuple[float, str]:
    """The tokens of `text`, and by which tokenizer: Qwen's own where this machine has it.

    The bundled one has 1,536 pieces, so it cuts finer: the three lists below were 926, 1,311 and
    1,358 tokens by Qwen2's 151,643 pieces, and 1,855, 2,533 and 2,628 by its own: 1.93 to 2 times
    as many. Its count is divided by the least of these.
    """
    for repo in QWEN:
        if isinstance(file := try_to_load_from_cache(repo, "tokenizer.json"), str):
            found = Tokenizer.from_file(file)
            return len(found.encode(text, add_special_tokens=False).ids), repo
    ids = Tokenizer.from_file(str(BUNDLED)).encode(text, add_special_tokens=False).ids
    return len(ids) / 1.93, "the bundled tokenizer"


def issues(count: int) -> list[Tool]:
    """A server with names of many words, as GitHub's has them, and descriptions to their limit."""
    about = "Lists, in pages (perPage ≤ 100; `endCursor`), the alerts of owner/repo#12345: " * 4
    names = ("secret_scanning_alert", "pull_request_review_comment", "workflow_run_logs_url")
    verbs = ("create", "list", "get", "update", "delete", "search")
    return [
        Many(f"github_{verbs[n % 6]}_{names[n % 3]}_{n}", about[: 240 - n % 40])
        for n in range(count)
    ]


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> list[Tool]:
    session, _ = standard(tmp_path_factory.mktemp("s"))
    session.close()
    return [*session._tools.values()]


TICKET = "Book a ticket for the train to Oslo"
SERVERS: dict[str, list[Tool]] = {"none": [], "lab": many(), "lab and github": many() + issues(200)}


@pytest.mark.parametrize("servers", SERVERS)
@pytest.mark.parametrize("layout", ["r1", "instruct"])
def test_the_list_has_less_than_1500_tokens(ours: list[Tool], layout: str, servers: str) -> None:
    text = list_in(prompts.instructions(layout, [*ours, *SERVERS[servers]], TICKET))
    tokens, by = tokens_of_a_7b(text)
    assert 500 < tokens < 1_500, f"{tokens:.0f} tokens by {by}"


def test_our_own_tools_are_listed(ours: list[Tool]) -> None:
    text = list_in(prompts.instructions("r1", ours, "go"))
    assert [line.partition("(")[0][2:] for line in text.splitlines()] == [t.name for t in ours]


@pytest.mark.parametrize("layout", ["r1", "instruct"])
def test_however_many_there_are_the_needed_ones_are_listed(ours: list[Tool], layout: str) -> None:
    tools = [*ours, *SERVERS["lab and github"]]
    text = list_in(prompt := prompts.instructions(layout, tools, TICKET))
    assert all(f"- {name}(" in text for name in ALWAYS)
    assert "- lab_tool1(" in text, "the task is about it"
    last = text.splitlines()[-1]
    assert last.startswith("- also there, and described by `print(NAME.__doc__)`: ")
    named = last.partition("`: ")[2].partition(" and ")[0].split(", ")
    assert {tool.name for tool in tools} > {*named} and len(named) > 15
    listed = len(text.splitlines()) - 1
    assert f" and {len(tools) - listed - len(named)} more; `print([n for n" in last
    assert prompt == prompts.instructions(layout, tools, TICKET)


def test_relevance_and_order() -> None:
    entries = [(f"t{n}", f"t{n}(x): {'water plants' if n % 2 else 'send mails'}") for n in range(9)]
    each = likely_tokens(entries[1][1])

    def names(task: str, most: float, entries: Any = entries) -> list[str]:
        return [text.partition("(")[0] for text in choose(entries, task, most).listed]

    assert names("Who waters my plants?", 3.5 * each) == ["t1", "t3", "t5"]
    assert names("", 3 * each) == ["t0", "t1", "t2"]
    assert names("water", 2 * each, [*entries, ("remember", "remember(x)" * 3)]) == ["remember"]
    assert names("x", each / 2) == []
    assert choose(entries, "water", each, 4) == Choice([entries[1][1]], ["t3", "t5"], 6)


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
