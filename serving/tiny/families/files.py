"""Questions on a text file: its lines, its words, the numbers in it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from serving.tiny.example import Example, Expect, Step
from serving.tiny.families import text_data as data
from serving.tiny.families.table_maker import made_up
from serving.tiny.families.wordings import Wordings
from serving.tiny.phrasings import Family, Phrasings, Templates, vary

_TEXT = {
    "lines": (
        "How many lines does {file} have?",
        "Count the lines in {file}.",
        "What is the number of lines in {file}?",
        "How many lines are in the text file?",
        "Tell me how many lines the file {file} contains.",
        "Read {file} and count its lines.",
        "How many lines of text does the attached file hold?",
    ),
    "words": (
        "How many words does {file} have?",
        "Count the words in {file}.",
        "What is the word count of {file}?",
        "How many words are in the text file?",
        "Tell me the number of words in {file}.",
        "Read {file} and count all its words.",
        "How many words long is the attached text?",
    ),
    "letters": (
        "How many characters does {file} have?",
        "Count the characters in {file}.",
        "How many characters long is the text in {file}?",
        "What is the number of characters in the file?",
        "Read {file} and count its characters.",
    ),
    "occurs": (
        'How often does the word "{word}" occur in {file}?',
        'How many times does "{word}" appear in {file}?',
        'Count how often "{word}" occurs in the text.',
        "How often is the word {word} used in {file}?",
        'Count the occurrences of "{word}" in {file}.',
        'In {file}, how many times is the word "{word}" used?',
        "Read {file} and tell me how often {word} appears.",
        "How many times can the word {word} be found in the attached file?",
    ),
    "first": (
        "What is the first line of {file}?",
        "Show the first line of {file}.",
        "Give me the first line in the text file.",
        "Read {file} and return its first line.",
        "What does the first line of the file say?",
        "How does {file} begin? Give its first line.",
    ),
    "last": (
        "What is the last line of {file}?",
        "Show the last line of {file}.",
        "Give me the last line in the text file.",
        "Read {file} and return its last line.",
        "What does the last line of the file say?",
        "How does {file} end? Give its last line.",
    ),
    "nth": (
        "What is line {n} of {file}?",
        "Show line {n} of {file}.",
        "What does line {n} in the file say?",
        "Read {file} and return line number {n}.",
        "Give me line {n} of the text file.",
        "Tell me what line {n} of {file} says.",
        "Print line {n} of the file.",
        "What does line {n} of {file} say?",
        "What does line {n} say in the file?",
        "Show me line {n} of {file}.",
        "Show line number {n} of {file}.",
    ),
    "find": (
        'Which line of {file} contains "{word}"?',
        'Find the line in {file} that contains the word "{word}".',
        'Show the line with "{word}" in {file}.',
        "Which line mentions {word}?",
        "What does the file say about {word}? Give me the line.",
        "What does {file} say about {word}? Show the line.",
        'Search {file} for the line that contains "{word}".',
        'Search the file for the line that has "{word}" in it.',
        "What does {file} say about {word}? Give the line.",
        'Search {file} for the line that has "{word}" in it.',
        "Give me the line that contains {word}.",
        "Look in {file} for the line with the word {word}.",
    ),
    "with": (
        'How many lines of {file} contain "{word}"?',
        'Count the lines in {file} that contain the word "{word}".',
        'In how many lines does "{word}" appear?',
        "How many lines mention {word} in {file}?",
        "Count the lines with {word} in the file.",
    ),
    "longest": (
        "What is the longest line in {file}?",
        "Show the longest line of {file}.",
        "Which line of the file is the longest?",
        "Find the longest line in the text.",
        "Read {file} and return its longest line.",
        "Give me the longest line of the text file.",
        "What does the longest line of {file} say?",
        "Tell me the longest line in {file}.",
    ),
    "sum": (
        "What is the sum of the numbers in {file}?",
        "Add up all the numbers in {file}.",
        "Sum the numbers in the text file.",
        "What do the numbers in {file} add up to?",
        "Find all numbers in {file} and give their sum.",
        "Read {file} and total the numbers in it.",
        "How much do all numbers of the file make together?",
    ),
}
TEMPLATES: dict[str, Templates] = {"text_file": _TEXT}
_WORDINGS = Wordings("text_file", _TEXT)


@dataclass(frozen=True)
class TextQuestion:
    """`lines` are the code once the file is in `text`."""

    content: str
    slots: dict[str, str]
    thinking: str
    lines: tuple[str, ...]
    expect: Expect


def text_stem(rng: random.Random) -> str:
    """A text file's name without its extension."""
    name = rng.choice(data.STEMS) if rng.random() < 0.75 else made_up(rng)
    return name + rng.choice(("", "", "", "", "_2024", "1", "2", "_old", "-may"))


def _sentence(rng: random.Random) -> str:
    line = (
        f"{rng.choice(data.SUBJECTS)} {rng.choice(data.VERBS)} {rng.choice(data.OBJECTS)}"
        f" {rng.choice(data.ENDINGS)}"
    )
    return line[0].upper() + line[1:]


def _prose(rng: random.Random) -> list[str]:
    style = rng.random()
    if style < 0.5:
        return [_sentence(rng) + "." for _ in range(rng.randint(3, 14))]
    if style < 0.75:
        return [f"- {_sentence(rng)}" for _ in range(rng.randint(3, 14))]
    return [
        " ".join(rng.choices(data.WORDS, k=rng.randint(2, 9))) for _ in range(rng.randint(3, 14))
    ]


def _found(word: str, text: str) -> int:
    return len(re.findall(rf"\b{word}\b", text, re.I))


def _word(rng: random.Random, lines: list[str]) -> str:
    return rng.choice([w for w in re.findall(r"[a-z]+", " ".join(lines).lower()) if len(w) > 2])


def _simple(
    thinking: str, code: str, result: Callable[[list[str]], int | str]
) -> Callable[[random.Random], TextQuestion]:
    def question(rng: random.Random) -> TextQuestion:
        lines = _prose(rng)
        value = result(lines)
        return TextQuestion(
            "\n".join(lines),
            {},
            thinking,
            (f"final_answer({code})",),
            Expect("text" if isinstance(value, str) else "number", value),
        )

    return question


def _nth(rng: random.Random) -> TextQuestion:
    lines = _prose(rng)
    n = rng.randint(2, len(lines))
    return TextQuestion(
        "\n".join(lines),
        {"n": str(n)},
        f"Line {n} has index {n - 1}.",
        (f"final_answer(text.splitlines()[{n - 1}])",),
        Expect("text", lines[n - 1]),
    )


def _longest(rng: random.Random) -> TextQuestion:
    while True:
        lines = _prose(rng)
        order = sorted(map(len, lines))
        if order[-1] > order[-2]:
            break
    return TextQuestion(
        "\n".join(lines),
        {},
        "I take the longest line.",
        ("final_answer(max(text.splitlines(), key=len))",),
        Expect("text", max(lines, key=len)),
    )


def _occurs(rng: random.Random) -> TextQuestion:
    lines = _prose(rng)
    word = _word(rng, lines)
    return TextQuestion(
        "\n".join(lines),
        {"word": word},
        f"I count the word {word}, in upper and lower case.",
        ('words = re.findall(r"\\w+", text.lower())', f'final_answer(words.count("{word}"))'),
        Expect("number", _found(word, "\n".join(lines))),
    )


def _find(rng: random.Random) -> TextQuestion:
    while True:
        lines = _prose(rng)
        word = _word(rng, lines)
        hits = [line for line in lines if word in line.lower()]
        if len(hits) == 1:
            break
    return TextQuestion(
        "\n".join(lines),
        {"word": word},
        f"I take the line that contains {word}.",
        (
            f'lines = [line for line in text.splitlines() if "{word}" in line.lower()]',
            "final_answer(lines[0])",
        ),
        Expect("text", hits[0]),
    )


def _with(rng: random.Random) -> TextQuestion:
    while True:
        lines = _prose(rng)
        word = _word(rng, lines)
        whole = [line for line in lines if _found(word, line)]
        if len(whole) == sum(word in line.lower() for line in lines):
            break
    return TextQuestion(
        "\n".join(lines),
        {"word": word},
        f"I count the lines that contain {word}.",
        (
            f'lines = [line for line in text.splitlines() if "{word}" in line.lower()]',
            "final_answer(len(lines))",
        ),
        Expect("number", len(whole)),
    )


def _sum(rng: random.Random) -> TextQuestion:
    decimals = rng.choice((0, 0, 1, 2))
    cents = [rng.randint(1, 900 if decimals == 0 else 9000) for _ in range(rng.randint(3, 12))]
    shown = [f"{value / 10**decimals:.{decimals}f}" for value in cents]
    form = rng.choice(
        (
            "{good} {value}",
            "{good}: {value}",
            "{value}",
            "{value} for {good}",
            "- {good} {value}",
            "paid {value} for {good}",
        )
    )
    text = "\n".join(form.format(good=rng.choice(data.GOODS), value=v) for v in shown)
    return TextQuestion(
        text,
        {},
        "I find all numbers and add them up.",
        (
            'numbers = [float(n) for n in re.findall(r"[0-9.]+", text)]',
            "final_answer(round(sum(numbers), 4))",
        ),
        Expect("number", sum(cents) / 10**decimals, 1e-4),
    )


QUESTIONS: dict[str, Callable[[random.Random], TextQuestion]] = {
    "lines": _simple("I count the lines.", "len(text.splitlines())", len),
    "words": _simple(
        "I count the words.", "len(text.split())", lambda lines: len(" ".join(lines).split())
    ),
    "letters": _simple("I count the characters.", "len(text)", lambda lines: len("\n".join(lines))),
    "first": _simple("I take the first line.", "text.splitlines()[0]", lambda lines: lines[0]),
    "last": _simple("I take the last line.", "text.splitlines()[-1]", lambda lines: lines[-1]),
    "nth": _nth,
    "longest": _longest,
    "occurs": _occurs,
    "find": _find,
    "with": _with,
    "sum": _sum,
}


def text_code(file: str, lines: tuple[str, ...], opener: str = "read_file") -> str:
    """Code that reads a text file into `text`, and what follows."""
    reading = (
        f'text = read_file("{file}")' if opener == "read_file" else f'text = open("{file}").read()'
    )
    imports = ("import re",) if any("re." in line for line in lines) else ()
    return "\n".join((*imports, reading, *lines))


def _text_file(rng: random.Random, phrasings: Phrasings) -> Example:
    kind, template = _WORDINGS.pick(rng, phrasings)
    question = QUESTIONS[kind](rng)
    file = text_stem(rng) + rng.choice((".txt", ".txt", ".md"))
    files = [(file, question.content.encode())]
    other = text_stem(rng) + rng.choice((".txt", ".md"))
    if "{file}" in template and other != file and rng.random() < 0.12:
        files.append((other, "\n".join(_prose(rng)).encode()))
        rng.shuffle(files)
    return Example(
        family="text_file",
        phrasing=template,
        expect=question.expect,
        task=vary(rng, template.format(file=file, **question.slots)),
        steps=[Step(question.thinking, text_code(file, question.lines))],
        files=dict(files),
    )


FAMILIES: dict[str, Family] = {"text_file": _text_file}
