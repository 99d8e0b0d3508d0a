"""Replies that act or answer in other ways than by a Python fence, and those that do neither."""
# ruff: noqa: E501 - the tables read better a line each

import ast
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.actions import bare_code, call_from_json
from serving.reply import Reply, ReplySplitter
from tests.test_serving_reply import BLOCK, split

CALLS = {
    "OpenAI's": ('{"name": "web_search", "arguments": {"query": "Oslo"}}', "print(web_search(query='Oslo'))"),
    "final answer": ('{"name": "final_answer", "arguments": {"answer": "Oslo"}}', "final_answer(answer='Oslo')"),
    "arguments as text": ('{"name": "calculate", "arguments": "{\\"expression\\": \\"1+2\\"}"}', "print(calculate(expression='1+2'))"),
    "one argument as text": ('{"name": "calculate", "arguments": "1+2"}', "print(calculate('1+2'))"),
    "in a function": ('{"type": "function", "function": {"name": "f", "parameters": {"x": null}}}', "print(f(x=None))"),
    "ReAct's": ('{"action": "web_search", "action_input": {"query": "Oslo"}}', "print(web_search(query='Oslo'))"),
    "in a list": ('[{"name": "f", "arguments": {"x": true}}]', "print(f(x=True))"),
    "an interpreter": ('{"name": "python_interpreter", "arguments": {"code": "x = 1\\nprint(x)"}}', "x = 1\nprint(x)"),
    "line end in a string": ('{"name": "python", "arguments": {"code": "x = 1\nprint(x)"}}', "x = 1\nprint(x)"),
    "an interpreter's list": ('{"name": "python", "arguments": ["print(1)"]}', "print(1)"),
    "an interpreter's number": ('{"name": "python", "arguments": 5}', None),
    "thought and code": ('{"thought": "Add.", "code": "print(1 + 2)"}', "print(1 + 2)"),
    "a namespace": ('{"name": "functions.f", "arguments": {}}', "print(f())"),
    "Qwen3-Coder's": ("<function=web_search>\n<parameter=query>\nOslo\n</parameter>\n</function>", "print(web_search(query='Oslo'))"),
    "data": ('{"name": "Oslo", "population": 700000}', None),
    "no name": ('{"name": "two words", "arguments": {}}', None),
    "a keyword": ('{"name": "f", "arguments": {"class": 1}}', None),
    "no Python": ('{"name": "f", "arguments": {"x": NaN}}', None),
    "broken": ('{"name": "f", "arguments": {"x": 1', None),
    "not an object": ("3", None),
    "empty": ("", None),
    "deep": ("[" * 100_000, None),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_tool_call_as_json(name: str) -> None:
    text, code = CALLS[name]
    assert call_from_json(text) == code


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text("ab_1- ", min_size=1, max_size=5), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5), max_size=4))  # fmt: skip
def test_a_call_made_from_json_is_python(arguments: dict[str, object]) -> None:
    code = call_from_json(json.dumps({"name": "f", "arguments": arguments}))
    if all(key.isidentifier() for key in arguments) and code is not None:
        call = ast.parse(code, mode="eval").body.args[0]  # type: ignore[attr-defined]
        assert {word.arg: ast.literal_eval(word.value) for word in call.keywords} == arguments


CALL = '{"name": "f", "arguments": {"x": "a}"}}'
F = "print(f(x='a}'))"
PLACES = {
    "a json fence": (f"```json\n{CALL}\n```", F),
    "a tool_call fence": (f"```tool_call\n{CALL}\n```", F),
    "an unmarked fence": (f"```\n{CALL}\n```", F),
    "a line": (f"I search.\n\n{CALL}\n", F),
    "several lines": ('{\n  "name": "f",\n  "arguments": {\n    "x": "a}"\n  }\n}', F),
    "tags": (f"<tool_call>\n{CALL}\n</tool_call>", F),
    "an open tag": (f"<tool_call>\n{CALL}", F),
    "an open fence": (f"```json\n{CALL}\n", F),
    "the first of two": (f"{CALL}\n{CALL.replace('a}', 'b')}", F),
    "before what is invented": (f"{CALL}\nObservation: 7\n```python\nfinal_answer(7)\n```", F),
    "before a block, as data": (f'```json\n{{"name": "Oslo"}}\n```\n{BLOCK}', "print(1)"),
    "a broken object before a block": (f'{{"name": "f", "arguments": {{\n{BLOCK}', "print(1)"),
    "inside a sentence": (f"Such as {CALL} for example.", None),
    "a broken object": ('{"name": "f", "arguments": ', None),
}


@pytest.mark.parametrize("size", [None, 1, 5], ids=["whole", "by 1", "by 5"])
@pytest.mark.parametrize("name", PLACES)
def test_where_a_tool_call_may_stand(name: str, size: int | None) -> None:
    text, code = PLACES[name]
    reply = split(f"{CALL}\n</think>\n\n{text}", size=size)
    assert (reply.code, reply.thinking) == (code, CALL)


def test_a_tool_call_ends_the_reply_at_its_last_brace() -> None:
    splitter = ReplySplitter(opens_thinking=False)
    for character in CALL[:-1]:
        splitter.feed(character)
        assert not splitter.done
    splitter.feed(CALL[-1])
    assert splitter.done


BARE = {
    "a call": ("final_answer(42)", "final_answer(42)"),
    "a call in backticks": ("So:\n\n`final_answer('x')`", "final_answer('x')"),
    "nothing but Python": ("import math\nx = math.pi\nprint(x)", "import math\nx = math.pi\nprint(x)"),
    "an interpreter's transcript": ("```python\n>>> x = 1\n>>> for i in x:\n...     f(i)\n7\n```", "x = 1\nfor i in x:\n    f(i)"),
    "a quotation": ("> So:\n> ```python\n> if x:\n>     f(x)\n>\n> g()\n> ```", "if x:\n    f(x)\n\ng()"),
    "a comment first": (f"```python\n# your code\n```\nSo:\n{BLOCK}", "print(1)"),
    "only comments": ("```python\n# your code\n```", None),
    "a word": ("Paris", None),
    "a number": ("42", None),
    "prose": ("I call final_answer(42) now.", None),
    "prose with code": ("x = 2\nso I print(x)", None),
    "no Python": ("final_answer(the capital of Norway)", None),
    "empty": ("", None),
}  # fmt: skip


@pytest.mark.parametrize("name", BARE)
def test_python_without_a_fence(name: str) -> None:
    text, code = BARE[name]
    assert split(f"final_answer(0)\n</think>\n{text}").code == code


def test_only_a_whole_reply_is_bare_code() -> None:
    assert split("</think>final_answer(4)", finish="length").code is None
    assert bare_code("Well, print(1)") is None


SENTENCES = {
    "the answer is": ("Two and two.\n\nSo, the final answer is **4**.", "4"),
    "the answer is:": ("The answer is: Paris", "Paris"),
    "Chinese": ("因此，答案是：120。", "120"),
    "two boxes of one sentence": (r"$\boxed{1}$ no: \(\boxed{81}\) and \(\boxed{256}\).", "81, 256"),
    "a unit in a box": (r"$\boxed{17 \text{ minutes}}$", "17 minutes"),
    "a space before the box": (r"\boxed {5}", "5"),
    "a table": ("Answer: [[1, 2],\n         [3, 4]]\n\nBye.", "[[1, 2],\n         [3, 4]]"),
    "an open bracket": ("Answer: 3 (more or less\n\nBye.", "3 (more or less"),
    "unsure": ("The answer is probably 3.", None),
    "to be looked up": ("The answer is in the table. Let me read it.", None),
    "more to do": ("The answer is 3. Next I will check it.", None),
    "further up": ("The answer is 3.\n\nBut is it?", None),
    "prose": ("The word is **amusing**.", None),
}  # fmt: skip


@pytest.mark.parametrize("name", SENTENCES)
def test_answers_in_words(name: str) -> None:
    text, answer = SENTENCES[name]
    assert split(f"hm\n</think>\n{text}").answer == answer


def test_an_answer_after_a_block_that_was_forgotten() -> None:
    reply = split("</think>```python\nx = [1,\n\nI count them by hand.\n\nAnswer: 26")
    assert (reply.code, reply.answer) == (None, "26")
    assert split("</think>```python\nx = [1,\n").code == "x = [1,", "its error helps the model"


def test_a_complete_line_counts_before_a_cut() -> None:
    assert split("</think>Answer: 4\nAs I", finish="length").answer == "4"
    assert split("</think>Answer: 4", finish="length").answer is None


REASONS = {
    "code": (f"</think>{BLOCK}", "stop", None, "text"),
    "answer": ("</think>Answer: 4", "stop", None, "text"),
    "prose": ("</think>Hello!", "stop", "prose", "text"),
    "empty": ("</think>\n", "stop", "empty", "text"),
    "nothing at all": ("", "stop", "empty", "thinking"),
    "never closed": ("I think", "stop", "unclosed", "thinking"),
    "cut in the thinking": ("I think", "length", "length", "thinking"),
    "cut in a block": ("</think>```python\nprint(", "length", "length", "code"),
    "cut in the text": ("</think>The", "length", "length", "text"),
    "in circles": ("</think>The", "repetition", "repetition", "text"),
    "stopped": ("</think>The", "cancelled", "cancelled", "text"),
}


@pytest.mark.parametrize("name", REASONS)
def test_why_there_is_no_action(name: str) -> None:
    raw, finish, reason, ended_in = REASONS[name]
    reply = split(raw, finish=finish)
    assert (reply.reason, reply.ended_in) == (reason, ended_in)


CLOSERS = {
    "talked about": (f"I close with </think> and act.\n</think>\n\n{BLOCK}", "I close with </think> and act.", BLOCK),
    "talked about, Chinese": (f"先写</think>标签\n</think>\n\n{BLOCK}", "先写</think>标签", BLOCK),
    "it was no mention": ("so it is four</think> the answer:\n\nAnswer: 4", "so it is four", "the answer:\n\nAnswer: 4"),
    "in a line": ("It is 4.</think>Answer: 4", "It is 4.", "Answer: 4"),
    "nothing after the last": ("a\n</think>\n\nAnswer: 4\n</think>\n\n", "a", "Answer: 4"),
    "something after the last": ("a\n</think>\n\nAnswer: 5\n</think>\n\nAnswer: 4", "a\n\n\nAnswer: 5", "Answer: 4"),
    "openers in the text": ("a\n</think>\nR1 puts <think> and </think> around it.", "a", "R1 puts <think> and </think> around it."),
}  # fmt: skip


@pytest.mark.parametrize("size", [None, 1, 3], ids=["whole", "by 1", "by 3"])
@pytest.mark.parametrize("name", CLOSERS)
def test_tags_that_end_nothing(name: str, size: int | None) -> None:
    raw, thinking, text = CLOSERS[name]
    reply = split(raw, size=size)
    assert (reply.thinking, reply.text) == (thinking, text)


def test_thinking_closed_in_the_models_place() -> None:
    splitter = ReplySplitter(opens_thinking=True)
    splitter.feed("So many ```python\nbad()\n``` and <")
    pieces = splitter.close_thinking("thinking_budget", "\n\nI act now.")
    assert pieces == [("thinking", "<"), ("thinking", "\n\nI act now.")]
    splitter.feed(f"\n\n{BLOCK}")
    thinking = "So many ```python\nbad()\n``` and <\n\nI act now."
    assert splitter.done
    assert splitter.finish() == Reply(
        thinking, BLOCK, "print(1)", None, "code", forced="thinking_budget"
    )


def test_nothing_comes_after_thinking_that_was_closed() -> None:
    splitter = ReplySplitter(opens_thinking=True)
    splitter.feed("Hm")
    splitter.close_thinking("repetition", "\nI act.")
    reply = splitter.finish("stop")
    assert (reply.text, reply.reason, reply.forced) == ("", "repetition", "repetition")


def test_thinking_begun_again_by_the_template() -> None:
    splitter = ReplySplitter(opens_thinking=True)
    splitter.feed("One")
    splitter.close_thinking("unclosed", "\n\n")
    splitter.begin_again(opens_thinking=True)
    splitter.feed(f"two\n</think>\n{BLOCK}")
    reply = splitter.finish()
    assert (reply.thinking, reply.code) == ("One\n\ntwo", "print(1)")
