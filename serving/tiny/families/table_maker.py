"""Makes the random tables of the table families: columns in many styles, as CSV or Excel bytes."""

from __future__ import annotations

import datetime
import io
import random
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from serving.tiny.families import table_data as data


@dataclass(frozen=True)
class Column:
    """`words` is how a person says it, `name` how the file spells it.

    `role` is entity (all values differ), category, number or date.
    """

    words: str
    name: str
    role: str
    values: list[Any]


@dataclass(frozen=True)
class Table:
    """A table with its columns in the order of the file."""

    theme: data.Theme
    columns: list[Column]

    @property
    def size(self) -> int:
        """The number of rows."""
        return len(self.columns[0].values)

    def of(self, role: str) -> list[Column]:
        """The columns with that role, in the order of the file."""
        return [column for column in self.columns if column.role == role]

    def rows(self) -> list[tuple[Any, ...]]:
        """The rows without the header."""
        return list(zip(*(column.values for column in self.columns), strict=True))

    def csv(self) -> bytes:
        """The table as a CSV file; values that hold a comma are quoted."""
        lines = [",".join(column.name for column in self.columns)]
        lines += [",".join(_cell(value) for value in row) for row in self.rows()]
        return ("\n".join(lines) + "\n").encode()


def _cell(value: Any) -> str:
    text = str(value)
    return f'"{text}"' if "," in text else text


def made_up(rng: random.Random) -> str:
    """A pronounceable name that is in no list, so that it can only be copied."""
    name = "".join(rng.choices(data.SYLLABLES, k=rng.choice((2, 2, 3))))
    # pandas reads None as a missing value.
    return name if name != "none" else "nonel"


def _pool(rng: random.Random, pool: str, count: int) -> list[str]:
    if rng.random() < 0.1:
        pool = "made"
    fixed = {
        "things": data.THINGS,
        "cities": data.CITIES,
        "animals": data.ANIMALS,
        "dishes": data.DISHES,
        "plants": data.PLANTS,
        "pages": data.PAGES,
        "people": data.PEOPLE,
    }.get(pool)
    if fixed is not None and len(fixed) >= count:
        return rng.sample(fixed, count)
    letter = rng.choice("ABCDFGHKLMPQRSTVX")
    make: Callable[[], str] = {
        "codes": lambda: f"{letter}{rng.randint(100, 999)}",
        "titles": lambda: f"{rng.choice(data.ADJECTIVES)} {rng.choice(data.TITLE_NOUNS)}",
        "streets": lambda: f"{rng.randint(1, 99)} {rng.choice(data.STREETS)} Street",
    }.get(pool, lambda: made_up(rng).capitalize())
    found: dict[str, None] = {}
    while len(found) < count:
        found[make()] = None
    return list(found)


STYLES: tuple[Callable[[str], str], ...] = (
    lambda words: words.replace(" ", "_"),
    lambda words: words.title(),
    lambda words: words[0].upper() + words[1:],
    lambda words: words,
    lambda words: words.title().replace(" ", ""),
    lambda words: words.title().replace(" ", "_"),
    lambda words: words.upper().replace(" ", "_"),
)
_STYLE_WEIGHTS = (46, 14, 10, 8, 8, 8, 6)


def _number_words(rng: random.Random, theme: data.Theme) -> tuple[str, float, float, int]:
    roll = rng.random()
    if roll < 0.74:
        return rng.choice(theme.numbers)
    low, high, decimals = rng.choice(((0, 99, 0), (10, 999, 0), (1, 50, 1), (5, 500, 2)))
    if roll < 0.92:
        words = f"{rng.choice(data.PREFIXES)} {rng.choice(data.NOUNS)}"
    elif roll < 0.96:
        words = rng.choice(data.NOUNS)
    else:
        words = made_up(rng)
    return words, low, high, decimals


def numbers(rng: random.Random, low: float, high: float, decimals: int, count: int) -> list[Any]:
    """Random numbers, whole when `decimals` is 0."""
    if decimals == 0:
        return [rng.randint(int(low), int(high)) for _ in range(count)]
    return [round(rng.uniform(low, high), decimals) for _ in range(count)]


def _categories(rng: random.Random, values: str, count: int) -> list[str]:
    names = values.split("|")
    if rng.random() < 0.2:
        names = [made_up(rng).capitalize() for _ in range(4)]
    names = rng.sample(names, min(len(names), rng.randint(2, 5)))
    return rng.choices(names, k=count)


def _dates(rng: random.Random, count: int) -> list[str]:
    day = datetime.date(rng.randint(2015, 2025), rng.randint(1, 12), rng.randint(1, 28))
    step = rng.choice((1, 1, 7, 14, 30))
    return [(day + datetime.timedelta(step * n)).isoformat() for n in range(count)]


def make_table(
    rng: random.Random,
    *,
    entity: bool = True,
    categories: int = 0,
    number_columns: int = 1,
    dates: int = 0,
    rows: tuple[int, int] = (5, 40),
    extras: bool = True,
    entity_first: bool = False,
    avoid: frozenset[str] = frozenset(),
) -> Table:
    """A random table with at least the columns asked for.

    `extras` fills up to five columns; then text columns are only added when there is an entity or
    a category already asked for besides. No column is called by words in `avoid`.
    """
    theme = rng.choice(data.themes())
    count = rng.randint(*rows)
    if extras:
        for _ in range(
            rng.randint(
                max(0, 2 - entity - categories - number_columns - dates),
                max(0, 5 - entity - categories - number_columns - dates),
            )
        ):
            roll = rng.random()
            if roll < 0.6 or not entity:
                number_columns += 1
            elif roll < 0.85 and categories < len(theme.categories):
                categories += 1
            elif dates == 0:
                dates = 1
    wanted = _wanted(rng, theme, entity, categories, number_columns, dates, avoid, count)
    style = rng.choices(STYLES, _STYLE_WEIGHTS)[0]
    columns = [Column(words, style(words), role, values) for words, role, values in wanted]
    if entity_first or rng.random() < 0.5:
        columns[1:] = rng.sample(columns[1:], len(columns) - 1)
    else:
        rng.shuffle(columns)
    return Table(theme, columns)


def _wanted(
    rng: random.Random,
    theme: data.Theme,
    entity: bool,
    categories: int,
    number_columns: int,
    dates: int,
    avoid: frozenset[str],
    count: int,
) -> list[tuple[str, str, list[Any]]]:
    found: dict[str, tuple[str, list[Any]]] = {}
    if entity:
        words = theme.entity if rng.random() < 0.85 else "name"
        if words in avoid:
            words = "label" if "label" not in avoid else "key"
        found[words] = ("entity", _pool(rng, theme.pool, count))
    usable = [words for words in theme.categories if words not in avoid]
    for words in rng.sample(usable, min(categories, len(usable))):
        found[words] = ("category", _categories(rng, theme.categories[words], count))
    left = number_columns
    while left:
        words, low, high, decimals = _number_words(rng, theme)
        if words not in found and words not in avoid:
            found[words] = ("number", numbers(rng, low, high, decimals, count))
            left -= 1
    if dates:
        words = rng.choice(data.DATE_COLUMNS)
        if words not in avoid:
            found[words] = ("date", _dates(rng, count))
    return [(words, role, values) for words, (role, values) in found.items()]


def stem(rng: random.Random, theme: data.Theme | None = None) -> str:
    """A file name without its extension, most often about the theme."""
    if theme is None or rng.random() < 0.3:
        name = rng.choice(data.GENERIC_STEMS) if rng.random() < 0.7 else made_up(rng)
    else:
        name = rng.choice(theme.stems.split())
    name += rng.choice(data.FILE_ENDINGS)
    return name.capitalize() if rng.random() < 0.08 else name


def say(rng: random.Random, column: Column) -> str:
    """A column as a person writes it: mostly in plain words, sometimes as the file spells it."""
    return column.name if rng.random() < 0.2 else column.words


def plural(word: str) -> str:
    """The plural of a plain English noun: city → cities, box → boxes, film → films."""
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh")) else "s")


def excel(sheets: dict[str, Table]) -> bytes:
    """The tables as an Excel workbook, the same bytes each time."""
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    for title, table in sheets.items():
        sheet = book.create_sheet(title)
        sheet.append([column.name for column in table.columns])
        for row in table.rows():
            sheet.append(row)
    raw = io.BytesIO()
    book.save(raw)
    return _without_clock(raw.getvalue())


def _without_clock(workbook: bytes) -> bytes:
    # openpyxl writes the present time into the archive; an example must not depend on it.
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "docProps/core.xml":
                content = re.sub(
                    rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", b"2024-01-01T00:00:00Z", content
                )
            info = zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0))
            new.writestr(info, content, zipfile.ZIP_DEFLATED)
    return out.getvalue()
