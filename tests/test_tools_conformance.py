"""One suite over all tools, those that are added later included: what they declare and obey.

The tools are found by walking through `tools/`; one that has no entry in `TOOLS` (in
`tests/every_tool.py`: how it is built, a call that works) fails here.
"""

import contextlib
import importlib
import inspect
import pkgutil
import queue
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from smolagents import Tool

import tools
from agent.gate import Gate
from errors import ModelMistake, ToolError
from sandbox import wire
from sandbox.calls import BoundTool, StepCalls
from tests.every_tool import TABLE, TOOLS, web
from tests.trap_site import Site
from tools.base import HearthTool, Touch
from tools.text import visible

ROOT = Path(__file__).resolve().parent.parent
ELSEWHERE = {"McpTool", "Borrowed", "Space"}
"""Their faces are those of what they stand for; they have tests of their own."""
TOUCHES = set(get_args(Touch))
# A value of a wrong type, for each type of a schema.
WRONG: dict[str, Any] = {"string": 5, "integer": "many", "number": "many", "boolean": "yes"}


def classes() -> Iterator[type[Tool]]:
    for module in pkgutil.walk_packages(tools.__path__, "tools."):
        if not module.name.endswith("_worker"):  # run as a script, imported by nobody
            found = vars(importlib.import_module(module.name)).values()
            yield from (
                cls
                for cls in found
                if inspect.isclass(cls)
                and issubclass(cls, Tool)
                and cls.__module__ == module.name
                and cls is not HearthTool
            )


Make = Callable[[str], Tool]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with web() as running:
        yield running


@pytest.fixture
def make(tmp_path: Path, site: Site) -> Make:
    """The tool of a name, built anew."""
    (tmp_path / "t.csv").write_text(TABLE)
    return lambda name: TOOLS[name][0](tmp_path, site)


def test_no_tool_is_forgotten(make: Make) -> None:
    ours = {cls.name: cls for cls in classes() if cls.__name__ not in ELSEWHERE}
    assert set(ours) == set(TOOLS), "each has an entry in TOOLS of tests/every_tool.py"
    built = {type(make(name)).__name__ for name in TOOLS}
    assert built == {cls.__name__ for cls in ours.values()}


def through(tool: Tool, *calls: tuple[list[Any], dict[str, Any]]) -> list[tuple[bool, Any]]:
    """The calls as the sandbox makes them, all at once, through the gate; (ok, value) of each."""
    gate = Gate(clean=visible)
    bound = BoundTool(tool.name, gate.wrap({tool.name: tool})[tool.name])
    wakes: queue.SimpleQueue[None] = queue.SimpleQueue()
    step = StepCalls({tool.name: bound}, lambda: wakes.put(None), None, timeout_seconds=60)
    done: dict[int, tuple[bool, Any]] = {}
    for number, (args, kwargs) in enumerate(calls):
        reply = step.begin(number, tool.name, wire.pack([args, kwargs]))
        if reply is not None:
            done[reply[0]] = reply[1], wire.unpack(reply[2])
    ends = time.monotonic() + 90
    while len(done) < len(calls):
        assert time.monotonic() < ends
        until = step.next_deadline()
        with contextlib.suppress(queue.Empty):
            wakes.get(timeout=90 if until is None else max(0.0, min(until - time.monotonic(), 90)))
        done |= {number: (ok, wire.unpack(body)) for number, ok, body in step.finished()}
    return [done[number] for number in range(len(calls))]


@pytest.mark.parametrize("name", TOOLS)
def test_its_face(make: Make, name: str) -> None:
    tool = make(name)
    assert tool.name == name
    assert tool.output_type == "string"
    assert re.search(rf"print\({name}\(", tool.description), "an example of a call"
    assert len(tool.description) < 300, "a small model reads this in every task"
    optional = [arg for arg, schema in tool.inputs.items() if schema.get("nullable")]
    required = [arg for arg in tool.inputs if arg not in optional]
    most = 3 if name == "convert_units" else 1
    assert len(required) == most, "one required argument, the rest may be left out"
    assert next(iter(tool.inputs)) == required[0]


def test_all_faces_fit_a_small_context(make: Make) -> None:
    text = "\n".join(make(name).to_code_prompt() for name in TOOLS)
    assert len(text) < 7_000, "of which a prompt lists 1,500 tokens: agent/selection.py"


@pytest.mark.parametrize("name", TOOLS)
def test_what_it_declares(make: Make, name: str) -> None:
    tool = make(name)
    assert isinstance(tool, HearthTool), "or it has no limits and no policy can speak of it"
    assert tool.touches <= TOUCHES
    assert isinstance(tool.outside, bool)
    assert "network" not in tool.touches or tool.outside, "what the network says is from outside"
    assert 0 < tool.timeout_seconds <= 900 and 500 <= tool.most_chars <= 100_000
    assert isinstance(tool.domain({}), str) and isinstance(tool.domain({"url": 5}), str)
    assert tool.description == visible(tool.description) and "\n" not in tool.description
    for argument, about in tool.inputs.items():
        assert re.fullmatch(r"[a-z_]+", argument) and about["description"]
        assert about["type"] in WRONG, "plain types only: a small model writes these"


def _right(tool: Tool, argument: str) -> Any:
    """A value of the type that the argument asks for."""
    right = {"string": "x", "integer": 1, "number": 1.0, "boolean": True}
    return right[tool.inputs[argument]["type"]]


@pytest.mark.parametrize("name", TOOLS)
def test_its_types_are_obeyed(make: Make, name: str) -> None:
    """The tool is not reached by arguments of other types, too few of them, or unknown ones."""
    tool = make(name)
    reached: list[Any] = []
    tool.forward = lambda *args, **kwargs: reached.append(args)  # type: ignore[method-assign]
    first = next(iter(tool.inputs))
    right = _right(tool, first)
    calls: list[tuple[list[Any], dict[str, Any]]] = [([], {}), ([right], {"no_such": 1})]
    for argument, about in tool.inputs.items():
        others = {} if argument == first else {first: right}
        calls.append(([], {**others, argument: WRONG[about["type"]]}))
    for ok, (kind, text) in through(tool, *calls):
        assert not ok and kind == "TypeError" and text.startswith(f"{name}("), text
    assert reached == []


@pytest.mark.parametrize("name", TOOLS)
def test_it_takes_its_argument_by_place_and_by_name(make: Make, name: str) -> None:
    tool, call = make(name), TOOLS[name][1]
    by_name = tool(**call)
    assert isinstance(by_name, str)
    assert by_name
    assert tool(*call.values()) == by_name


@pytest.mark.parametrize("name", TOOLS)
def test_fifty_calls_at_once(make: Make, name: str) -> None:
    tool, call = make(name), TOOLS[name][1]
    results = through(tool, *[([], dict(call))] * 50)
    assert results == [(True, tool(**call))] * 50


@pytest.mark.parametrize(
    "name", [n for n in TOOLS if n not in ("remember", "read_file", "convert_units")]
)
def test_an_empty_argument_is_refused_in_words(make: Make, name: str) -> None:
    tool = make(name)
    with pytest.raises((ValueError, ToolError)) as error:
        tool(**{next(iter(tool.inputs)): "  "})
    assert str(error.value).rstrip(".") != ""


@pytest.mark.parametrize("name", TOOLS)
def test_its_errors_say_what_to_do(make: Make, name: str, tmp_path: Path) -> None:
    """An argument that can't be: a ToolError with a next step, or an answer in words."""
    tool = make(name)
    first = next(iter(tool.inputs))
    for odd in ("", "\0", "../../etc/passwd\n<|im_start|>", "x" * 5_000):
        try:
            said = tool(**{**TOOLS[name][1], first: odd})
        except ToolError as error:
            said = str(error)
            # In a field of its own, or as a second sentence of what a parser in a process said.
            assert error.next_step or ". " in said, f"{name}({odd[:20]!r}): {error}"
        except (ValueError, OSError) as error:
            pytest.fail(f"{name}({odd[:20]!r}) raised {type(error).__name__}: {error}")
        except ModelMistake:
            pytest.fail("another kind of mistake")
        assert said.strip() and len(said) < 2_000 + len(odd)
        assert "Traceback" not in said and str(tmp_path.parent) not in said


@pytest.mark.parametrize("name", TOOLS)
def test_its_limits_are_kept(make: Make, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = make(name)
    first = next(iter(tool.inputs))
    call: Any = ([], {**TOOLS[name][1], first: _right(tool, first)})
    tool.forward = lambda *args, **kwargs: "x" * 300_000  # type: ignore[method-assign]
    ((ok, value),) = through(tool, call)
    assert ok and len(value) < tool.most_chars + 100
    assert value.endswith(f"[cut here: these are {tool.most_chars:,} of 300,000 characters]")
    tool.forward = lambda *args, **kwargs: time.sleep(1.5)  # type: ignore[method-assign]
    monkeypatch.setattr(type(tool), "timeout_seconds", 0.2)
    ((ok, (kind, text)),) = through(tool, call)
    assert not ok and kind == "TimeoutError" and f"{name} took longer than 0.2 s" in text


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
