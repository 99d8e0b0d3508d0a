"""The action in a reply that holds no code block: a tool call as JSON, or bare Python. Pure."""

import contextlib
import json
import keyword
import re
from typing import Any

from serving.markup import CALL_NAMED, calls, parses

_INTERPRETERS = frozenset(
    {"python", "python_interpreter", "code_interpreter", "interpreter", "ipython", "run_python"}
    | {"execute_python", "execute_code", "run_code", "code"}
)
_NAMES = ("name", "tool", "tool_name", "action", "function")
_ARGUMENTS = ("arguments", "parameters", "args", "kwargs", "action_input", "tool_input", "input")
# Qwen3-Coder's form: <function=name><parameter=key>value</parameter></function>
_FUNCTION = re.compile(r"<function=([\w.]{1,80})>")
_PARAMETER = re.compile(r"<parameter=(\w{1,80})>\n?(.*?)\n?</parameter>", re.DOTALL)
_FINAL_LINE = re.compile(r"^[ \t]*`?(final_answer\(.*\))`?[ \t]*$", re.MULTILINE)


def call_from_json(text: str) -> str | None:
    """The Python that does what a tool call in JSON asks for; None where `text` is none.

    `{"name": "web_search", "arguments": {"query": "x"}}` is `print(web_search(query='x'))`,
    for any of the names that such formats have; the code for a Python interpreter is taken
    as it stands.
    """
    function = _FUNCTION.search(text)
    if function is not None:
        return _call(function.group(1), dict(_PARAMETER.findall(text)))
    if CALL_NAMED in text:
        return _deepseeks(text)
    try:
        # Line ends inside strings are no JSON, but what models write; NaN is no Python.
        value = json.loads(text, strict=False, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, list):
        value = value[0] if value else None
    return _from_object(value) if isinstance(value, dict) else None


def _deepseeks(text: str) -> str | None:
    """DeepSeek's form: `function`, the mark, the name and a json block; or name, mark, JSON."""
    kind, _, rest = text.partition(CALL_NAMED)
    name = kind.strip()
    if name == "function":
        name, _, rest = rest.strip().partition("\n")
    try:
        given = json.loads(
            rest[rest.index("{") : rest.rindex("}") + 1], strict=False, parse_constant=_refuse
        )
    except (ValueError, RecursionError):
        return None
    return _call(name.strip(), given)


def bare_code(text: str) -> str | None:
    """Python without any mark of a block: nothing but code, or a line `final_answer(…)`.

    Prose is never code: `text` must parse as a whole and call something, or the line must
    stand alone.
    """
    if calls(text) and parses(text):
        return text.strip()
    lines = _FINAL_LINE.findall(text)
    return lines[-1] if lines and parses(lines[-1]) else None


def _from_object(value: dict[str, Any]) -> str | None:
    inner = value.get("function")
    if isinstance(inner, dict):
        value = inner
    name = next((value[key] for key in _NAMES if isinstance(value.get(key), str)), "")
    given = next((value[key] for key in _ARGUMENTS if key in value), None)
    if not name or given is None:
        code = value.get("code")
        return code.strip() or None if isinstance(code, str) else None
    if isinstance(given, str):
        with contextlib.suppress(ValueError, RecursionError):
            given = json.loads(given, strict=False, parse_constant=_refuse)
    return _call(name, given)


def _call(name: str, given: Any) -> str | None:
    name = name.rpartition(".")[2]
    if name in _INTERPRETERS:
        given = list(given.values()) if isinstance(given, dict) else given
        values = given if isinstance(given, list) else [given]
        return next((text.strip() for text in values if isinstance(text, str)), None)
    if not name.isidentifier() or keyword.iskeyword(name):
        return None
    if not isinstance(given, dict):
        arguments = repr(given)
    elif all(key.isidentifier() and not keyword.iskeyword(key) for key in given):
        arguments = ", ".join(f"{key}={value!r}" for key, value in given.items())
    else:
        return None
    call = f"{name}({arguments})"
    return call if name == "final_answer" else f"print({call})"


def _refuse(constant: str) -> None:
    raise ValueError(constant)
