"""Task files, result files and the report: what is read, resumed, counted and written."""

import base64
import hashlib
import json
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from errors import InputError
from evals import report
from evals.results import Result, ResultFile, read_results
from evals.tasks import load_tasks
from serving.tiny.example import Example, Expect, Step, WebPage
from serving.tiny.phrasings import is_held_out

ABOUT: dict[str, Any] = {
    "model": "tiny",
    "model_hash": "abc",
    "max_steps": 8,
    "tasks": {"t.jsonl": "123"},
    "seeds": [41],
    "command": "python -m evals run t.jsonl --out r.jsonl",
    "versions": {"python": "3.11"},
}


def example(**more: Any) -> Example:
    return Example(
        family="tables",
        phrasing="how many in {file}",
        task="How many in a.csv?",
        expect=Expect("number", 2),
        steps=[Step("Look.", "print(1)"), Step("Count.", "final_answer(2)")],
        files={"a.csv": b"x\n\xff\n"},
        notes={"n.md": "hi"},
        web=[WebPage("T", "https://a.example", "S")],
        **more,
    )


def write_tasks(path: Path, *rows: dict[str, Any] | str) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def result(family: str = "a", held_out: bool = False, right: bool = True, **more: Any) -> Result:
    values: dict[str, Any] = {
        "id": "",
        "family": family,
        "phrasing": "p",
        "held_out": held_out,
        "task": "What?",
        "right": right,
        "why": "" if right else "'1', not '2'",
        "answer": "2",
        "status": "answered",
        "provenance": "computed",
        "error": "",
        "steps": 2,
        "seconds": 1.5,
        "input_tokens": 10,
        "output_tokens": 20,
        "code": ["final_answer(2)"],
    } | more
    return Result(**values)


class TestTasks:
    def test_what_the_generator_writes_is_read(self, tmp_path: Path) -> None:
        rows = [example(given=1).to_dict(), "", example().to_dict()]
        first, second = load_tasks([write_tasks(tmp_path / "t.jsonl", *rows)])
        assert first.files == {"a.csv": b"x\n\xff\n"}
        assert first.notes == {"n.md": "hi"}
        assert (first.expect.kind, first.expect.value) == ("number", 2)
        assert [page.address for page in first.web] == ["https://a.example"]
        assert [step.code for step in first.given] == ["print(1)"]
        assert second.given == []
        assert first.id != second.id

    def test_each_task_counts_once(self, tmp_path: Path) -> None:
        other = example().to_dict() | {"steps": []}
        paths = [
            write_tasks(tmp_path / "1.jsonl", example().to_dict()),
            write_tasks(tmp_path / "2.jsonl", other, other | {"task": "Another?"}),
        ]
        assert [task.task for task in load_tasks(paths)] == ["How many in a.csv?", "Another?"]

    def test_the_side_is_that_of_the_generator(self, tmp_path: Path) -> None:
        rows = [example().to_dict() | {"phrasing": f"{n}", "task": f"{n}"} for n in range(60)]
        for task in load_tasks([write_tasks(tmp_path / "t.jsonl", *rows)]):
            assert task.held_out == is_held_out("tables", task.phrasing)
        more = {"held_out": True, "seed": 3}
        (told,) = load_tasks([write_tasks(tmp_path / "u.jsonl", rows[0] | more)])
        assert (told.held_out, told.seed) == (True, 3)

    @pytest.mark.parametrize(
        ("row", "said"),
        [
            ("{", "line 1 is no task"),
            ("[]", "line 1 is no task"),
            ({"family": "a"}, "'expect' is missing"),
            (example().to_dict() | {"expect": {"kind": "poem", "value": 1}}, "'poem', not one of"),
            (
                example().to_dict() | {"expect": {"kind": "number", "value": "x"}},
                "'x', which is no number",
            ),
            (example().to_dict() | {"expect": {"kind": "list", "value": 3}}, "which is no list"),
            (example().to_dict() | {"files": {"../x": ""}}, "no plain file name"),
            (example().to_dict() | {"notes": {"/x": ""}}, "no plain file name"),
            (example().to_dict() | {"files": {"x": "%%"}}, "not in base64"),
            ("", "hold no tasks"),
        ],
    )
    def test_bad_files_are_named(self, tmp_path: Path, row: Any, said: str) -> None:
        with pytest.raises(InputError, match=said):
            load_tasks([write_tasks(tmp_path / "t.jsonl", row)])

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="can't be read"):
            load_tasks([tmp_path / "none.jsonl"])


class TestResults:
    def test_results_come_back_and_the_last_one_of_a_task_counts(self, tmp_path: Path) -> None:
        path = tmp_path / "deep" / "r.jsonl"
        file = ResultFile(path, ABOUT)
        for entry in (result(id="1"), result(id="2", status="failed", right=False)):
            file.add(entry)
        again = ResultFile(path, ABOUT)
        assert again.done_ids == {"1"}, "what failed through our fault is done again"
        again.add(result(id="2", right=False))
        about, results = read_results(path)
        assert about == ABOUT
        assert [(r.id, r.status) for r in results] == [("1", "answered"), ("2", "answered")]

    def test_a_line_that_was_cut_off_is_done_again(self, tmp_path: Path) -> None:
        path = tmp_path / "r.jsonl"
        file = ResultFile(path, ABOUT)
        file.add(result(id="1"))
        whole = path.read_bytes()
        file.add(result(id="2"))
        path.write_bytes(path.read_bytes()[:-7])
        assert [r.id for r in read_results(path)[1]] == ["1"]
        again = ResultFile(path, ABOUT)
        assert path.read_bytes() == whole
        again.add(result(id="3"))
        assert [r.id for r in read_results(path)[1]] == ["1", "3"]

    @pytest.mark.parametrize(
        "change", [{"model": "big"}, {"model_hash": "x"}, {"max_steps": 3}, {"tasks": {}}]
    )
    def test_two_runs_are_not_mixed(self, tmp_path: Path, change: dict[str, Any]) -> None:
        path = tmp_path / "r.jsonl"
        ResultFile(path, ABOUT).add(result(id="1"))
        with pytest.raises(InputError, match="another run"):
            ResultFile(path, ABOUT | change)
        same = ABOUT | {"command": "other"}
        assert ResultFile(path, same, replace=True).done_ids == {"1"}
        assert ResultFile(path, ABOUT | change, replace=True).done == []
        assert read_results(path) == (ABOUT | change, [])

    def test_a_place_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError, match="can't be written"):
            ResultFile(tmp_path / "file" / "r.jsonl", ABOUT)

    @pytest.mark.parametrize("text", ["", "{}\n", "no json\n", '{"about": {}}\n{"id": 1}\n'])
    def test_no_file_of_results(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "r.jsonl").write_text(text)
        with pytest.raises(InputError, match="no file of results"):
            read_results(tmp_path / "r.jsonl")

    def test_threads_do_not_tear_lines(self, tmp_path: Path) -> None:
        file = ResultFile(tmp_path / "r.jsonl", ABOUT)

        def add(start: int) -> None:
            for number in range(start, start + 50):
                file.add(result(id=str(number), answer="x" * 5_000))

        threads = [threading.Thread(target=add, args=(n * 50,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(read_results(file.path)[1]) == 200


def many(family: str, held_out: bool, right: int, of: int) -> list[Result]:
    return [result(family, held_out, n < right, id=f"{family}{held_out}{n}") for n in range(of)]


RESULTS = [*many("b", False, 19, 20), *many("a", False, 20, 20), *many("a", True, 15, 20)]


class TestReport:
    def test_the_table(self) -> None:
        assert report.table(RESULTS).splitlines() == [
            "| family | wordings seen | wordings held out |",
            "|---|---|---|",
            "| a | 100 % (20/20) | 75 % (15/20) |",
            "| b | 95 % (19/20) | – |",
            "| **all** | **97.5 %** (39/40; 95 % interval 87.1–99.6) | **75.0 %** (15/20; 95 % "
            "interval 53.1–88.8) |",
        ]

    def test_it_says_how_to_make_it_again(self) -> None:
        text = report.report(ABOUT, RESULTS)
        for part in (
            ABOUT["command"],
            "tiny",
            "abc",
            "t.jsonl",
            "123",
            "python 3.11",
            "60 answered",
        ):
            assert part in text

    def test_shortfalls(self) -> None:
        assert report.shortfalls(RESULTS) == []
        bad = [*many("a", False, 90, 100), *many("c", True, 5, 10), *many("a", True, 30, 30)]
        assert report.shortfalls(bad) == [
            "seen: 90.0%, at least 95% is needed",
            "c: 50.0%, at least 60% is needed",
        ]
        assert report.shortfalls(many("a", False, 1, 1)) == ["held out: nothing measured"]
        both = [*many("a", False, 99, 99), *many("b", False, 1, 2), *many("b", True, 8, 10)]
        assert not any("b" in line.split(":")[0].split() for line in report.shortfalls(both))

    def test_wrong_answers_are_listed(self) -> None:
        assert report.failures(RESULTS, most=2).splitlines() == [
            "b: 'What?' → '1', not '2'",
            "a: 'What?' → '1', not '2'",
            "… and 4 more",
        ]

    def test_the_card_keeps_all_but_the_table(self, tmp_path: Path) -> None:
        card = tmp_path / "README.md"
        card.write_text(f"# Tiny\n{report.BEGIN}\nold\n{report.END}\nend\n")
        report.write_card(card, "| new |")
        assert card.read_text() == f"# Tiny\n{report.BEGIN}\n| new |\n{report.END}\nend\n"
        report.write_card(card, "| newer |")
        assert "| new |" not in card.read_text()
        assert [file.name for file in tmp_path.iterdir()] == ["README.md"]

    @pytest.mark.parametrize("text", ["", report.BEGIN, f"{report.END}\n{report.BEGIN}"])
    def test_a_card_without_a_place(self, tmp_path: Path, text: str) -> None:
        card = tmp_path / "README.md"
        card.write_text(text)
        with pytest.raises(InputError, match="no place"):
            report.write_card(card, "x")
        assert card.read_text() == text
        with pytest.raises(InputError, match="can't be read"):
            report.write_card(tmp_path / "none.md", "x")


def test_the_identity_of_a_task_does_not_change_between_versions(tmp_path: Path) -> None:
    """Results of last month still belong to their tasks."""
    row = {
        "family": "f",
        "phrasing": "p",
        "task": "Größe?",
        "expect": {"kind": "text", "value": "x", "tolerance": 1e-06},
        "files": {"a": base64.b64encode(b"1").decode()},
    }
    (task,) = load_tasks([write_tasks(tmp_path / "t.jsonl", row)])
    told = row | {"notes": None, "web": None, "given": []}
    told.pop("phrasing")
    text = json.dumps(told, sort_keys=True, ensure_ascii=False)
    assert task.id == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert asdict(task.expect)["value"] == "x"
