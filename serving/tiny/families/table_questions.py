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
from serving.tiny.families.wordings import COMPARISONS, STATS, count_word, stat_words

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


def groups_of(category: Column, values: Sequence[Any]) -> dict[str, list[Any]]:
    """The values by group, groups in sorted order, as pandas gives them."""
    found: dict[str, list[Any]] = {group: [] for group in sorted(set(category.values))}
    for group, value in zip(category.values, values, strict=True):
        found[group].append(value)
    return found


def stat(rng: random.Random, only: str | None = None, **options: Any) -> Question:
    """A statistic of one column."""
    table = make_table(rng, **options)
    column = rng.choice(table.of("number"))
    name = only or rng.choices(list(STATS), (4, 4, 3, 3, 2))[0]
    method = STATS[name][2]
    return Question(
        table, {"col": say(rng, column), **stat_words(rng, name)},
        f"The column is {column.name}. I take its {method}.",
        (rounded(f'df["{column.name}"].{method}()'),),
        number(compute(name, column.values)), (column,),
    )


def count(rng: random.Random, **options: Any) -> Question:
    """How many values a column has."""
    table = make_table(rng, **options)
    column = rng.choice(table.columns)
    return Question(
        table, {"col": say(rng, column)}, f"The column is {column.name}. I count its values.",
        (f'final_answer(int(df["{column.name}"].count()))',),
        Expect("number", table.size), (column,),
    )


def distinct(rng: random.Random, **options: Any) -> Question:
    """How many different values a text column has."""
    table = make_table(rng, categories=1, number_columns=0, **options)
    column = rng.choice(table.of("category"))
    return Question(
        table, {"cat": say(rng, column)},
        f"The column is {column.name}. I count its different values.",
        (f'final_answer(int(df["{column.name}"].nunique()))',),
        Expect("number", len(set(column.values))), (column,),
    )


def _entities(table: Table) -> dict[str, str]:
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
        table, {"cat": say(rng, column), "value": value, **_entities(table)},
        f"I keep the rows where {column.name} is {value} and count them.",
        (f'rows = df[df["{column.name}"] == "{value}"]', "final_answer(len(rows))"),
        Expect("number", column.values.count(value)), (column,),
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
        {"cat": say(rng, where), "value": value, "col": say(rng, column),
         **_entities(table), **stat_words(rng, name)},
        f"I keep the rows where {where.name} is {value} and take the {method} of {column.name}.",
        (f'rows = df[df["{where.name}"] == "{value}"]',
         rounded(f'rows["{column.name}"].{method}()')),
        number(compute(name, chosen)), (where, column),
    )


def stat_value(rng: random.Random, **options: Any) -> Question:
    """As stat_text, on a table with a single text column, so that the value alone says enough."""
    return stat_text(rng, entity=False, extras=False, number_columns=rng.randint(1, 3), **options)


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le,
}


def _where_number(rng: random.Random, table: Table) -> tuple[Column, str, Any, list[int]] | None:
    """(column, comparison, limit, rows that pass); None when no or all rows pass."""
    column = rng.choice(table.of("number"))
    sign = rng.choices(list(COMPARISONS), (4, 4, 1, 1))[0]
    limit = rng.choice(column.values)
    if rng.random() < 0.5:
        limit = round(limit) if rng.random() < 0.6 else round(limit * rng.uniform(0.8, 1.2), 1)
        limit = int(limit) if limit == int(limit) else limit
    passes = [n for n, v in enumerate(column.values) if _COMPARE[sign](v, limit)]
    return (column, sign, limit, passes) if 0 < len(passes) < table.size else None


def _compared(rng: random.Random, by: Column, sign: str, limit: Any) -> dict[str, str]:
    return {"by": say(rng, by), "cmp": rng.choice(COMPARISONS[sign]), "x": str(limit)}


def count_number(rng: random.Random, **options: Any) -> Question:
    """How many rows pass a comparison."""
    while True:
        table = make_table(rng, **options)
        found = _where_number(rng, table)
        if found:
            break
    by, sign, limit, passes = found
    return Question(
        table, {**_compared(rng, by, sign, limit), **_entities(table)},
        f"I keep the rows where {by.name} {sign} {limit} and count them.",
        (f'rows = df[df["{by.name}"] {sign} {limit}]', "final_answer(len(rows))"),
        Expect("number", len(passes)), (by,),
    )


def stat_number(rng: random.Random, **options: Any) -> Question:
    """A statistic of the rows that pass a comparison."""
    while True:
        table = make_table(rng, number_columns=2, **options)
        found = _where_number(rng, table)
        if found:
            break
    by, sign, limit, passes = found
    others = [c for c in table.of("number") if c is not by]
    column = rng.choice(others)
    name = rng.choices(list(STATS), (4, 4, 1, 1, 0))[0]
    method = STATS[name][2]
    return Question(
        table,
        {**_compared(rng, by, sign, limit), "col": say(rng, column), **_entities(table),
         **stat_words(rng, name)},
        f"I keep the rows where {by.name} {sign} {limit} and take the {method} of {column.name}.",
        (f'rows = df[df["{by.name}"] {sign} {limit}]', rounded(f'rows["{column.name}"].{method}()')),
        number(compute(name, [column.values[n] for n in passes])), (by, column),
    )


BEST = {
    "highest": ("highest", "highest", "largest", "biggest", "greatest"),
    "lowest": ("lowest", "lowest", "smallest"),
}


def which(rng: random.Random, **options: Any) -> Question:
    """Which group has the highest or lowest sum or mean."""
    best = rng.choice(list(BEST))
    name = rng.choice(("sum", "mean"))
    while True:
        table = make_table(rng, categories=1, number_columns=1, **options)
        by, column = rng.choice(table.of("category")), rng.choice(table.of("number"))
        results = {g: compute(name, v) for g, v in groups_of(by, column.values).items()}
        order = sorted(results, key=results.__getitem__, reverse=best == "highest")
        if len(order) > 1 and abs(results[order[0]] - results[order[1]]) > 0.01:
            break
    return Question(
        table,
        {"cat": say(rng, by), "col": say(rng, column), "best": rng.choice(BEST[best]),
         **stat_words(rng, name)},
        f"I group by {by.name}, take the {name} of {column.name} and pick the {best}.",
        (f'groups = df.groupby("{by.name}")["{column.name}"].{name}()',
         f"final_answer(groups.{'idxmax' if best == 'highest' else 'idxmin'}())"),
        Expect("text", order[0]), (by, column),
    )


def _grouped(rng: random.Random, options: dict[str, Any]) -> tuple[Table, Column, Column, str, str]:
    table = make_table(rng, categories=1, number_columns=1, **options)
    by, column = rng.choice(table.of("category")), rng.choice(table.of("number"))
    name = rng.choices(("sum", "mean", "max", "min"), (4, 4, 1, 1))[0]
    return table, by, column, name, f'groups = df.groupby("{by.name}")["{column.name}"].{name}()'


def one_group(rng: random.Random, **options: Any) -> Question:
    """The statistic of one group among all."""
    table, by, column, name, line = _grouped(rng, options)
    value = rng.choice(by.values)
    return Question(
        table,
        {"cat": say(rng, by), "col": say(rng, column), "value": value, **stat_words(rng, name)},
        f"I group by {by.name}, take the {name} of {column.name} and look up {value}.",
        (line, rounded(f'groups["{value}"]')),
        number(compute(name, groups_of(by, column.values)[value])), (by, column),
    )


def each_group(rng: random.Random, **options: Any) -> Question:
    """The statistic of every group, as a dictionary."""
    table, by, column, name, line = _grouped(rng, options)
    results = {g: compute(name, v) for g, v in groups_of(by, column.values).items()}
    return Question(
        table, {"cat": say(rng, by), "col": say(rng, column), **stat_words(rng, name)},
        f"I group by {by.name} and take the {name} of {column.name} for each.",
        (line, "final_answer(groups.round(4).to_dict())"),
        Expect("text", str(results)), (by, column),
    )


def most(rng: random.Random, **options: Any) -> Question:
    """The most frequent value of a text column."""
    while True:
        table = make_table(rng, categories=1, number_columns=0, **options)
        by = rng.choice(table.of("category"))
        sizes = {g: len(v) for g, v in groups_of(by, by.values).items()}
        order = sorted(sizes, key=sizes.__getitem__, reverse=True)
        if len(order) > 1 and sizes[order[0]] > sizes[order[1]]:
            break
    return Question(
        table, {"cat": say(rng, by)}, f"I group by {by.name} and find the largest group.",
        (f'groups = df.groupby("{by.name}").size()', "final_answer(groups.idxmax())"),
        Expect("text", order[0]), (by,),
    )


def sizes(rng: random.Random, **options: Any) -> Question:
    """How many rows each group has, as a dictionary."""
    table = make_table(rng, categories=1, number_columns=0, **options)
    by = rng.choice(table.of("category"))
    found = {g: len(v) for g, v in groups_of(by, by.values).items()}
    return Question(
        table, {"cat": say(rng, by), **_entities(table)},
        f"I group by {by.name} and count the rows of each.",
        (f'groups = df.groupby("{by.name}").size()', "final_answer(groups.to_dict())"),
        Expect("text", str(found)), (by,),
    )


def _ranked(rng: random.Random, n: int, best: str, options: dict[str, Any]) -> tuple[
        Table, Column, Column, list[Any]]:
    """A table whose first n + 1 rows by a column don't tie; (table, entity, column, entities)."""
    while True:
        table = make_table(rng, number_columns=1, **options)
        entity, column = table.of("entity")[0], rng.choice(table.of("number"))
        pairs = sorted(zip(column.values, entity.values, strict=True), reverse=best == "highest")
        head = [value for value, _ in pairs[: n + 1]]
        if len(head) > n and len(set(head)) == len(head):
            return table, entity, column, [name for _, name in pairs[:n]]


def many(rng: random.Random, **options: Any) -> Question:
    """The n rows with the highest or lowest value, by name."""
    best, n = rng.choice(list(BEST)), rng.randint(2, 6)
    table, entity, column, names = _ranked(rng, n, best, {"rows": (n + 2, 40), **options})
    method = "nlargest" if best == "highest" else "nsmallest"
    return Question(
        table,
        {"col": say(rng, column), "n": count_word(rng, n), "best": rng.choice(BEST[best]),
         **_entities(table)},
        f"I take the {n} rows with the {best} {column.name} and list their {entity.name}.",
        (f'rows = df.{method}({n}, "{column.name}")',
         f'final_answer(rows["{entity.name}"].tolist())'),
        Expect("list", names), (column, entity),
    )


def one(rng: random.Random, **options: Any) -> Question:
    """The row with the highest or lowest value, by name."""
    best = rng.choice(list(BEST))
    table, entity, column, names = _ranked(rng, 1, best, options)
    method = "nlargest" if best == "highest" else "nsmallest"
    return Question(
        table,
        {"col": say(rng, column), "best": rng.choice(BEST[best]), **_entities(table)},
        f"I take the row with the {best} {column.name} and give its {entity.name}.",
        (f'rows = df.{method}(1, "{column.name}")', f'final_answer(rows["{entity.name}"].iloc[0])'),
        Expect("text", names[0]), (column, entity),
    )
