"""Questions about one table: the words for the task, the pandas code, and the right answer.

The answer is computed here in plain Python, never with the code that the model learns.
"""

from __future__ import annotations

import math
import operator
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from serving.tiny.example import Expect
from serving.tiny.families.table_maker import Column, Table, make_table, plural, say
from serving.tiny.families.wordings import COMPARISONS, STATS, stat_words

ROUNDING = 2e-4
"""How far two correct answers rounded to four places may lie apart."""


@dataclass(frozen=True)
class Question:
    """`slots` fill the template; `lines` are the code once `df` is read; `used` are its columns."""

    table: Table
    slots: dict[str, str]
    thinking: str
    lines: tuple[str, ...]
    expect: Expect
    used: tuple[Column, ...]


def compute(stat: str, values: Sequence[float]) -> float:
    """A statistic as the answer must show it: rounded to four places."""
    if stat == "sum":
        # Whole numbers stay whole, as they do in pandas.
        exact = all(isinstance(value, int) for value in values)
        return sum(values) if exact else round(math.fsum(values), 4)
    if stat == "mean":
        return round(math.fsum(values) / len(values), 4)
    if stat == "median":
        return round(statistics.median(values), 4)
    return max(values) if stat == "max" else min(values)


def number(value: float) -> Expect:
    """The expected number, with the tolerance for rounding."""
    return Expect("number", value, ROUNDING)


def rounded(expression: str) -> str:
    """The last line of code for a pandas number: rounded, as a plain Python number."""
    return f"final_answer(round({expression}.item(), 4))"


def stat(rng: random.Random, only: str | None = None, **options: Any) -> Question:
    """A statistic of one column."""
    table = make_table(rng, **options)
    column = rng.choice(table.of("number"))
    name = only or rng.choices(list(STATS), (4, 4, 3, 3, 2))[0]
    method = STATS[name][2]
    return Question(
        table,
        {"col": say(rng, column), **stat_words(rng, name)},
        f"The column is {column.name}. I take its {method}.",
        (rounded(f'df["{column.name}"].{method}()'),),
        number(compute(name, column.values)),
        (column,),
    )


def count(rng: random.Random, **options: Any) -> Question:
    """How many values a column has."""
    table = make_table(rng, **options)
    column = rng.choice(table.columns)
    return Question(
        table,
        {"col": say(rng, column)},
        f"The column is {column.name}. I count its values.",
        (f'final_answer(int(df["{column.name}"].count()))',),
        Expect("number", table.size),
        (column,),
    )


def distinct(rng: random.Random, **options: Any) -> Question:
    """How many different values a text column has."""
    table = make_table(rng, categories=1, number_columns=0, **options)
    column = rng.choice(table.of("category"))
    return Question(
        table,
        {"cat": say(rng, column)},
        f"The column is {column.name}. I count its different values.",
        (f'final_answer(int(df["{column.name}"].nunique()))',),
        Expect("number", len(set(column.values))),
        (column,),
    )


def entities(table: Table) -> dict[str, str]:
    """The slots {entity} and {entities}: what a row is called."""
    found = table.of("entity")
    words = found[0].words if found else "row"
    return {"entity": words, "entities": plural(words)}


def _where_text(rng: random.Random, table: Table, rows: int | None = None) -> tuple[Column, str]:
    """A text column and one of its values; among the first `rows` rows where that is given."""
    column = rng.choice(table.of("category"))
    return column, rng.choice(column.values[:rows])


def count_text(rng: random.Random, **options: Any) -> Question:
    """How many rows have a given text value."""
    table = make_table(rng, categories=1, number_columns=0, **options)
    column, value = _where_text(rng, table)
    return Question(
        table,
        {"cat": say(rng, column), "value": value, **entities(table)},
        f"I keep the rows where {column.name} is {value} and count them.",
        (f'rows = df[df["{column.name}"] == "{value}"]', "final_answer(len(rows))"),
        Expect("number", column.values.count(value)),
        (column,),
    )


def stat_text(rng: random.Random, **options: Any) -> Question:
    """A statistic of the rows with a given text value."""
    options = {"categories": 1, "number_columns": 1, **options}
    table = make_table(rng, **options)
    where, value = _where_text(rng, table, None if table.of("entity") else 3)
    column = rng.choice(table.of("number"))
    name = rng.choices(list(STATS), (4, 4, 2, 2, 0))[0]
    method = STATS[name][2]
    chosen = [v for v, g in zip(column.values, where.values, strict=True) if g == value]
    return Question(
        table,
        {
            "cat": say(rng, where),
            "value": value,
            "col": say(rng, column),
            **entities(table),
            **stat_words(rng, name),
        },
        f"I keep the rows where {where.name} is {value} and take the {method} of {column.name}.",
        (
            f'rows = df[df["{where.name}"] == "{value}"]',
            rounded(f'rows["{column.name}"].{method}()'),
        ),
        number(compute(name, chosen)),
        (where, column),
    )


def stat_value(rng: random.Random, **options: Any) -> Question:
    """As stat_text, on a table with a single text column, so that the value alone says enough."""
    return stat_text(rng, entity=False, extras=False, number_columns=rng.randint(1, 3), **options)


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}


def _passing(
    rng: random.Random, options: dict[str, Any]
) -> tuple[Table, Column, str, Any, list[int]]:
    """(table, column, comparison, limit, rows that pass); some rows pass and some don't."""
    while True:
        table = make_table(rng, **options)
        column = rng.choice(table.of("number"))
        sign = rng.choices(list(COMPARISONS), (4, 4, 1, 1))[0]
        limit = rng.choice(column.values)
        if rng.random() < 0.5:
            limit = round(limit if rng.random() < 0.6 else limit * rng.uniform(0.8, 1.2), 1)
            limit = int(limit) if limit == int(limit) or rng.random() < 0.5 else limit
        passes = [n for n, v in enumerate(column.values) if _COMPARE[sign](v, limit)]
        if 0 < len(passes) < table.size:
            return table, column, sign, limit, passes


def _compared(rng: random.Random, by: Column, sign: str, limit: Any) -> dict[str, str]:
    return {"by": say(rng, by), "cmp": rng.choice(COMPARISONS[sign]), "x": str(limit)}


def count_number(rng: random.Random, **options: Any) -> Question:
    """How many rows pass a comparison."""
    table, by, sign, limit, passes = _passing(rng, options)
    return Question(
        table,
        {**_compared(rng, by, sign, limit), **entities(table)},
        f"I keep the rows where {by.name} {sign} {limit} and count them.",
        (f'rows = df[df["{by.name}"] {sign} {limit}]', "final_answer(len(rows))"),
        Expect("number", len(passes)),
        (by,),
    )


def stat_number(rng: random.Random, **options: Any) -> Question:
    """A statistic of the rows that pass a comparison."""
    table, by, sign, limit, passes = _passing(rng, {"number_columns": 2, **options})
    others = [c for c in table.of("number") if c is not by]
    column = rng.choice(others)
    name = rng.choices(list(STATS), (4, 4, 1, 1, 0))[0]
    method = STATS[name][2]
    return Question(
        table,
        {
            **_compared(rng, by, sign, limit),
            "col": say(rng, column),
            **entities(table),
            **stat_words(rng, name),
        },
        f"I keep the rows where {by.name} {sign} {limit} and take the {method} of {column.name}.",
        (
            f'rows = df[df["{by.name}"] {sign} {limit}]',
            rounded(f'rows["{column.name}"].{method}()'),
        ),
        number(compute(name, [column.values[n] for n in passes])),
        (by, column),
    )


def names_text(rng: random.Random, **options: Any) -> Question:
    """The names of the rows that have a given text value."""
    table = make_table(rng, categories=1, number_columns=0, **options)
    (where, value), entity = _where_text(rng, table), table.of("entity")[0]
    names = [n for n, v in zip(entity.values, where.values, strict=True) if v == value]
    return Question(
        table,
        {"cat": say(rng, where), "value": value, **entities(table)},
        f"I keep the rows where {where.name} is {value} and list their {entity.name}.",
        (
            f'rows = df[df["{where.name}"] == "{value}"]',
            f'final_answer(rows["{entity.name}"].tolist())',
        ),
        Expect("list", names),
        (where, entity),
    )


def names_number(rng: random.Random, **options: Any) -> Question:
    """The names of the rows that pass a comparison."""
    table, by, sign, limit, passes = _passing(rng, options)
    entity = table.of("entity")[0]
    return Question(
        table,
        {**_compared(rng, by, sign, limit), **entities(table)},
        f"I keep the rows where {by.name} {sign} {limit} and list their {entity.name}.",
        (
            f'rows = df[df["{by.name}"] {sign} {limit}]',
            f'final_answer(rows["{entity.name}"].tolist())',
        ),
        Expect("list", [entity.values[n] for n in passes]),
        (by, entity),
    )


def lookup(rng: random.Random, **options: Any) -> Question:
    """One cell: a column of the row with a given name."""
    table = make_table(rng, **options)
    entity = table.of("entity")[0]
    column = rng.choice([c for c in table.columns if c is not entity])
    row = rng.randrange(table.size)
    value, found = entity.values[row], column.values[row]
    return Question(
        table,
        {"col": say(rng, column), "value": value, **entities(table)},
        f"I take the row where {entity.name} is {value} and give its {column.name}.",
        (
            f'rows = df[df["{entity.name}"] == "{value}"]',
            f'final_answer(rows["{column.name}"].tolist()[0])',
        ),
        Expect("text", found) if isinstance(found, str) else number(found),
        (entity, column),
    )
