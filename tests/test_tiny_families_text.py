"""The families on text, search, memory and refusal: every example must be right as it stands."""

import random
import time
from datetime import date

import pytest

from memory.notes import Notes, format_hits
from serving.tiny.example import Example
from serving.tiny.families import knowledge, refusal, text
from serving.tiny.families.remember_facts import third_person
from serving.tiny.families.words import WORDS
from serving.tiny.phrasings import Phrasings, flatten, is_held_out
from tools.remember import PROPOSED, Remember
from tools.web_search import SearchResult, format_results

MODULES = (text, knowledge, refusal)
FAMILIES = {name: family for module in MODULES for name, family in module.FAMILIES.items()}
TEMPLATES = {name: table for module in MODULES for name, table in module.TEMPLATES.items()}
SEARCHING = ("web_search", "notes_search", "recall")
SIDES = [pytest.param(False, id="seen"), pytest.param(True, id="held_out")]
MAX_TASK_WORDS = 48


def examples(name: str, held_out: bool, count: int, seed: int = 7) -> list[Example]:
    rng, phrasings = random.Random(seed), Phrasings(held_out)
    return [FAMILIES[name](rng, phrasings) for _ in range(count)]


class World:
    """The tools of an example, over its own pages and notes."""

    def __init__(self, example: Example, folder) -> None:
        self.example = example
        self.notes = Notes(folder, today=lambda: date(2026, 3, 1))
        self.printed: list[str] = []
        self.answer = None
        folder.mkdir()
        for name, content in example.notes.items():
            (folder / name).write_text(content, encoding="utf-8")

    def web_search(self, query: str) -> str:
        pages = [SearchResult(p.title, p.address, p.snippet) for p in self.example.web]
        return format_results(query, pages)

    def search_notes(self, query: str) -> str:
        return format_hits(query, self.notes.search(query))

    def final_answer(self, answer) -> None:
        self.answer = answer

    def run(self, code: str) -> str:
        self.printed = []
        names = {
            "print": lambda text: self.printed.append(text),
            "web_search": self.web_search,
            "search_notes": self.search_notes,
            "remember": Remember(self.notes.propose).forward,
            "final_answer": self.final_answer,
        }
        exec(code, names)
        return "\n".join(self.printed)


@pytest.mark.parametrize("held_out", SIDES)
@pytest.mark.parametrize("name", FAMILIES)
def test_the_steps_give_the_expected_value(name: str, held_out: bool, tmp_path) -> None:
    for number, example in enumerate(examples(name, held_out, 60)):
        world = World(example, tmp_path / str(number))
        assert example.family == name
        assert is_held_out(name, example.phrasing) == held_out
        observation = ""
        for step in example.steps[:-1]:
            observation = world.run(step.code)
            assert world.answer is None
        world.run(example.steps[-1].code)
        answer = world.answer
        if name == "remember":  # the tool adds what the user has to do
            answer = str(answer).removesuffix(f" ({PROPOSED})")
        assert answer == example.expect.value, example.task
        if name in SEARCHING and (example.web or example.notes):
            assert str(example.expect.value) in observation, example.task
            mark = ": " if name == "web_search" else " say: "
            _, _, found = example.steps[1].thinking.partition(mark)
            assert found and found in observation


@pytest.mark.parametrize("name", ["notes_search", "recall"])
def test_the_line_with_the_answer_is_found_first(name: str, tmp_path) -> None:
    first, total = 0, 300
    for number, example in enumerate(examples(name, False, total, seed=3)):
        if not example.notes:
            total -= 1
            continue
        observation = World(example, tmp_path / str(number)).run(example.steps[0].code)
        found = example.steps[1].thinking.partition(" say: ")[2]
        assert found in observation, (example.task, observation)
        first += found in observation.splitlines()[0]
    assert first / total > 0.9


@pytest.mark.parametrize("held_out", SIDES)
def test_the_web_says_nothing_else_in_answer_to_the_question(held_out: bool) -> None:
    for example in examples("web_search", held_out, 400):
        if example.web:
            query, _, found = example.steps[1].thinking.partition(": ")
            assert example.steps[0].code == f"print(web_search({query!r}))".replace("'", '"')
            subject = query.split()[0]
            sentences = [s for page in example.web for s in page.snippet.split(". ")]
            assert any(found in s and subject in s for s in sentences)
            assert len(example.web) <= 4


@pytest.mark.parametrize("name", FAMILIES)
def test_templates_are_many_distinct_and_partly_held_out(name: str) -> None:
    table = flatten(TEMPLATES[name])
    assert len(table) >= (150 if name == "refusal" else 45)
    assert len({template.casefold() for template in table}) == len(table)
    held_out = [template for template in table if is_held_out(name, template)]
    assert 4 <= len(held_out) <= len(table) / 3


def test_no_two_families_share_a_wording() -> None:
    seen: dict[str, str] = {}
    for name, table in TEMPLATES.items():
        for template in flatten(table):
            assert seen.setdefault(template, name) == name, template


@pytest.mark.parametrize("name", FAMILIES)
def test_a_seed_gives_the_same_examples_again(name: str) -> None:
    assert examples(name, False, 30) == examples(name, False, 30)
    assert examples(name, False, 30) != examples(name, False, 30, seed=8)


@pytest.mark.parametrize("name", FAMILIES)
def test_instances_are_many(name: str) -> None:
    count = 4000
    tasks = {example.task for example in examples(name, False, count)}
    # Recall asks in few words; its notes make the difference.
    whole = {str(example.to_dict()) for example in examples(name, False, count)}
    assert len(whole) > 0.9 * count or name == "refusal"
    assert len(tasks) > (500 if name == "recall" else 0.6 * count)


@pytest.mark.parametrize("name", FAMILIES)
def test_tasks_are_short_and_wholly_filled_in(name: str) -> None:
    for held_out in (False, True):
        for example in examples(name, held_out, 1000):
            assert len(example.task.split()) <= MAX_TASK_WORDS, example.task
            code = "".join(step.code for step in example.steps)
            for part in (example.task, code, *example.notes.values()):
                assert "{" not in part and "}" not in part, part
            assert len(example.steps) == (2 if name in SEARCHING else 1)
            assert example.expect.kind != "refusal" or name == "refusal"


def test_texts_are_copied_as_the_task_quotes_them() -> None:
    for name in ("text_reverse", "text_case", "palindrome", "anagram"):
        for example in examples(name, False, 500):
            quoted = example.steps[0].code.splitlines()[0].partition(" = ")[2]
            assert quoted[1:-1] in example.task


def test_every_word_class_is_there() -> None:
    assert len(WORDS) >= 1500
    assert all(word.isalpha() and word.islower() for word in WORDS)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("my dentist is Dr. Zemla", "The user's dentist is Dr. Zemla"),
        ("I am allergic to figs", "The user is allergic to figs"),
        ("I'm from Oslo", "The user is from Oslo"),
        ("I like figs", "The user likes figs"),
        ("I don't eat figs", "The user doesn't eat figs"),
        ("I keep my keys in the shed", "The user keeps their keys in the shed"),
        ("Ida owes me 5 euros", "Ida owes the user 5 euros"),
        ("the bins are collected on Monday", "The bins are collected on Monday"),
    ],
)
def test_a_fact_is_kept_in_the_third_person(said: str, kept: str) -> None:
    assert third_person(said) == kept


def test_refusals_point_to_a_stronger_model() -> None:
    example = examples("refusal", False, 1)[0]
    assert "HEARTH_MODEL" in example.expect.value
    assert len({e.steps[0].code for e in examples("refusal", True, 200)}) == 1


def test_making_examples_is_fast() -> None:
    for name in FAMILIES:
        start = time.process_time()
        examples(name, False, 500)
        assert 500 / (time.process_time() - start) > 1000, name
