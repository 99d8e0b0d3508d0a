"""inspect_table: the exact text that agents learn, and tables as they come from the wild."""

import time
import zipfile
from datetime import datetime
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from errors import ToolError
from tests import older_files
from tools.inspect_table import InspectTable

SALES = """date,region,units,price
2024-01-03,North,12,9.5
2024-01-04,South,7,10
2024-01-05,"East, far",3,9.25
2024-01-06,West,1,8
"""


def inspect(folder: Path, name: str, content: str | bytes) -> str:
    data = content.encode() if isinstance(content, str) else content
    (folder / name).write_bytes(data)
    return InspectTable(folder)(path=name)


def test_the_format_is_the_one_agents_know(tmp_path: Path) -> None:
    assert inspect(tmp_path, "sales.csv", SALES) == (
        "sales.csv: 4 rows, 4 columns\n"
        "date (date), region (text), units (integer), price (number)\n"
        "first rows:\n"
        "date,region,units,price\n"
        "2024-01-03,North,12,9.5\n"
        "2024-01-04,South,7,10\n"
        '2024-01-05,"East, far",3,9.25'
    )


def test_every_sheet_of_a_workbook(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Sales"
    for row in (["day", "units", "price", "paid"], [datetime(2024, 1, 3), 12, 9.5, True]):
        sheet.append(row)
    sheet.append([datetime(2024, 1, 4), None, 3.0, False])
    book.create_sheet("Notes")
    book.save(tmp_path / "book.xlsx")
    assert InspectTable(tmp_path)(path="book.xlsx") == (
        "book.xlsx, sheet Sales: 2 rows, 4 columns\n"
        "day (date), units (integer), price (number), paid (true/false)\n"
        "first rows:\n"
        "day,units,price,paid\n"
        "2024-01-03,12,9.5,True\n"
        "2024-01-04,,3,False\n"
        "\n"
        "book.xlsx, sheet Notes: empty, no rows, no columns"
    )


@pytest.mark.parametrize(
    ("name", "content", "first_line", "columns"),
    [
        ("a.tsv", "x\ty\n1\t2\n", "a.tsv: 1 row, 2 columns", "x (integer), y (integer)"),
        (
            "b.csv",
            "Größe;Preis\n1,5;2\n3,2;4\n".encode("cp1252"),
            'b.csv: 2 rows, 2 columns, separated by ";", encoding cp1252',
            "Größe (number with decimal comma), Preis (integer)",
        ),
        (
            "c.csv",
            "a|b\n1|\n\n2|x\n".encode("utf-16"),
            'c.csv: 2 rows, 2 columns, separated by "|", encoding utf-16',
            "a (integer), b (text)",
        ),
        (
            "d.csv",
            "1,2\n3,4\n",
            "d.csv: 1 row, 2 columns, perhaps without a header",
            "1 (integer), 2 (integer)",
        ),
        ("e.csv", "a,b\n", "e.csv: 0 rows, 2 columns", "a (empty), b (empty)"),
        ("f.csv", b"\xef\xbb\xbfa,a,\n1,NA,true\n", "f.csv: 1 row, 3 columns", None),
        ("g.csv", 'a,b\n"two\nlines",1\n', "g.csv: 1 row, 2 columns", "a (text), b (integer)"),
        ("h.csv", "a,b\n1,2,3\n", "h.csv: 1 row, 3 columns", None),
        (
            "i.csv",
            "a,b\r\n1,1e3\r\n2,.5\r\n",
            "i.csv: 2 rows, 2 columns",
            "a (integer), b (number)",
        ),
        ("k.csv", "only\n03.02.2024\n31/12/2024\n", "k.csv: 2 rows, 1 column", "only (date)"),
        ("l.csv", "code\n" + "1;2\n" * 3, "l.csv: 3 rows, 1 column", "code (text)"),
    ],
)
def test_tables_as_they_come(
    tmp_path: Path, name: str, content: str | bytes, first_line: str, columns: str | None
) -> None:
    lines = inspect(tmp_path, name, content).split("\n")
    assert lines[0] == first_line
    if columns is not None:
        assert lines[1] == columns


def test_the_names_are_those_that_pandas_will_give(tmp_path: Path) -> None:
    text = inspect(tmp_path, "f.csv", "a,a,,b\n1,2,3,4\n")
    names = [column.rpartition(" (")[0] for column in text.split("\n")[1].split(", ")]
    assert names == list(pd.read_csv(tmp_path / "f.csv").columns)


def test_types_hold_for_the_whole_column_not_only_its_beginning(tmp_path: Path) -> None:
    rows = "\n".join(["1"] * 45_000 + ["x"])
    text = inspect(tmp_path, "long.csv", f"a,b\n{rows.replace(chr(10), ',1' + chr(10))},1\n")
    assert text.startswith("long.csv: 45001 rows, 2 columns\na (text), b (integer)")


def test_wide_tables_and_long_cells_are_cut(tmp_path: Path) -> None:
    header = ",".join(f"column{n}" for n in range(500))
    text = inspect(tmp_path, "wide.csv", f"{header}\n{','.join(['word ' * 50] * 500)}\n")
    assert "and 440 more" in text
    assert len(text) < 8_000


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "a,b\n1,2\n1,2,3\n", "can't be read as a table"),
        ("b.csv", b"a,b\n\x00\x01\x02", "not a text file"),
        ("c.xlsx", b"no zip at all", "damaged"),
        ("d.pdf", b"%PDF-1.4", "read_file('d.pdf')"),
    ],
)
def test_what_is_no_table_is_said_in_words(
    tmp_path: Path, name: str, content: str | bytes, said: str
) -> None:
    with pytest.raises(ToolError) as error:
        inspect(tmp_path, name, content)
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_an_empty_file(tmp_path: Path) -> None:
    assert inspect(tmp_path, "a.csv", " \n") == "a.csv: empty, no rows, no columns"


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.lists(
            st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf", "Co"]), max_size=12),
            min_size=2,
            max_size=2,
        ),
        min_size=1,
        max_size=6,
    )
)
def test_whatever_pandas_writes_is_counted_right(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    folder = tmp_path_factory.mktemp("t")
    frame = pd.DataFrame([["x", "1"], *rows], columns=["left", "right"])
    frame.to_csv(folder / "t.csv", index=False)
    assert f"t.csv: {len(frame)} rows, 2 columns" in InspectTable(folder)(path="t.csv")


def test_a_long_table_is_summarised_unasked_and_a_short_one_when_asked(tmp_path: Path) -> None:
    assert "summary:" not in inspect(tmp_path, "sales.csv", SALES)
    text = InspectTable(tmp_path)("sales.csv", summary=True)
    assert text.startswith(inspect(tmp_path, "sales.csv", SALES))
    assert text.endswith(
        "summary:\n"
        "date: 0 missing, 4 distinct, from 2024-01-03 to 2024-01-06\n"
        "region: 0 missing, 4 distinct\n"
        "units: 0 missing, 4 distinct, min 1, mean 5.75, max 12\n"
        "price: 0 missing, 4 distinct, min 8, mean 9.1875, max 10"
    )
    rows = "".join(f"{n % 7},{'x' if n % 3 else ''}\n" for n in range(101))
    text = inspect(tmp_path, "long.csv", "a,b\n" + rows)
    assert "b: 34 missing, 1 distinct, most often x (67)" in text


def test_european_files(tmp_path: Path) -> None:
    text = inspect(tmp_path, "a.csv", "Ort;Preis\nBonn;1.234,50\nKöln;3,10\n")
    assert text.startswith('a.csv: 2 rows, 2 columns, separated by ";"\n')
    assert "Preis (number with decimal comma)" in text
    call = text.rpartition("read it with: ")[2]
    frame = eval(call.replace("'a.csv'", repr(str(tmp_path / "a.csv"))), {"pd": pd})
    assert list(frame["Preis"]) == [1234.5, 3.1]


def test_a_title_above_the_header(tmp_path: Path) -> None:
    text = inspect(tmp_path, "a.csv", "Report 2024\n\nday,city,rain\nMon,Bonn,3\nTue,Ulm,4\n")
    assert text.startswith("a.csv: 2 rows, 3 columns, header in line 3\nday (text), city (text)")
    call = text.rpartition("read it with: ")[2].replace("'a.csv'", repr(str(tmp_path / "a.csv")))
    assert list(eval(call, {"pd": pd}).columns) == ["day", "city", "rain"]
    book = openpyxl.Workbook()
    for row in (["Report"], [], ["day", "city", "rain"], ["Mon", "Bonn", 3], ["Tue", "Ulm", 4]):
        book.active.append(row)
    book.save(tmp_path / "b.xlsx")
    text = InspectTable(tmp_path)("b.xlsx")
    assert text.startswith("b.xlsx, sheet Sheet: 2 rows, 3 columns, header in row 3\nday (text)")
    call = text.rpartition("read it with: ")[2].replace("'b.xlsx'", repr(str(tmp_path / "b.xlsx")))
    assert list(eval(call, {"pd": pd})["rain"]) == [3, 4]


def test_how_pandas_reads_other_workbooks_and_further_sheets(tmp_path: Path) -> None:
    """The call that is shown is one that works: pandas' own default for ods needs a package."""

    def read(text: str) -> list[float]:
        call = text.rpartition("read it with: ")[2].replace("('", f"('{tmp_path}/")
        return list(eval(call, {"pd": pd})["rain"])

    rows = [["city", "rain"], ["Bergen", 2250.0]]
    for kind, made in (
        ("ods", older_files.ods),
        ("xls", older_files.xls),
        ("xlsb", older_files.xlsb),
    ):
        (tmp_path / f"a.{kind}").write_bytes(made("Rain", rows))
        text = InspectTable(tmp_path)(path=f"a.{kind}")
        assert text.startswith(f"a.{kind}, sheet Rain: 1 row, 2 columns\ncity (text), rain (")
        assert read(text if "read it with" in text else f"pd.read_excel('a.{kind}')") == [2250]
    book = openpyxl.Workbook()
    for sheet, rain in ((book.active, 763), (book.create_sheet("Second"), 1031)):
        sheet.append(["rain"])
        sheet.append([rain])
    book.save(tmp_path / "b.xlsx")
    assert read(InspectTable(tmp_path)("b.xlsx")) == [1031]


def test_parquet_feather_and_json(tmp_path: Path) -> None:
    frame = pd.DataFrame({"day": pd.to_datetime(["2024-01-03", None]), "units": [1, 2]})
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_feather(tmp_path / "a.feather")
    expected = (
        "2 rows, 2 columns\nday (date), units (integer)\nfirst rows:\nday,units\n2024-01-03,1"
    )
    for name in ("a.parquet", "a.feather"):
        assert InspectTable(tmp_path)(name).startswith(f"{name}: {expected}")
    text = inspect(tmp_path, "a.json", '{"count": 2, "items": [{"a": 1}, {"a": 2, "b": [3]}]}')
    assert text.startswith("a.json: 2 rows, 2 columns\na (integer), b (text)")
    assert inspect(tmp_path, "b.jsonl", '{"a": 1.5}\n{"a": 2}\n').startswith(
        "b.jsonl: 2 rows, 1 column\na (number)"
    )


def test_a_table_in_an_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("in/sales.csv", SALES)
    assert InspectTable(tmp_path)("a.zip/in/sales.csv").startswith(
        "a.zip/in/sales.csv: 4 rows, 4 columns"
    )


def test_a_million_rows_in_bounded_time(tmp_path: Path) -> None:
    rows = "".join(f"{n},{n % 9}.5,word{n % 5}\n" for n in range(20_000)) * 50
    started = time.monotonic()
    text = inspect(tmp_path, "m.csv", "a,b,c\n" + rows)
    assert text.startswith(
        "m.csv: 1000000 rows (types and summary from the first 200000), 3 columns\na (integer)"
    )
    assert "b: 0 missing, 9 distinct, min 0.5" in text
    assert time.monotonic() - started < 45, "the limit of the converter"
