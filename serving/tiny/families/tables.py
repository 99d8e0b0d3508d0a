"""Questions on a CSV or Excel file: look at the columns first, then compute with pandas."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from serving.tiny.example import Example, Expect, Step
from serving.tiny.families import table_data as data
from serving.tiny.families import table_groups as groups
from serving.tiny.families import table_questions as ask
from serving.tiny.families import table_templates as wording
from serving.tiny.families.excel_templates import EXCEL
from serving.tiny.families.table_maker import Table, excel, make_table, stem
from serving.tiny.families.wordings import Wordings
from serving.tiny.phrasings import Family, Phrasings, Templates, vary

Asker = Callable[..., ask.Question]

TEMPLATES: dict[str, Templates] = {
    "csv_aggregate": wording.AGGREGATE,
    "csv_filter": wording.FILTER,
    "csv_group": wording.GROUP,
    "csv_top_n": wording.TOP,
    "csv_columns": wording.COLUMNS,
    "excel_question": EXCEL,
}
_WORDINGS = {name: Wordings(name, table) for name, table in TEMPLATES.items()}  # type: ignore[arg-type]


def _only(stat: str) -> Asker:
    return lambda rng, **options: ask.stat(rng, stat, **options)


ASKERS: dict[str, Asker] = {
    "stat": ask.stat,
    "sum": _only("sum"),
    "mean": _only("mean"),
    "max": _only("max"),
    "min": _only("min"),
    "count": ask.count,
    "distinct": ask.distinct,
    "count_text": ask.count_text,
    "stat_text": ask.stat_text,
    "stat_value": ask.stat_value,
    "count_number": ask.count_number,
    "stat_number": ask.stat_number,
    "names_text": ask.names_text,
    "names_number": ask.names_number,
    "lookup": ask.lookup,
    "which": groups.which,
    "one": groups.one_group,
    "each": groups.each_group,
    "most": groups.most,
    "size": groups.sizes,
}
TOP_ASKERS: dict[str, Asker] = {"many": groups.many, "one": groups.one}


def look(file: str) -> Step:
    """The first step of every table question."""
    return Step(f"I look at the columns of {file} first.", f'print(inspect_table("{file}"))')


def csv_code(file: str, *lines: str) -> str:
    """Code that reads a CSV file into `df`, and what follows."""
    return "\n".join(("import pandas as pd", f'df = pd.read_csv("{file}")', *lines))


def other_files(rng: random.Random, template: str, taken: str) -> dict[str, bytes]:
    """Sometimes one more file beside the one that matters, if the task names that one."""
    if "{file}" not in template or rng.random() > 0.12:
        return {}
    table = make_table(rng, rows=(5, 9))
    name = stem(rng, table.theme) + ".csv"
    return {} if name == taken else {name: table.csv()}


def with_others(rng: random.Random, template: str, file: str, content: bytes) -> dict[str, bytes]:
    """The attached files, in any order."""
    files = [(file, content), *other_files(rng, template, file).items()]
    rng.shuffle(files)
    return dict(files)


def _csv_family(name: str, askers: dict[str, Asker]) -> Family:
    def family(rng: random.Random, phrasings: Phrasings) -> Example:
        kind, template = _WORDINGS[name].pick(rng, phrasings)
        question = askers[kind](rng)
        file = stem(rng, question.table.theme) + ".csv"
        task = template.format(file=file, **question.slots)
        return Example(
            family=name,
            phrasing=template,
            task=vary(rng, task),
            expect=question.expect,
            steps=[look(file), Step(question.thinking, csv_code(file, *question.lines))],
            files=with_others(rng, template, file, question.table.csv()),
        )

    return family


_SHAPE: dict[str, tuple[str, str, Callable[[Table], Any]]] = {
    "names": (
        "I list the column names.",
        "df.columns.tolist()",
        lambda table: [column.name for column in table.columns],
    ),
    "rows": ("I count the rows.", "len(df)", lambda table: table.size),
    "width": ("I count the columns.", "len(df.columns)", lambda table: len(table.columns)),
    "shape": (
        "I count the rows and the columns.",
        "list(df.shape)",
        lambda table: [table.size, len(table.columns)],
    ),
    "numeric": (
        "I list the columns that hold numbers.",
        'df.select_dtypes("number").columns.tolist()',
        lambda table: [c.name for c in table.columns if c.role == "number"],
    ),
}


def _csv_columns(rng: random.Random, phrasings: Phrasings) -> Example:
    kind, template = _WORDINGS["csv_columns"].pick(rng, phrasings)
    table = make_table(rng, entity=rng.random() < 0.8, number_columns=rng.randint(1, 2))
    file = stem(rng, table.theme) + ".csv"
    thinking, expression, result = _SHAPE[kind]
    value = result(table)
    return Example(
        family="csv_columns",
        phrasing=template,
        task=vary(rng, template.format(file=file)),
        expect=Expect("list" if isinstance(value, list) else "number", value),
        steps=[Step(thinking, csv_code(file, f"final_answer({expression})"))],
        files=with_others(rng, template, file, table.csv()),
    )


def _excel_rows(rng: random.Random, **options: Any) -> ask.Question:
    table = make_table(rng, **options)
    return ask.Question(
        table, {}, "I count its rows.", ("final_answer(len(df))",), Expect("number", table.size), ()
    )


_EXCEL: dict[str, Asker] = {
    "stat": ask.stat,
    "stat_sheet": ask.stat,
    "count_text": ask.count_text,
    "stat_text": ask.stat_text,
    "which": groups.which,
    "one": groups.one,
    "many": groups.many,
    "rows": _excel_rows,
}


def _excel_question(rng: random.Random, phrasings: Phrasings) -> Example:
    kind, template = _WORDINGS["excel_question"].pick(rng, phrasings)
    question = _EXCEL[kind](rng)
    sheets = [question.table]
    if rng.random() < 0.4:
        # What the question names must be on one sheet only.
        named = frozenset(column.words for column in question.table.columns)
        sheets.append(make_table(rng, avoid=named, categories=1, rows=(5, 12)))
        rng.shuffle(sheets)
    titles = dict(zip(rng.sample(data.SHEETS, len(sheets)), sheets, strict=True))
    if len(sheets) == 1 and rng.random() < 0.4:
        titles = {"Sheet1": question.table}
    sheet = next(title for title, table in titles.items() if table is question.table)
    file = stem(rng, question.table.theme) + ".xlsx"
    code = "\n".join(
        (
            "import pandas as pd",
            f'df = pd.read_excel("{file}", sheet_name="{sheet}")',
            *question.lines,
        )
    )
    task = template.format(file=file, sheet=sheet, **question.slots)
    return Example(
        family="excel_question",
        phrasing=template,
        task=vary(rng, task),
        expect=question.expect,
        steps=[look(file), Step(f"{question.thinking} The sheet is {sheet}.", code)],
        files=with_others(rng, template, file, excel(titles)),
    )


FAMILIES: dict[str, Family] = {
    "csv_aggregate": _csv_family("csv_aggregate", ASKERS),
    "csv_filter": _csv_family("csv_filter", ASKERS),
    "csv_group": _csv_family("csv_group", ASKERS),
    "csv_top_n": _csv_family("csv_top_n", TOP_ASKERS),
    "csv_columns": _csv_columns,
    "excel_question": _excel_question,
}
