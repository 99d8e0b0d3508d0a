"""Replies in the manner of R1-Distill models, made to be split wrongly: what a reader would want."""
# ruff: noqa: E501 - the tables read better a line each

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.reply import ReplySplitter
from tests.test_serving_reply import BLOCK, split

P = "print(1)"
SEARCH = "print(web_search(query='x'))"
DEEPSEEKS = '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>web_search\n```json\n{"query": "x"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜><｜end▁of▁sentence｜>'

# What stands after "…\n</think>\n\n": the code that acts, or the answer, or neither.
ACTS = {
    "in a list, on its line": ("- ```python\n  x = 1\n  print(x)\n  ```\n- more", "x = 1\nprint(x)"),
    "in a numbered list": ("1. Do:\n\n    ```python\n    print(1)\n    ```\n2. x", P),
    "in a quotation": ("> ```python\n> print(1)\n> ```", P),
    "in a quotation without spaces": (">```python\n>if x:\n>    y()\n>```", "if x:\n    y()"),
    "less indented in a string": ('  ```python\n  s = """\n\ta"""\n  f(s)\n  ```', 's = """\n\ta"""\nf(s)'),
    "py3": ("```py3\nprint(1)\n```", P),
    "PYTHON": ("```PYTHON\nprint(1)\n```", P),
    "a file's name": ("```python:main.py\nprint(1)\n```", P),
    "a comma": ("```python,\nprint(1)\n```", P),
    "attributes": ("```{.python .numberLines}\nprint(1)\n```", P),
    "a title": ('```python title="x.py"\nprint(1)\n```', P),
    "a transcript": ("```pycon\n>>> x = 1\n>>> print(x)\n1\n```", "x = 1\nprint(x)"),
    "another transcript": ("```python-repl\n>>> print(1)\n1\n```", P),
    "unmarked, a call over lines": ('```\nfinal_answer(\n    "x",\n)\n```', 'final_answer(\n    "x",\n)'),
    "unmarked data": ("```\nN (1)\nS (2)\n```", None),
    "smolagents' old form": ("Thought: I add.\nCode:\n```py\nprint(1)\n```<end_code>", P),
    "smolagents' form": ("Thought: I add.\n<code>\nprint(1)\n</code>", P),
    "HTML": ('<pre><code class="language-python">print(1)\n</code></pre>', P),
    "more than one invented": (f"{BLOCK}\nObservation: 1\n```python\nfinal_answer(1)\n```\nObservation: ok", P),
    "an observation invented first": (f"Observation: 7\n{BLOCK}", P),
    "closing tag in a string": ('```python\nprint("</think>")\nf("</think>")\n```', 'print("</think>")\nf("</think>")'),
    "closing tag in a docstring": ('```python\ns = """\n</think>\n"""\nf(s)\n```', 's = """\n</think>\n"""\nf(s)'),
    "tags in a pattern": ('```python\nre.sub(r"<think>.*?</think>", "", t)\n```', 're.sub(r"<think>.*?</think>", "", t)'),
    "a fence in a docstring": ('```python\ndef f():\n    """Doc.\n\n    ```python\n    f()\n    ```\n    """\nf()\n```', 'def f():\n    """Doc.\n\n    ```python\n    f()\n    ```\n    """\nf()'),
    "a fence in an f-string": ('```python\nprint(f"```py\\n{x}\\n```")\n```', 'print(f"```py\\n{x}\\n```")'),
    "DeepSeek's own call": (DEEPSEEKS, SEARCH),
    "after words": (f"I will search.{DEEPSEEKS}", SEARCH),
    "DeepSeek's later form": ('<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>web_search<｜tool▁sep｜>{"query": "x"}<｜tool▁call▁end｜>', SEARCH),
    "left open": ('<｜tool▁call▁begin｜>function<｜tool▁sep｜>web_search\n```json\n{"query": "x"}', SEARCH),
    "broken": ('<｜tool▁call▁begin｜>function<｜tool▁sep｜>web_search\n```json\n{"query": ', None),
    "what is no Python": ('<｜tool▁call▁begin｜>f<｜tool▁sep｜>{"x": NaN}<｜tool▁call▁end｜>', None),
    "quoted": ("DeepSeek writes `<｜tool▁call▁begin｜>` there.", None),
    "quoted, then a block": (f"DeepSeek writes `<｜tool▁call▁begin｜>` there.\n\n{BLOCK}", P),
    "a box in the code": ('```python\nfinal_answer(r"\\boxed{5}")\n```', 'final_answer(r"\\boxed{5}")'),
    "an answer before the code": (f"Final answer: 9\n{BLOCK}", P),
    "a function that was asked for": ("Here it is:\n\n```python\ndef add(a, b):\n    return a + b\n```\n\nIt adds.", "def add(a, b):\n    return a + b"),
}  # fmt: skip


@pytest.mark.parametrize("size", [None, 1, 7], ids=["whole", "by 1", "by 7"])
@pytest.mark.parametrize("name", ACTS)
def test_what_acts(name: str, size: int | None) -> None:
    text, code = ACTS[name]
    reply = split(f"I could run\n{BLOCK}\nor `</think>`.\n</think>\n\n{text}", size=size)
    assert reply.code == code
    assert reply.thinking.startswith("I could run") and reply.thinking.endswith("`</think>`.")


ANSWERS = {
    "Chinese": ("最终答案：42。", "42"),
    "Chinese sentence": ("计算得出。\n因此，最终答案为：**42**", "42"),
    "Chinese sentence in a line": ("两数相加。所以答案是42。", "42"),
    "Chinese of": ("最终的答案是 42。", "42"),
    "Chinese heading": ("### 最终答案\n\n42", "42"),
    "Chinese announcement": ("所以，答案是：\n\n巴黎", "巴黎"),
    "Chinese box": ("所以答案是 $\\boxed{42}$。", "42"),
    "Chinese doubt": ("答案是42，但我不确定。", None),
    "fraction": (r"\[ \boxed{\frac{1}{2}} \]", r"\frac{1}{2}"),
    "per cent": (r"\boxed{25\%}", "25%"),
    "money": (r"\boxed{\$1{,}000}", "$1,000"),
    "money in a line": ("Final answer: $1,000", "$1,000"),
    "thin space": (r"\boxed{10\,\text{cm}}", "10 cm"),
    "letter": (r"\boxed{\textbf{(C)}\ 5}", "(C) 5"),
    "doubled backslash": (r"\\boxed{42}", "42"),
    "over lines": ("\\boxed{\n42\n}", "42"),
    "the form of a box": (r"I put it in \boxed{...} or \boxed{answer}.", None),
    "a form after a box": (r"So \boxed{7}. The format was \boxed{\text{answer}}.", "7"),
    "the form of a line": ("The last line must be:\nAnswer: $YOUR_ANSWER", None),
    "heading, then box": ("**Final Answer**\n\\[\\boxed{42}\\]", "42"),
    "heading, then table": ("**Final Answer:**\n\n| a | b |\n|---|---|\n| 1 | 2 |", "| a | b |\n|---|---|\n| 1 | 2 |"),
    "heading, then list": ("## Final Answer\n\n- Rome\n- Oslo", "- Rome\n- Oslo"),
    "heading, then fence": ("**Answer:**\n\n```\nParis\n```\n\nBye.", "Paris"),
    "heading, then json": ("Final answer:\n```json\n[1, 2]\n```", "[1, 2]"),
    "announced": ("The final answer is:\n\n**42 km**", "42 km"),
    "a tick": ("✅ **Final Answer:** 42", "42"),
    "underscores": ("__Final Answer:__ 42", "42"),
    "an item": ("- **Final Answer:** 42", "42"),
    "units": ("Final answer: 3.5 kg·m/s²", "3.5 kg·m/s²"),
    "maths": ("Final answer: $42$", "42"),
    "maths in a line": (r"Answer: \(42\)", "42"),
    "bold and more": ("Answer: **42** km", "42 km"),
    "a power": ("Answer: 2**3**2", "2**3**2"),
    "names": ("Answer: __init__", "__init__"),
    "code": ("Answer: `x = 1`", "x = 1"),
    "a link": ("Final answer: [x](http://y)", "[x](http://y)"),
    "a number's dot": ("Final answer: 42.", "42"),
    "a sentence's dot": ("Answer: The capital is Paris.", "The capital is Paris."),
    "an abbreviation": ("Answer: U.S.", "U.S."),
    "tagged": ("<answer>42</answer>", "42"),
    "tagged, over lines": ("Text.\n<answer>\n42\n</answer>\n", "42"),
    "tagged box": (r"<answer>\boxed{42}</answer>", "42"),
    "in a paragraph": ("We add 2 and 40. So the answer is 42.", "42"),
    "and why": ("The answer is 42. It follows from the sum.", "42"),
    "a title's dot": ("So the answer is Dr. No.", "Dr. No"),
    "after steps": ("Steps:\n1. Add.\nThe answer is 42.", "42"),
    "then doubt": ("The answer is 42. But is it?", None),
    "a condition": ("If x is 3, the answer is 42 of course", None),
    "a guess": ("I think the answer is 42", None),
    "where it is": ("The answer is below the table.", None),
    "in quotes": ('The form is "Answer: 42" there.', None),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_what_answers(name: str) -> None:
    text, answer = ANSWERS[name]
    reply = split(f"hm \\boxed{{99}}\nFinal answer: 98\n<answer>97</answer>\n</think>\n\n{text}")
    assert (reply.answer, reply.code) == (answer, None)


TAGS = {
    "upper case": (True, f"a\n</THINK>\n\n{BLOCK}", "a", P),
    "spaces": (True, f"a\n< / think >\n\n{BLOCK}", "a", P),
    "in bold": (True, f"the **</think>** tag\n</think>\n\n{BLOCK}", "the **</think>** tag", P),
    "in brackets": (True, f"the tag (</think>) ends\n</think>\n\n{BLOCK}", "the tag (</think>) ends", P),
    "in a comment": (True, f"```python\n# ends with </think>\nx\n```\n</think>\n\n{BLOCK}", "```python\n# ends with </think>\nx\n```", P),
    "in a draft, and none after": (True, "```python\n# ends with </think>\n\nAnswer: 1", "```python\n# ends with", None),
    "in a string": (True, f"```python\ns = '</think>'\n```\nno\n</think>\n\n{BLOCK}", "```python\ns = '</think>'\n```\nno", P),
    "another name": (False, f"<thinking>\n{BLOCK}\n</thinking>\n\nAnswer: 1", BLOCK, None),
    "a third name": (False, f"<thought>a</thought>\n{BLOCK}", "a", P),
    "another name that nothing opened": (False, f"a</thinking>\n{BLOCK}", "", P),
    "names drafted": (True, f"<reasoning>\na\n</reasoning>\nb\n</think>\n\n{BLOCK}", "<reasoning>\na\n</reasoning>\nb", P),
    "end of the turn": (True, f"a<｜end▁of▁sentence｜><｜User｜>b\n</think>\n{BLOCK}", "a", None),
    "end of the turn quoted": (True, f"a `<｜end▁of▁sentence｜>`\n</think>\n{BLOCK}", "a `<｜end▁of▁sentence｜>`", P),
}  # fmt: skip


@pytest.mark.parametrize("size", [None, 1, 3], ids=["whole", "by 1", "by 3"])
@pytest.mark.parametrize("name", TAGS)
def test_tags_of_the_thinking(name: str, size: int | None) -> None:
    opens, raw, thinking, code = TAGS[name]
    reply = split(raw, opens=opens, size=size)
    assert (reply.thinking, reply.code) == (thinking, code)


def test_thinking_after_the_end_of_a_turn_can_be_closed() -> None:
    splitter = ReplySplitter(opens_thinking=True)
    splitter.feed("a<｜end▁of▁sentence｜>invented")
    assert splitter.done and not splitter.said
    splitter.close_thinking("unclosed", "\nI act.")
    splitter.feed(f"\n\n{BLOCK}")
    reply = splitter.finish()
    assert (reply.thinking, reply.code) == ("a\nI act.", P)


@pytest.mark.parametrize(
    "unit",
    ["<answer>", "<answer></answer>", "**a ", "$a", "\\(", ". ", "Answer: (\n", "Answer:\n```\n",
     " the answer is not. So", "< think ", "<thinking>x</thinking>\n", "答案是", "<｜tool▁call▁begin｜>",
     "<｜tool▁call▁begin｜>x<｜tool▁calls▁end｜>", "`<｜end▁of▁sentence｜>", "########", "> \n", "f(\n"],
)  # fmt: skip
def test_nothing_takes_long(unit: str) -> None:
    text = unit * (60_000 // len(unit))
    for raw in (text, f"{text}\nFinal answer: {text[:20_000]}", "The answer is " + text):
        started = time.process_time()
        split(raw, opens=False)
        assert time.process_time() - started < 0.5


DRAFTS = st.sampled_from([
    "I could run\n```python\nbad()\n```\n", "`</think>` ends it.\n", "So \\boxed{9}.\n", "Final answer: 9\n",
    "<code>bad()</code>\n", "```python\ns = '</think>'  # or </think>\n```\n", '{"name": "f", "arguments": {}}\n',
    "<reasoning>x</reasoning>\n", "最终答案：9。\n", "<answer>9</answer>\n", "> ```py\n> bad()\n> ```\n", "Wait, </think> comes last.\n",
    "~~~python\nbad()\n~~~\n", "Hmm <think> again?\n", "the tag (</think>) and\n", "Observation: 9\n", "final_answer(9)\n", "\n", "<tool_call>\n", "等等，我再想想。\n",
])  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    drafts=st.lists(DRAFTS, max_size=12),
    ending=st.sampled_from([*ACTS.values(), *((text, None) for text, _ in ANSWERS.values())]),
    size=st.integers(1, 60),
    written=st.booleans(),
)
def test_whatever_is_drafted_the_same_comes_of_what_follows(
    drafts: list[str], ending: tuple[str, str | None], size: int, written: bool
) -> None:
    thinking = "".join(drafts)
    plain = split(f"x\n</think>\n\n{ending[0]}")
    opener = "<think>\n" if written else ""
    reply = split(f"{opener}{thinking}x\n</think>\n\n{ending[0]}", size=size)
    assert (reply.code, reply.answer, reply.text) == (plain.code, plain.answer, plain.text)
    assert reply.code == ending[1]
