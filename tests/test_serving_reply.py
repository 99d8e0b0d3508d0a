"""The splitter: what counts as thinking, text, code and answer, however the stream is cut."""
# ruff: noqa: E501 - the tables read better a line each

import time

import pytest

from serving.reply import Reply, ReplySplitter


def split(text: str, *, opens: bool = True, size: int | None = None, finish: str = "stop") -> Reply:
    splitter = ReplySplitter(opens)
    size = size or max(1, len(text))
    for start in range(0, len(text), size):
        splitter.feed(text[start : start + size])
    return splitter.finish(finish)


BLOCK = "```python\nprint(1)\n```"

# name: (template opens the thinking, raw text, thinking, text, code)
SPLITS = {
    "no opener": (True, f"Add.\n</think>\n\n{BLOCK}", "Add.", BLOCK, "print(1)"),
    "both tags": (True, f"<think>\nAdd.\n</think>\n\n{BLOCK}", "Add.", BLOCK, "print(1)"),
    "tags": (False, f"<think>\nAdd.\n</think>\n\n{BLOCK}", "Add.", BLOCK, "print(1)"),
    "closer nobody expected": (False, f"Add.\n</think>\n{BLOCK}", "Add.", BLOCK, "print(1)"),
    "no thinking": (False, f"So:\n{BLOCK}", "", f"So:\n{BLOCK}", "print(1)"),
    "empty thinking": (True, f"<think>\n\n</think>\n\n{BLOCK}", "", BLOCK, "print(1)"),
    "no closer": (True, f"Try\n{BLOCK}\nor", f"Try\n{BLOCK}\nor", "", None),
    "draft in the thinking": (
        True,
        f"```python\nbad()\n```\n<code>bad()</code>\n</think>\n{BLOCK}",
        "```python\nbad()\n```\n<code>bad()</code>",
        BLOCK,
        "print(1)",
    ),
    "closer quoted in the thinking": (
        True,
        f"`</think>` or '</think>' or \"</think>\\n\" ends it\n</think>\n{BLOCK}",
        "`</think>` or '</think>' or \"</think>\\n\" ends it",
        BLOCK,
        "print(1)",
    ),
    "quotation before the closer": (True, f'say "hi"</think> {BLOCK}', 'say "hi"', BLOCK, "print(1)"),
    "several closers": (True, f"a\n</think>\n\nb\n</think>\n{BLOCK}", "a\n\n\nb", BLOCK, "print(1)"),
    "thinking begun again": (
        True, f"a\n</think>\nWell.<think>b</think>\n{BLOCK}", "a\n\nWell.b", BLOCK, "print(1)",
    ),
    "opener repeated": (True, f"a <think>b\n</think>{BLOCK}", "a b", BLOCK, "print(1)"),
    "first of several blocks": (
        True,
        f"</think>A\n{BLOCK}\nObservation: 2\n```python\nprint(3)\n```",
        "",
        f"A\n{BLOCK}",
        "print(1)",
    ),
    "py": (True, "</think>```py\nx = 1\n```", "", "```py\nx = 1\n```", "x = 1"),
    "Python": (True, "</think>```Python3 \nx = 1\n```", "", "```Python3 \nx = 1\n```", "x = 1"),
    "tildes": (True, "</think>~~~python\nx = ~~1\n~~~\n", "", "~~~python\nx = ~~1\n~~~", "x = ~~1"),
    "long fence": (
        True,
        "</think>````python\ns = '''\n```\n'''\n````",
        "",
        "````python\ns = '''\n```\n'''\n````",
        "s = '''\n```\n'''",
    ),
    "indented fence": (
        True,
        "</think>1. Run:\n   ```python\n   if x:\n       y()\n   ```",
        "",
        "1. Run:\n   ```python\n   if x:\n       y()\n   ```",
        "if x:\n    y()",
    ),
    "fence after words": (True, f"</think>Code: {BLOCK}", "", f"Code: {BLOCK}", "print(1)"),
    "closed on the code's line": (
        True, "</think>```python\nprint(1)``` ok", "", "```python\nprint(1)```", "print(1)",
    ),
    "all on one line": (
        True, "</think>```python print(1)``` ok", "", "```python print(1)```", "print(1)",
    ),
    "windows line ends": (
        True, "</think>```python\r\nx()\r\ny()\r\n```", "", "```python\r\nx()\r\ny()\r\n```", "x()\ny()",
    ),
    "fence in a docstring": (
        True,
        '</think>```python\ns = """\n```\nnot yet\n```\n"""\nf(s)\n```\nmore',
        "",
        '```python\ns = """\n```\nnot yet\n```\n"""\nf(s)\n```',
        's = """\n```\nnot yet\n```\n"""\nf(s)',
    ),
    "backticks in strings": (
        True,
        "</think>```python\nprint('```', \"it's ```\")  # ``` don't\n```",
        "",
        "```python\nprint('```', \"it's ```\")  # ``` don't\n```",
        "print('```', \"it's ```\")  # ``` don't",
    ),
    "string never closed": (
        True,
        '</think>```python\ns = """oops\n```\nOutput: 3\n```python\nprint(2)\n```',
        "",
        '```python\ns = """oops\n```',
        's = """oops',
    ),
    "quote never closed": (
        True, "</think>```python\nprint('it)\n```\nmore", "", "```python\nprint('it)\n```", "print('it)",
    ),
    "fence opened twice": (
        True, "</think>```python\n```python\nx()\n```", "", "```python\n```python\nx()\n```", "x()",
    ),
    "left open": (True, "</think>```python\nx()\ny()", "", "```python\nx()\ny()", "x()\ny()"),
    "half closed": (True, "</think>```python\nx()\n``", "", "```python\nx()\n``", "x()"),
    "empty block": (True, f"</think>```python\n```\n{BLOCK}", "", f"```python\n```\n{BLOCK}", "print(1)"),
    "code tag": (True, "</think>So\n<code>\nx()\n</code>\nno", "", "So\n<code>\nx()\n</code>", "x()"),
    "code tag, attributes": (
        True, "</think><CODE lang=py>x()</CODE>", "", "<CODE lang=py>x()</CODE>", "x()",
    ),
    "code tag, quoted attributes": (
        True, "</think><code class=\"py\">x()</code>", "", "<code class=\"py\">x()</code>", "x()",
    ),
    "code tag in a line": (
        True, "</think>I do <code>final_answer(2)</code> now", "",
        "I do <code>final_answer(2)</code>", "final_answer(2)",
    ),
    "code tags in prose": (
        True,
        "</think>between <code> and </code> tags, `<code>x()</code>` say, <code>x</code> too",
        "",
        "between <code> and </code> tags, `<code>x()</code>` say, <code>x</code> too",
        None,
    ),
    "fence in a code tag": (
        True, f"</think><code>\n{BLOCK}\n</code>", "", f"<code>\n{BLOCK}", "print(1)",
    ),
    "closing code tag in a string": (
        True, "</think><code>\nf('</code>')\n</code>x", "", "<code>\nf('</code>')\n</code>", "f('</code>')",
    ),
    "fence closed by a code tag": (
        True, "</think>```python\nx()\n</code>\n", "", "```python\nx()\n</code>", "x()",
    ),
    "unmarked fence that calls": (
        True, "</think>```\nx = 2\nprint(x)\n```\nok", "", "```\nx = 2\nprint(x)\n```", "x = 2\nprint(x)",
    ),
    "unmarked fence of data": (
        True, "</think>```\n5 12 (3)\n8  1\n```\nok", "", "```\n5 12 (3)\n8  1\n```\nok", None,
    ),
    "other language first": (
        True,
        f"</think>```json\n[1]\n```\n{BLOCK}",
        "",
        f"```json\n[1]\n```\n{BLOCK}",
        "print(1)",
    ),
    "only another language": (True, "</think>```bash\nls()\n```", "", "```bash\nls()\n```", None),
    "python shown inside markdown": (
        True,
        f"</think>~~~markdown\n{BLOCK}\n~~~\nok",
        "",
        f"~~~markdown\n{BLOCK}\n~~~\nok",
        None,
    ),
    "fences talked about": (
        True, "</think>Write ```python at the start.", "", "Write ```python at the start.", None,
    ),
    "end of turn": (True, f"</think>Yes.<|im_end|>\nuser\n{BLOCK}", "", "Yes.", None),
    "end of turn after code": (
        True, "</think>```python\nx()\n<｜end▁of▁sentence｜>y", "", "```python\nx()", "x()",
    ),
    "turn's beginning first": (True, f"</think><｜Assistant｜>{BLOCK}", "", BLOCK, "print(1)"),
    "Chinese": (True, f"先算。\n</think>\n\n运行:\n{BLOCK}\n好", "先算。", f"运行:\n{BLOCK}", "print(1)"),
    "nothing": (True, "", "", "", None),
}  # fmt: skip


@pytest.mark.parametrize("size", [None, 1, 3], ids=["whole", "by 1", "by 3"])
@pytest.mark.parametrize("name", SPLITS)
def test_split(name: str, size: int | None) -> None:
    opens, raw, thinking, text, code = SPLITS[name]
    reply = split(raw, opens=opens, size=size)
    assert (reply.thinking, reply.text, reply.code) == (thinking, text, code)
    assert reply.finish == ("code" if code else "stop")


ANSWERS = {
    "boxed": (r"So \(\boxed{42}\).", "42"),
    "last box": (r"\boxed{1} then \boxed{2}", "2"),
    "empty box": (r"\boxed{7} or \boxed{}", "7"),
    "nested box": (r"\[\boxed{\frac{1}{\sqrt{2}}}\]", r"\frac{1}{\sqrt{2}}"),
    "escaped brace": (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
    "open box": (r"\boxed{1", None),
    "text in a box": (r"$\boxed{\text{Paris}}$", "Paris"),
    "line": ("Because.\n\nFinal answer: Paris", "Paris"),
    "bold line": ("**Final Answer:** 4 apples\n\nBye.", "4 apples"),
    "bold value": ("**Answer: 95**", "95"),
    "last line wins": ("Answer: 1\nNo.\nAnswer: 2", "2"),
    "heading": ("### Final Answer\n\nThe city is Rome.", "The city is Rome."),
    "list": ("Final answer: the cities are:\n- Rome\n- Oslo", "the cities are:\n- Rome\n- Oslo"),
    "below the label": ("**Answer:**  \nIt is 3.", "It is 3."),
    "Chinese": ("**最终答案：** 120", "120"),
    "box before line": (r"Answer: $\boxed{3}$ metres", "3"),
    "prose": ("The answer is probably 3.", None),
    "in the middle": ("I know no answer: sorry", None),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answer(name: str) -> None:
    text, answer = ANSWERS[name]
    assert split(f"hm, \\boxed{{99}}\nFinal answer: 98\n</think>\n{text}").answer == answer


def test_no_answer_beside_code_nor_from_a_cut_line() -> None:
    assert split(f"</think>Answer: 1\n{BLOCK}").answer is None
    assert split("</think>Answer: 12", finish="length").answer is None
    assert split(r"</think>\boxed{12} and", finish="length").answer == "12"
    assert split("</think>Answer: 12", finish="cancelled").answer is None


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("stop", "stop"), (None, "stop"), ("length", "length"), ("repetition", "repetition"),
     ("cancelled", "cancelled")],
)  # fmt: skip
def test_finish_and_the_open_block(reason: str | None, finish: str) -> None:
    splitter = ReplySplitter(opens_thinking=False)
    splitter.feed("```python\nprint(1)")
    reply = splitter.finish(reason)
    complete = finish == "stop"
    assert reply.code == ("print(1)" if complete else None)
    assert reply.finish == ("code" if complete else finish)


def test_done_as_soon_as_the_block_closes() -> None:
    splitter = ReplySplitter(opens_thinking=True)
    text = f"hm\n</think>\n\n{BLOCK}"
    for character in text[:-1]:
        splitter.feed(character)
        assert not splitter.done
    splitter.feed("`")
    assert splitter.done
    assert splitter.feed("\nObservation: 7") == []
    assert splitter.finish("stop") == Reply("hm", BLOCK, "print(1)", None, "code")


def test_pieces_come_as_they_are_known() -> None:
    splitter = ReplySplitter(opens_thinking=True)
    assert splitter.feed("Let me add. ") == [("thinking", "Let me add. ")]
    assert splitter.feed("</thi") == []
    assert splitter.feed("nk>Yes") == [("text", "Yes")]
    assert splitter.feed(" <") == [("text", " ")]
    assert splitter.feed("3") == [("text", "<3")]
    assert splitter.feed(" `") == [("text", " ")]
    splitter.finish("stop")
    assert splitter.rest() == [("text", "`")]


def test_reasoning_field() -> None:
    splitter = ReplySplitter(opens_thinking=True)
    assert splitter.feed_reasoning("Draft: ```python\nbad()\n```") == [
        ("thinking", "Draft: ```python\nbad()\n```")
    ]
    splitter.feed_reasoning(" <think> fine")
    splitter.feed("\n\n" + BLOCK)
    reply = splitter.finish("stop")
    assert reply.thinking == "Draft: ```python\nbad()\n``` <think> fine"
    assert (reply.text, reply.code) == (BLOCK, "print(1)")


def _cpu_seconds(tokens: list[str]) -> float:
    splitter = ReplySplitter(opens_thinking=True)
    started = time.process_time()
    for token in tokens:
        splitter.feed(token)
    splitter.finish("length")
    return time.process_time() - started


def test_64k_tokens_of_thinking_cost_less_than_half_a_second() -> None:
    """0.17 s measured on a quiet core; the bound is for one that others compute on too."""
    tokens = [" token", " <", "think", "`", "\n", " x=1", ' "', "</", "b"] * 7_112
    assert min(_cpu_seconds(tokens) for _ in range(3)) < 1.0


def test_each_piece_of_a_stream_is_handled_a_bounded_number_of_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = 0
    emit = ReplySplitter._emit

    def counted(self: ReplySplitter, end: int) -> None:
        nonlocal steps
        steps += 1
        emit(self, end)

    monkeypatch.setattr(ReplySplitter, "_emit", counted)
    tokens = [" token", " <", "think", "`", "\n", " x=1", ' "', "</", "b"] * 2_000
    _cpu_seconds(tokens)
    assert steps <= 2 * len(tokens)


@pytest.mark.parametrize(
    "pattern",
    [["</think>", "x <"], ["```"], ["</think>```py\n", '"'], ["</think>x <code>"], ["a" * 5],
     ["</think>```py\nx='''", "\n```\n"], ["</think>```\n", "<", "`"], ["<think>"]],
    ids=["angles", "fences", "quotes", "code tags", "one word", "maybe", "unmarked", "openers"],
)  # fmt: skip
def test_time_grows_no_faster_than_the_text(pattern: list[str]) -> None:
    first, again = pattern[0], pattern[1:] or pattern
    # Four times the text: quadratic work would take sixteen times as long. The best of three,
    # since a busy machine slows any single run.
    for cut in (lambda n: [first, *again * n], lambda n: [first + "".join(again * n)]):
        short = min(_cpu_seconds(cut(4_000)) for _ in range(3))
        long = min(_cpu_seconds(cut(16_000)) for _ in range(2))
        assert long < 9 * short + 0.02


@pytest.mark.parametrize(
    "text",
    ["```\n" + " " * 30_000 + "\n```", "answer" + " " * 30_000 + "x", "-" * 30_000, "\\boxed{" * 8_000,
     "answer \n" * 8_000, "a, " * 20_000, "```\n" + "f(" * 20_000 + "\n```", "x" * 60_000 + "()"],
    ids=["spaces", "after the label", "rule", "boxes", "labels", "names", "calls", "word"],
)  # fmt: skip
def test_no_text_takes_long_to_finish(text: str) -> None:
    started = time.process_time()
    split(f"</think>{text}\n\nend")
    assert time.process_time() - started < 0.5
