"""The splitter on anything at all: what must hold of every text, however it is cut."""
# ruff: noqa: E501 - the fragments read better in few lines

from hypothesis import given, settings
from hypothesis import strategies as st

from serving.reply import ReplySplitter
from tests.test_serving_reply import BLOCK, split

FRAGMENTS = st.sampled_from([
    "<think>", "</think>", "\n", "\n\n", "```", "```python\n", "\n```\n", "```json\n", "~~~", "~~~py\n",
    "````python\n", "`", "<code>", "</code>", "<code>\n", '"""', "'''", '"', "'", "\\", "#", "print(1)",
    "x = 2\n", "final_answer(3)", "<", "<th", "ink>", "</", " ", "Answer: 4", "\\boxed{5}", "<|im_end|>",
    "<｜Assistant｜>", "<|", "<tool_call>", "</tool_call>", '{"name": "f", ', '"arguments": {}}', "{", "}", '{"code"', "use <think> and ", "héllo", "答案：6", "\r\n", "<｜", "｜>", '<code class="py">', "```py print(1)```", "a" * 30, "word " * 50,
])  # fmt: skip
TEXTS = st.one_of(
    st.lists(FRAGMENTS, max_size=30).map("".join),
    st.text(alphabet="`<>/think code'\"\n\\#~(){}|｜x1", max_size=120),
)


@settings(max_examples=400, deadline=None)
@given(text=TEXTS, opens=st.booleans(), data=st.data(), finish=st.sampled_from(["stop", "length"]))
def test_cutting_the_stream_elsewhere_changes_nothing(
    text: str, opens: bool, data: st.DataObject, finish: str
) -> None:
    whole = split(text, opens=opens, finish=finish)
    assert split(text, opens=opens, size=1, finish=finish) == whole
    splitter, pieces = ReplySplitter(opens), []
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        pieces += splitter.feed(text[start:end])
    assert splitter.finish(finish) == whole
    pieces += splitter.rest()
    if "think>" not in text:
        for kind, kept in (("thinking", whole.thinking), ("text", whole.text)):
            said = "".join(piece.text for piece in pieces if piece.kind == kind)
            assert said.strip().startswith(kept)


@settings(max_examples=300, deadline=None)
@given(text=TEXTS, opens=st.booleans(), data=st.data())
def test_what_was_streamed_is_never_taken_back(text: str, opens: bool, data: st.DataObject) -> None:
    def streamed(raw: str) -> list[tuple[str, str]]:
        return [(p.kind, char) for p in ReplySplitter(opens).feed(raw) for char in p.text]

    end = data.draw(st.integers(0, len(text)))
    beginning = streamed(text[:end])
    assert streamed(text)[: len(beginning)] == beginning


@settings(max_examples=300, deadline=None)
@given(text=TEXTS, opens=st.booleans(), end=st.integers(0, 400))
def test_a_beginning_acts_as_the_whole_or_not_at_all(text: str, opens: bool, end: int) -> None:
    cut = split(text[:end], opens=opens, finish="length")
    if cut.code is not None:
        assert split(text, opens=opens, finish="length").code == cut.code
    assert cut.answer is None or cut.answer.split(", ")[-1].split("\n")[0] in text


@settings(max_examples=300, deadline=None)
@given(text=TEXTS, opens=st.booleans(), finish=st.sampled_from(["stop", "length", "cancelled"]))
def test_a_reply_is_code_or_an_answer_or_says_why_not(text: str, opens: bool, finish: str) -> None:
    reply = split(text, opens=opens, finish=finish)
    assert (reply.reason is None) == (reply.code is not None or reply.answer is not None)
    assert reply.code is None or reply.answer is None
    assert (reply.finish == "code") == (reply.code is not None)
    assert reply.code is None or reply.code.strip()


@settings(max_examples=200, deadline=None)
@given(
    draft=st.lists(FRAGMENTS.filter(lambda f: "hin" not in f and "</" not in f), max_size=20),
    size=st.integers(1, 40),
)
def test_no_draft_of_the_thinking_is_ever_run(draft: list[str], size: int) -> None:
    thinking = "".join(f"{fragment}DRAFT" for fragment in draft)
    reply = split(f"{thinking}\n</think>\n\n{BLOCK}\nmore", size=size)
    assert (reply.code, reply.text) == ("print(1)", BLOCK)
    assert reply.thinking == thinking.strip()
