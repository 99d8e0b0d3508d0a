"""Recovery from an error: the first step is given and fails, the model has to do better."""

from __future__ import annotations

import random
from typing import Any

from serving.tiny.example import Example, Expect, Step
from serving.tiny.families import files as text
from serving.tiny.families import recovery_templates as wording
from serving.tiny.families import table_groups as groups
from serving.tiny.families import table_questions as ask
from serving.tiny.families.recovery_mistakes import MISTAKES
from serving.tiny.families.table_maker import STYLES, Column, Table, make_table, stem
from serving.tiny.families.tables import Asker, csv_code, look, with_others
from serving.tiny.families.wordings import Wordings
from serving.tiny.phrasings import Family, Phrasings, Templates, vary

TEMPLATES: dict[str, Templates] = {
    "recover_column": wording.COLUMN,
    "recover_missing_file": wording.MISSING_FILE,
    "recover_exception": wording.EXCEPTION,
}
_WORDINGS = {name: Wordings(name, table) for name, table in TEMPLATES.items()}  # type: ignore[arg-type]

# A column that isn't there.

_COLUMN: dict[str, Asker] = {
    "stat": ask.stat,
    "count_text": ask.count_text,
    "stat_text": ask.stat_text,
    "count_number": ask.count_number,
    "which": groups.which,
    "one": groups.one,
    "many": groups.many,
}


def _wrong_name(rng: random.Random, column: Column, table: Table) -> str:
    """How somebody who hasn't looked might spell the column; never a column of the table."""
    taken = {c.name for c in table.columns}
    parts = column.words.split()
    guesses = [style(column.words) for style in STYLES]
    guesses += [parts[-1], parts[0], parts[-1].title(), f"total_{parts[-1]}", f"{parts[0]}_value"]
    return rng.choice([guess for guess in guesses if guess not in taken])


def _recover_column(rng: random.Random, phrasings: Phrasings) -> Example:
    kind, template = _WORDINGS["recover_column"].pick(rng, phrasings)
    question = _COLUMN[kind](rng)
    column = rng.choice(question.used)
    wrong = _wrong_name(rng, column, question.table)
    lines = [line.replace(f'"{column.name}"', f'"{wrong}"') for line in question.lines]
    file = stem(rng, question.table.theme) + ".csv"
    find = Step(f"There is no column {wrong}. I look at the columns of {file}.", look(file).code)
    return Example(
        family="recover_column",
        phrasing=template,
        expect=question.expect,
        given=1,
        task=vary(rng, template.format(file=file, **question.slots)),
        steps=[
            Step("I compute it with pandas.", csv_code(file, *lines)),
            find,
            Step(question.thinking, csv_code(file, *question.lines)),
        ],
        files=with_others(rng, template, file, question.table.csv()),
    )


# A file that isn't there.


def _misspelt(rng: random.Random, name: str, taken: set[str]) -> str:
    """Another name for the file, one slip away; never one that exists, whatever the case."""
    base, _, ending = name.rpartition(".")
    at = rng.randrange(max(1, len(base) - 1))
    slips = [
        base[:at] + base[at + 1 :],
        base[:at] + base[at + 1 : at + 2] + base[at] + base[at + 2 :],
        base + "s",
        base + "_final",
        "my_" + base,
        base.replace("_", "-"),
        base.split("_")[0],
        base + base[-1],
    ]
    lower = {other.lower() for other in taken}
    wrong = [f"{slip}.{ending}" for slip in slips if slip]
    wrong.append(f"{base}.{'md' if ending == 'txt' else 'txt'}")
    return rng.choice([slip for slip in wrong if slip.lower() not in lower])


def _distractors(rng: random.Random, taken: str) -> dict[str, bytes]:
    if rng.random() < 0.6:
        return {}
    found = {}
    for _ in range(rng.randint(1, 2)):
        if rng.random() < 0.5:
            found[stem(rng) + ".csv"] = make_table(rng, rows=(5, 8)).csv()
        else:
            found[text.text_stem(rng) + ".txt"] = rng.choice(
                ("milk\nbread", "call home", "x = 1")
            ).encode()
    found.pop(taken, None)
    return found


_LIST_FILES = 'import os\nprint(os.listdir("."))'


def _missing_text(rng: random.Random, kind: str) -> tuple[str, bytes, dict[str, str], Any, Expect]:
    question = text.QUESTIONS[kind](rng)
    file = text.text_stem(rng) + rng.choice((".txt", ".txt", ".md"))
    opener = rng.choice(("read_file", "open"))

    def steps(wrong: str) -> list[Step]:
        return [
            Step("I read the file.", text.text_code(wrong, question.lines, opener)),
            Step(question.thinking, text.text_code(file, question.lines)),
        ]

    return file, question.content.encode(), question.slots, steps, question.expect


def _missing_table(rng: random.Random, kind: str) -> tuple[str, bytes, dict[str, str], Any, Expect]:
    question = {"stat": ask.stat, "rows": _rows, "one_row": groups.one}[kind](rng)
    file = stem(rng, question.table.theme) + ".csv"

    def steps(wrong: str) -> list[Step]:
        solve = Step(question.thinking, csv_code(file, *question.lines))
        if kind == "rows":
            return [Step(question.thinking, csv_code(wrong, *question.lines)), solve]
        return [look(wrong), look(file), solve]

    return file, question.table.csv(), question.slots, steps, question.expect


def _rows(rng: random.Random) -> ask.Question:
    table = make_table(rng)
    return ask.Question(
        table, {}, "I count the rows.", ("final_answer(len(df))",), Expect("number", table.size), ()
    )


def _recover_missing_file(rng: random.Random, phrasings: Phrasings) -> Example:
    kind, template = _WORDINGS["recover_missing_file"].pick(rng, phrasings)
    make = _missing_text if kind in text.QUESTIONS else _missing_table
    file, content, slots, make_steps, expect = make(rng, kind)
    files = [(file, content), *_distractors(rng, file).items()]
    rng.shuffle(files)
    wrong = _misspelt(rng, file, {name for name, _ in files})
    first, *rest = make_steps(wrong)
    rest[0] = Step(f"The file is {file}. {rest[0].thinking}", rest[0].code)
    listing = Step(f"There is no file {wrong}. I list the files that are here.", _LIST_FILES)
    return Example(
        family="recover_missing_file",
        phrasing=template,
        expect=expect,
        given=1,
        task=vary(rng, template.format(file=wrong, **slots)),
        steps=[first, listing, *rest],
        files=dict(files),
    )


# Any other exception.


def _recover_exception(rng: random.Random, phrasings: Phrasings) -> Example:
    kind, template = _WORDINGS["recover_exception"].pick(rng, phrasings)
    mistake = MISTAKES[kind](rng)
    return Example(
        family="recover_exception",
        phrasing=template,
        expect=mistake.expect,
        given=1,
        task=vary(rng, template.format(**mistake.slots)),
        steps=[
            Step("I write the code for it.", mistake.wrong),
            Step(mistake.thinking, mistake.right),
        ],
        files=mistake.files,
    )


FAMILIES: dict[str, Family] = {
    "recover_column": _recover_column,
    "recover_missing_file": _recover_missing_file,
    "recover_exception": _recover_exception,
}
