"""Questions on the groups of a table, and on its highest or lowest rows."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

from serving.tiny.example import Expect
from serving.tiny.families.table_maker import Column, Table, make_table, say
from serving.tiny.families.table_questions import Question, compute, entities, number, rounded
from serving.tiny.families.wordings import count_word, stat_words

BEST = {
    "highest": ("highest", "highest", "largest", "biggest", "greatest"),
    "lowest": ("lowest", "lowest", "smallest"),
}


def groups_of(category: Column, values: Sequence[Any]) -> dict[str, list[Any]]:
    """The values by group, groups in sorted order, as pandas gives them."""
    found: dict[str, list[Any]] = {group: [] for group in sorted(set(category.values))}
    for group, value in zip(category.values, values, strict=True):
        found[group].append(value)
    return found


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
        {
            "cat": say(rng, by),
            "col": say(rng, column),
            "best": rng.choice(BEST[best]),
            **stat_words(rng, name),
        },
        f"I group by {by.name}, take the {name} of {column.name} and pick the {best}.",
        (
            f'groups = df.groupby("{by.name}")["{column.name}"].{name}()',
            f"final_answer(groups.{'idxmax' if best == 'highest' else 'idxmin'}())",
        ),
        Expect("text", order[0]),
        (by, column),
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
        number(compute(name, groups_of(by, column.values)[value])),
        (by, column),
    )


def _halfway(values: Sequence[float]) -> bool:
    return abs(math.fsum(values) / len(values) * 1e4 % 1 - 0.5) < 1e-3


def each_group(rng: random.Random, **options: Any) -> Question:
    """The statistic of every group, as a dictionary."""
    while True:
        table, by, column, name, line = _grouped(rng, options)
        # A fifth digit of 5 may be rounded either way, and here the text is compared.
        if name != "mean" or not any(map(_halfway, groups_of(by, column.values).values())):
            break
    results = {g: compute(name, v) for g, v in groups_of(by, column.values).items()}
    return Question(
        table,
        {"cat": say(rng, by), "col": say(rng, column), **stat_words(rng, name)},
        f"I group by {by.name} and take the {name} of {column.name} for each.",
        (line, "final_answer(groups.round(4).to_dict())"),
        Expect("text", str(results)),
        (by, column),
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
        table,
        {"cat": say(rng, by)},
        f"I group by {by.name} and find the largest group.",
        (f'groups = df.groupby("{by.name}").size()', "final_answer(groups.idxmax())"),
        Expect("text", order[0]),
        (by,),
    )


def sizes(rng: random.Random, **options: Any) -> Question:
    """How many rows each group has, as a dictionary."""
    table = make_table(rng, categories=1, number_columns=0, **options)
    by = rng.choice(table.of("category"))
    found = {g: len(v) for g, v in groups_of(by, by.values).items()}
    return Question(
        table,
        {"cat": say(rng, by), **entities(table)},
        f"I group by {by.name} and count the rows of each.",
        (f'groups = df.groupby("{by.name}").size()', "final_answer(groups.to_dict())"),
        Expect("text", str(found)),
        (by,),
    )


def _ranked(
    rng: random.Random, n: int, best: str, options: dict[str, Any]
) -> tuple[Table, Column, Column, list[Any]]:
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
        {
            "col": say(rng, column),
            "n": count_word(rng, n),
            "best": rng.choice(BEST[best]),
            **entities(table),
        },
        f"I take the {n} rows with the {best} {column.name} and list their {entity.name}.",
        (
            f'rows = df.{method}({n}, "{column.name}")',
            f'final_answer(rows["{entity.name}"].tolist())',
        ),
        Expect("list", names),
        (column, entity),
    )


def one(rng: random.Random, **options: Any) -> Question:
    """The row with the highest or lowest value, by name."""
    best = rng.choice(list(BEST))
    table, entity, column, names = _ranked(rng, 1, best, options)
    method = "nlargest" if best == "highest" else "nsmallest"
    return Question(
        table,
        {"col": say(rng, column), "best": rng.choice(BEST[best]), **entities(table)},
        f"I take the row with the {best} {column.name} and give its {entity.name}.",
        (
            f'rows = df.{method}(1, "{column.name}")',
            f'final_answer(rows["{entity.name}"].tolist()[0])',
        ),
        Expect("text", names[0]),
        (column, entity),
    )
