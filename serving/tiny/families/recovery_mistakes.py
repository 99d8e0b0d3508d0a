"""Small pieces of wrong Python, what they raise, and the right ones."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from serving.tiny.example import Expect
from serving.tiny.families import text_data
from serving.tiny.families.table_maker import Column, Table, make_table, stem
from serving.tiny.families.table_questions import compute, number
from serving.tiny.families.tables import csv_code
from serving.tiny.families.wordings import STATS, stat_words

ROUNDED = 1e-3
"""Tolerance where the answer is rounded to four places."""


@dataclass(frozen=True)
class Mistake:
    """`wrong` raises; `thinking` says why; `right` answers."""

    slots: dict[str, str]
    wrong: str
    thinking: str
    right: str
    expect: Expect
    files: dict[str, bytes] = field(default_factory=dict)


def _list(rng: random.Random, low: int = 1, high: int = 99) -> list[int]:
    return [rng.randint(low, high) for _ in range(rng.randint(4, 9))]


def _said(values: list[int]) -> str:
    return ", ".join(map(str, values))


def _word(rng: random.Random) -> str:
    return rng.choice(text_data.WORDS)


_NO_NUMBER = ("unknown", "missing", "-", "?", "none given", "no data", "see note")


def _with_text(rng: random.Random, table: Table) -> tuple[bytes, Column, list[float]]:
    """The table with text in a number column; the numbers that are left in that column."""
    column = rng.choice(table.of("number"))
    values: list[object] = list(column.values)
    gaps: set[int] = set()
    if rng.random() < 0.5:
        values = [f"{rng.randint(1, 90)},{rng.randint(0, 999):03d}" for _ in values]
    else:
        gaps = set(rng.sample(range(table.size), rng.randint(1, 2)))
        note = rng.choice(_NO_NUMBER)
        values = [note if n in gaps else value for n, value in enumerate(values)]
    column.values[:] = values
    left = [float(str(v).replace(",", "")) for n, v in enumerate(values) if n not in gaps]
    return table.csv(), column, left


def _text_number(rng: random.Random) -> Mistake:
    table = make_table(rng, rows=(5, 20))
    content, column, left = _with_text(rng, table)
    name = rng.choice(("sum", "mean", "max", "min"))
    file = stem(rng, table.theme) + ".csv"
    series = f'df["{column.name}"]'
    wrong = f"print({series}.astype(float).{name}())"
    if name == "mean" and rng.random() < 0.5:
        wrong = f"print({series}.mean())"
    return Mistake(
        {"file": file, "col": column.name, **stat_words(rng, name)},
        csv_code(file, wrong),
        f"The column {column.name} holds text. I turn it into numbers first.",
        csv_code(
            file,
            f'values = pd.to_numeric({series}.str.replace(",", ""), errors="coerce")',
            f"final_answer(round(values.{STATS[name][2]}().item(), 4))",
        ),
        number(compute(name, left)),
        {file: content},
    )


def _list_text(rng: random.Random) -> Mistake:
    values: list[int | str] = list(_list(rng))
    left = [v for v in values if isinstance(v, int)]
    for _ in range(rng.randint(1, 2)):
        values.insert(rng.randint(0, len(values)), rng.choice(("n/a", "?", "none", "-", "x")))
    shown = [str(v) for v in values]
    quoted = "[" + ", ".join(f'"{v}"' for v in shown) + "]"
    return Mistake(
        {"list": ", ".join(shown)},
        f"values = {quoted}\nprint(sum(int(v) for v in values))",
        "Not every value is a number. I skip those that are not.",
        f"values = {quoted}\nfinal_answer(sum(int(v) for v in values if v.isdigit()))",
        Expect("number", sum(left)),
    )


def _zero(rng: random.Random) -> Mistake:
    values = _list(rng)
    low = rng.random() < 0.5
    x = rng.randint(100, 400) if low else 0
    sign = ">" if low else "<"
    chosen = f"values = {values}\nchosen = [v for v in values if v {sign} {x}]\n"
    return Mistake(
        {
            "list": _said(values),
            "cmp": rng.choice(("over", "above") if low else ("below", "under")),
            "x": str(x),
        },
        chosen + "print(sum(chosen) / len(chosen))",
        "No number was chosen, so there is nothing to divide.",
        chosen
        + 'final_answer(sum(chosen) / len(chosen) if chosen else "There is no such number.")',
        Expect("text", "no such number"),
    )


def _missing_import(rng: random.Random) -> tuple[str, str, dict[str, str], float]:
    """(module, expression, slots, result)."""
    a, b = rng.randint(2, 90), rng.randint(2, 90)
    values = _list(rng)
    return rng.choice(
        (
            ("math", f"math.sqrt({a * a})", {"what": f"the square root of {a * a}"}, float(a)),
            (
                "math",
                f"math.factorial({a // 3 + 2})",
                {"what": f"the factorial of {a // 3 + 2}"},
                math.factorial(a // 3 + 2),
            ),
            (
                "math",
                f"math.gcd({a * 6}, {b * 6})",
                {"what": f"the greatest common divisor of {a * 6} and {b * 6}"},
                math.gcd(a * 6, b * 6),
            ),
            (
                "math",
                f"math.lcm({a}, {b})",
                {"what": f"the least common multiple of {a} and {b}"},
                math.lcm(a, b),
            ),
            (
                "statistics",
                f"statistics.mean({values})",
                {"what": f"the mean of {_said(values)}"},
                statistics.mean(values),
            ),
            (
                "statistics",
                f"statistics.median({values})",
                {"what": f"the median of {_said(values)}"},
                statistics.median(values),
            ),
        )
    )


def _import(rng: random.Random) -> Mistake:
    module, expression, slots, result = _missing_import(rng)
    wrapped = f"round({expression}, 4)" if module == "statistics" else expression
    return Mistake(
        slots,
        f"print({expression})",
        f"The module {module} was not imported.",
        f"import {module}\nfinal_answer({wrapped})",
        Expect("number", result, 1e-3),
    )


def _list_method(rng: random.Random) -> Mistake:
    values = _list(rng)
    what, wrong, right, result = rng.choice(
        (
            ("sum", "sum()", "sum(values)", sum(values)),
            ("total", "total()", "sum(values)", sum(values)),
            ("maximum", "max()", "max(values)", max(values)),
            ("largest number", "largest()", "max(values)", max(values)),
            ("minimum", "min()", "min(values)", min(values)),
            ("smallest number", "smallest()", "min(values)", min(values)),
            ("average", "mean()", "round(sum(values) / len(values), 4)", sum(values) / len(values)),
            (
                "average",
                "average()",
                "round(sum(values) / len(values), 4)",
                sum(values) / len(values),
            ),
        )
    )
    return Mistake(
        {"list": _said(values), "what": what},
        f"values = {values}\nprint(values.{wrong})",
        f"A list has no method {wrong[:-2]}. I use a function.",
        f"values = {values}\nfinal_answer({right})",
        Expect("number", result, ROUNDED),
    )


def _reverse(rng: random.Random) -> Mistake:
    word = _word(rng)
    wrong = rng.choice(("reverse()", "reversed()", "flip()"))
    return Mistake(
        {"word": word},
        f'text = "{word}"\nprint(text.{wrong})',
        f"A text has no method {wrong[:-2]}. I use a slice.",
        f'text = "{word}"\nfinal_answer(text[::-1])',
        Expect("text", word[::-1]),
    )


def _length(rng: random.Random) -> Mistake:
    word = _word(rng) + rng.choice(("", _word(rng)))
    wrong = rng.choice(("length()", "size()", "len()", "length"))
    return Mistake(
        {"word": word},
        f'text = "{word}"\nprint(text.{wrong})',
        f"A text has no {wrong.removesuffix('()')}. I use the function len.",
        f'text = "{word}"\nfinal_answer(len(text))',
        Expect("number", len(word)),
    )


def _digits(rng: random.Random) -> Mistake:
    a, b = rng.randint(2, 30), rng.randint(10, 90)
    of_digits = rng.random() < 0.5
    wrong = "sum(n)" if of_digits else "len(n)"
    right = "sum(int(d) for d in str(n))" if of_digits else "len(str(n))"
    digits = str(a**b)
    what = "the sum of the digits" if of_digits else "the number of digits"
    return Mistake(
        {"what": what, "power": f"{a} ** {b}"},
        f"n = {a} ** {b}\nprint({wrong})",
        "The number must be turned into text first.",
        f"n = {a} ** {b}\nfinal_answer({right})",
        Expect("number", sum(map(int, digits)) if of_digits else len(digits)),
    )


def _sort(rng: random.Random) -> Mistake:
    values = _list(rng)
    wrong = rng.choice(("desc=True", "descending=True", "ascending=False", "order=-1"))
    return Mistake(
        {"list": _said(values)},
        f"values = {values}\nprint(sorted(values, {wrong}))",
        f"sorted does not know {wrong.split('=')[0]}. It is called reverse.",
        f"values = {values}\nfinal_answer(sorted(values, reverse=True))",
        Expect("list", sorted(values, reverse=True)),
    )


def _index(rng: random.Random) -> Mistake:
    words = rng.sample(text_data.WORDS, rng.randint(4, 8))
    return Mistake(
        {"words": ", ".join(words)},
        f"words = {words}\nprint(words[len(words)])",
        "The last index is one less than the length.",
        f"words = {words}\nfinal_answer(words[-1])",
        Expect("text", words[-1]),
    )


def _join(rng: random.Random) -> Mistake:
    word, count = _word(rng), rng.randint(2, 99)
    return Mistake(
        {"word": word, "count": str(count)},
        f'print("{word}" + {count})',
        "Text and a number can not be added. I turn the number into text.",
        f'final_answer("{word}" + str({count}))',
        Expect("text", f"{word}{count}"),
    )


def _bracket(rng: random.Random) -> Mistake:
    values = _list(rng)
    name, what, result = rng.choice(
        (
            ("sum", "sum", sum(values)),
            ("max", "maximum", max(values)),
            ("min", "minimum", min(values)),
        )
    )
    wrong = rng.choice(
        (
            f"print({name}({values})",
            f"values = {values}\nprint({name}(values)",
            f"values = {values}"[:-1] + f"\nprint({name}(values))",
        )
    )
    return Mistake(
        {"list": _said(values), "what": what},
        wrong,
        "A bracket was not closed.",
        f"values = {values}\nfinal_answer({name}(values))",
        Expect("number", result),
    )


def _series(rng: random.Random) -> Mistake:
    table = make_table(rng, rows=(5, 20))
    column = rng.choice(table.of("number"))
    name, wrong = rng.choice(
        (
            ("mean", "average"),
            ("mean", "avg"),
            ("sum", "total"),
            ("max", "maximum"),
            ("max", "highest"),
            ("min", "minimum"),
            ("min", "lowest"),
        )
    )
    file = stem(rng, table.theme) + ".csv"
    series = f'df["{column.name}"]'
    return Mistake(
        {"file": file, "col": column.name, **stat_words(rng, name)},
        csv_code(file, f"print({series}.{wrong}())"),
        f"A column has no method {wrong}. It is called {name}.",
        csv_code(file, f"final_answer(round({series}.{name}().item(), 4))"),
        number(compute(name, column.values)),
        {file: table.csv()},
    )


def _no_pandas(rng: random.Random) -> Mistake:
    table = make_table(rng)
    file = stem(rng, table.theme) + ".csv"
    last = "{}(len(df))"
    return Mistake(
        {"file": file},
        f'df = pd.read_csv("{file}")\n' + last.format("print"),
        "The module pandas was not imported as pd.",
        csv_code(file, last.format("final_answer")),
        Expect("number", table.size),
        {file: table.csv()},
    )


def _from_table(rng: random.Random) -> Mistake:
    """Either fault of a statistic of a column: the wording is the same."""
    return rng.choice((_text_number, _text_number, _series))(rng)


MISTAKES: dict[str, Callable[[random.Random], Mistake]] = {
    "table": _from_table,
    "list_text": _list_text,
    "zero": _zero,
    "import": _import,
    "list_method": lambda rng: rng.choice((_list_method, _bracket))(rng),
    "reverse": _reverse,
    "length": _length,
    "digits": _digits,
    "sort": _sort,
    "index": _index,
    "join": _join,
    "rows": _no_pandas,
}
