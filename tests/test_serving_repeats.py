"""Loops: noticed whatever they repeat, and nothing else is taken for one."""

import random

import pytest

from serving.repeats import TEXT, THINKING, Repeats, before_loop

WORDS = ("the", "sum", "of", "all", "numbers", "is", "not", "prime", "but", "could", "be", "again")


def prose(characters: int, seed: int = 1) -> str:
    chance = random.Random(seed)
    text = ""
    while len(text) < characters:
        text += f"{chance.choice(WORDS)} {chance.randint(0, 99)} "
    return text[:characters]


def noticed_after(text: str, size: int = 4, windows: object = THINKING) -> int | None:
    watch = Repeats(windows)  # type: ignore[arg-type]
    for start in range(0, len(text), size):
        if watch.feed(text[start : start + size]):
            return start
    return None


LOOPS = {
    "a digit": "0" * 20_000,
    "a word": " E E E E E" * 4_000,
    "Chinese": "描写" * 8_000,
    "emojis": "🌝, " * 6_000,
    "a sentence": "Wait, maybe I should check that again.\n" * 600,
    "a paragraph": (prose(900) + "\n\n") * 40,
    "a counter": "".join(
        f"Step {n}: the sum is still not 7, so I try again.\n" for n in range(900)
    ),
}


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("size", [1, 5, 700])
def test_a_loop_is_noticed(name: str, size: int) -> None:
    at = noticed_after(prose(3000) + LOOPS[name], size)
    assert at is not None
    assert at < 3000 + 16_000


def test_what_varies_is_no_loop() -> None:
    assert noticed_after(prose(200_000)) is None
    numbers = "".join(f"{n} times {n} is {n * n}. " for n in range(5000))
    assert noticed_after(numbers) is None
    table = "\n".join(",".join(str((a * b) % 97) for b in range(20)) for a in range(300))
    assert noticed_after(table) is None


def test_text_may_repeat_more_than_thinking() -> None:
    grid = f"grid = [{', '.join(['[' + '0, ' * 29 + '0]'] * 30)}]"
    assert noticed_after(grid, windows=TEXT) is None
    assert noticed_after(grid, windows=THINKING) is not None
    assert noticed_after("0" * 9000, windows=TEXT) is not None


@pytest.mark.parametrize("name", LOOPS)
def test_what_came_before_is_kept_and_one_round(name: str) -> None:
    before = prose(3000) + "So I know it is 42.\n"
    text = before + LOOPS[name]
    watch, at = Repeats(), 0
    while not watch.feed(text[at : at + 4]):
        at += 4
    kept = before_loop(text[: at + 4], watch.found)
    assert text.startswith(kept)
    assert len(kept) < at
    assert name == "a paragraph" or "So I know it is 42." in kept


def test_all_of_it_is_a_loop() -> None:
    assert before_loop("ha " * 800, 2048).startswith("ha")
    assert before_loop("", 0) == ""
