"""Which passages of a text are shown for a question, and how they are cut."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.passages import GAP, PASSAGE_CHARS, relevant, split

FILLER = "\n\n".join(
    f"Paragraph {n} tells of other things, at some length. " * 8 for n in range(30)
)
LIFE = (
    f"# A singer\n\nAn introduction.\n\n{FILLER}\n\n## Early life\n\n"
    f"She was born in Nairobi in 1931.\n\n{FILLER}\n\n## Death\n\nShe died in Lisbon.\n\n{FILLER}"
)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When was she born?", "born in Nairobi in 1931"),
        ("Where did she die? How did the death happen?", "She died in Lisbon."),
        ("nairobi births", "born in Nairobi in 1931"),
        ("what about her early life", "born in Nairobi in 1931"),  # by its heading alone
    ],
)
def test_the_passage_with_the_answer_is_shown(question: str, answer: str) -> None:
    shown = relevant(LIFE, question, 1_500)
    assert answer in shown
    assert len(shown) <= 1_500


def test_passages_keep_their_order_their_heading_and_their_gaps() -> None:
    shown = relevant(LIFE, "lisbon nairobi", 3_000)
    assert shown.startswith(f"{GAP}\n## Early life\n\nShe was born in Nairobi")
    assert f"\n{GAP}\n## Death\n\nShe died in Lisbon." in shown
    assert shown.endswith(f"\n{GAP}")


def test_a_later_passage_is_shown_under_its_heading() -> None:
    prose = "Prose of no use here. " * 30
    text = f"{FILLER}\n\n## Prizes\n\n{prose}\n\nIn 1988 the medal.\n\n{FILLER}"
    assert f"{GAP}\n## Prizes\nIn 1988 the medal." in relevant(text, "medal", 1_000)


def test_a_row_of_a_long_table_is_shown_below_the_names_of_its_columns() -> None:
    rows = "\n".join(f"| {year} | Album {year % 77} |" for year in range(1900, 2020))
    text = f"{FILLER}\n\n## Albums\n\n| year | title |\n| --- | :-: |\n{rows}\n\n{FILLER}"
    shown = relevant(text, "album of 1987", 900)
    assert "## Albums\n| year | title |\n| --- | :-: |\n| 19" in shown
    assert "| 1987 | Album 62 |" in shown


@pytest.mark.parametrize(
    ("sentence", "question"),
    [
        ("東京都庁は新宿にある。", "東京都庁はどこですか"),
        ("กรุงเทพมหานครเป็นเมืองหลวง", "เมืองหลวงคือ"),
        ("हिन्दी भाषा भारत में बोली जाती है।", "हिन्दी"),
        ("Die Straße heißt Königsallee.", "konigsallee"),
        ("The engine has 5,199 parts.", "5,199"),
        ("It was called \U00020bb7野家 there.", "\U00020bb7野家"),
    ],
)
def test_in_other_scripts(sentence: str, question: str) -> None:
    text = f"{FILLER}\n\n{sentence}\n\n{FILLER}"
    assert sentence in relevant(text, question, 1_000)


def test_a_short_text_comes_whole_and_one_without_the_words_not_at_all() -> None:
    assert relevant("short", "anything", 100) == "short"
    assert relevant(FILLER, "zebra", 1_000) == ""
    assert relevant(FILLER, " ?! ", 1_000) == ""


def test_a_question_is_never_a_search_expression() -> None:
    for question in (
        'paragraph" OR (',
        "NEAR(a paragraph",
        "text:paragraph*",
        "\0\ud800 paragraph",
    ):
        assert "Paragraph" in relevant(FILLER, question, 1_000)


def test_a_long_line_is_cut_at_the_ends_of_sentences() -> None:
    line = "A sentence that goes on for a while. " * 60 + "The zebra is here. " + "Done now. " * 90
    passages = split(line)
    assert all(p.text.endswith(".") and len(p.text) <= PASSAGE_CHARS for p in passages)
    assert "The zebra is here." in relevant(line, "zebra", 800)


def test_five_megabytes_take_seconds_not_minutes() -> None:
    text = ("word " * 100 + "\n\n") * 10_000
    started = time.monotonic()
    assert "needle in hay" in relevant(f"{text}needle in hay", "needle", 3_000)
    assert time.monotonic() - started < 10


@settings(max_examples=100, deadline=None)
@given(
    st.text(st.sampled_from("ab #|-\n.東京\u0301\ud800"), max_size=3_000),
    st.text(st.sampled_from('ab "東京\u0301?'), max_size=20),
    st.integers(50, 2_000),
)
def test_any_text_stays_within_the_limit_and_loses_nothing(
    text: str, question: str, most: int
) -> None:
    assert len(relevant(text, question, most)) <= max(most, 0)
    kept = "".join("".join(p.text.split()) for p in split(text))
    assert kept == "".join(text.split())


def test_a_text_in_one_line_takes_no_longer_than_one_in_many() -> None:
    text = "lorem ipsum dolor sit " * 200_000
    started = time.process_time()
    assert len(split(text)) > 5_000
    assert time.process_time() - started < 1.5
