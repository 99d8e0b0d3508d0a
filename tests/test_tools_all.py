"""What holds for every tool: names, types, errors, and many calls at once."""

import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from smolagents import Tool

from errors import ToolError
from tools.archived_page import ArchivedPage
from tools.calculate import Calculate
from tools.convert_units import ConvertUnits
from tools.date_info import DateInfo
from tools.fetch import Ask, Fetched
from tools.inspect_table import InspectTable
from tools.mediawiki import Wikipedia
from tools.pages import Pages
from tools.read_file import ReadFile
from tools.read_note import ReadNote
from tools.remember import Remember
from tools.search_history import SearchHistory
from tools.search_notes import SearchNotes
from tools.visit_webpage import VisitWebpage
from tools.web_search import SearchResult, WebSearch
from tools.wikipedia_page import WikipediaPage
from tools.wikipedia_search import WikipediaSearch
from tools.youtube_transcript import YoutubeTranscript

ROOT = Path(__file__).resolve().parent.parent
TABLE = "a,b\n1,x\n"


def no_web(_: Ask) -> Fetched:
    """A web that is not there."""
    raise ToolError("There is no network.", "Go on without it.", seen_as=ConnectionError)


# name → (how to build it, arguments of a call that works without a network or None)
TOOLS: dict[str, tuple[Callable[[Path], Tool], dict[str, Any] | None]] = {
    "web_search": (
        lambda _: WebSearch(lambda query, most: [SearchResult("T", "https://a.example")]),
        {"query": "x"},
    ),
    "visit_webpage": (lambda _: VisitWebpage(), None),
    "wikipedia_search": (lambda _: WikipediaSearch(), None),
    "wikipedia_page": (lambda _: WikipediaPage(Wikipedia(no_web)), None),
    "archived_page": (lambda _: ArchivedPage(no_web, Pages(no_web)), None),
    "youtube_transcript": (lambda _: YoutubeTranscript(no_web), None),
    "read_file": (ReadFile, {"path": "t.csv"}),
    "inspect_table": (InspectTable, {"path": "t.csv"}),
    "calculate": (lambda _: Calculate(), {"expression": "1 + 1"}),
    "convert_units": (
        lambda _: ConvertUnits(),
        {"value": 1, "from_unit": "m", "to_unit": "cm"},
    ),
    "date_info": (lambda _: DateInfo(), {"date": "2024-05-03"}),
    "search_notes": (lambda _: SearchNotes(lambda query: "1. a.md: x"), {"query": "x"}),
    "read_note": (lambda _: ReadNote(lambda name: "text"), {"name": "a.md"}),
    "search_history": (lambda _: SearchHistory(lambda query: "1. a.md: x"), {"query": "x"}),
    "remember": (lambda _: Remember(lambda text: text), {"text": "x"}),
}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "t.csv").write_text(TABLE)
    return tmp_path


@pytest.mark.parametrize("name", TOOLS)
def test_its_face(workspace: Path, name: str) -> None:
    tool = TOOLS[name][0](workspace)
    assert tool.name == name
    assert tool.output_type == "string"
    assert re.search(rf"print\({name}\(", tool.description), "an example of a call"
    assert len(tool.description) < 300, "a small model reads this in every task"
    optional = [arg for arg, schema in tool.inputs.items() if schema.get("nullable")]
    required = [arg for arg in tool.inputs if arg not in optional]
    most = 3 if name == "convert_units" else 1
    assert len(required) == most, "one required argument, the rest may be left out"
    assert next(iter(tool.inputs)) == required[0]


def test_all_faces_fit_a_small_context(workspace: Path) -> None:
    text = "\n".join(build(workspace).to_code_prompt() for build, _ in TOOLS.values())
    assert len(text) < 7_000, "of which a prompt lists 1,500 tokens: agent/selection.py"


WORKING = {name: call for name, (_, call) in TOOLS.items() if call}


@pytest.mark.parametrize("name", WORKING)
def test_it_takes_its_argument_by_place_and_by_name(workspace: Path, name: str) -> None:
    tool = TOOLS[name][0](workspace)
    by_name = tool(**WORKING[name])
    assert isinstance(by_name, str)
    assert by_name
    assert tool(*WORKING[name].values()) == by_name


@pytest.mark.parametrize(
    "name", [n for n in TOOLS if n not in ("remember", "read_file", "convert_units")]
)
def test_an_empty_argument_is_refused_in_words(workspace: Path, name: str) -> None:
    tool = TOOLS[name][0](workspace)
    with pytest.raises((ValueError, ToolError)) as error:
        tool(**{next(iter(tool.inputs)): "  "})
    assert str(error.value).rstrip(".") != ""


@pytest.mark.parametrize("name", [n for n in WORKING if n != "calculate"])
def test_fifty_calls_at_once(workspace: Path, name: str) -> None:
    tool = TOOLS[name][0](workspace)
    with ThreadPoolExecutor(16) as pool:
        results = set(pool.map(lambda _: tool(**WORKING[name]), range(50)))
    assert len(results) == 1


def test_the_texts_of_notes_and_remember() -> None:
    kept: list[str] = []
    said = Remember(kept.append)(text=" I like\ntea ")
    assert said.startswith("Remembered: I like tea (proposed"), "and the bundled model's words stay"
    assert kept == ["I like tea"]
    assert SearchNotes(lambda query: f"asked {query}")(query="tea") == "asked tea"
    assert SearchHistory(lambda query: f"asked {query}")(query="tea") == "asked tea"


def test_importing_every_tool_is_quick_and_light() -> None:
    """Heavy libraries come in with the first call; none of them is needed to start the app."""
    modules = ", ".join(
        f"tools.{path.stem}"
        for path in (ROOT / "tools").glob("*.py")
        if path.stem not in ("__init__", "calculate_worker", "calculate_names")
    )
    heavy = "{'pandas', 'trafilatura', 'markitdown', 'sympy', 'ddgs', 'torch', 'transformers'}"
    code = f"import sys, {modules}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
