"""The tier `seatbelt`: the text of its profile, on any system. Its effect shows on a Mac only."""

import re
import sys
from pathlib import Path

import pytest

from sandbox import confine
from sandbox.confine import Confinement, seatbelt

Node = list["Node | str"]


def parsed(text: str) -> list[Node]:
    """The profile's rules as nested lists. Raises ValueError for what is no such text."""
    token = re.compile(r';[^\n]*|\s+|([()])|"((?:[^"\\]|\\.)*)"|([^\s()";]+)')
    stack: list[Node] = [[]]
    position = 0
    while position < len(text):
        found = token.match(text, position)
        if found is None:
            raise ValueError(f"no token at {text[position : position + 20]!r}")
        position = found.end()
        bracket, quoted, word = found.groups()
        if bracket == "(":
            stack.append([])
        elif bracket == ")":
            last = stack.pop()
            stack[-1].append(last)
        elif quoted is not None:
            stack[-1].append("'" + re.sub(r"\\(.)", r"\1", quoted))
        elif word is not None:
            stack[-1].append(word)
    if len(stack) != 1:
        raise ValueError("a bracket is open")
    return stack[0]  # type: ignore[return-value]


@pytest.fixture
def rules(tmp_path: Path) -> list[Node]:
    (tmp_path / "work").mkdir()
    (tmp_path / "packages").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "work")
    c = Confinement("seatbelt", str(tmp_path / "link"), readable=(str(tmp_path / "packages"),))
    return parsed(seatbelt.profile(c, tmp_path / "code"))


def named(rules: list[Node], operation: str) -> set[str]:
    """The paths and names that an operation is allowed for."""
    found: set[str] = set()
    for rule in rules:
        if rule[0] == "allow" and operation in rule:
            found |= {str(part[1]) for part in rule if isinstance(part, list)}
    return {name.removeprefix("'") for name in found}


def test_it_denies_by_default_and_says_what_it_denies(rules: list[Node]) -> None:
    assert rules[:2] == [["version", "1"], ["deny", "default"]]
    assert ["deny", "network*"] in rules and ["deny", "process-fork"] in rules
    assert {rule[0] for rule in rules[1:]} == {"allow", "deny"}
    for rule in rules:  # nothing is allowed for everything but what the list says
        if rule[0] == "allow" and not any(isinstance(part, list) for part in rule):
            assert rule[1:] in (["sysctl-read"], ["file-read-metadata"])


def test_only_the_workspace_is_written(rules: list[Node], tmp_path: Path) -> None:
    work = str((tmp_path / "work").resolve())
    assert named(rules, "file-write*") == {work}  # by its real name
    assert named(rules, "file-write-data") == {"/dev/null", "/dev/zero"}
    writes = [part for rule in rules for part in rule if str(part).startswith("file-write")]
    assert sorted(map(str, writes)) == ["file-write*", "file-write-data"]


def test_what_is_read(rules: list[Node], tmp_path: Path) -> None:
    read = named(rules, "file-read*")
    assert {str((tmp_path / "packages").resolve()), "/usr/lib", "/System/Library"} <= read
    assert str(tmp_path.resolve() / "code" / "sandbox") in read
    for place in ("/", "/Users", "/private", "/private/etc", "/private/tmp", str(Path.home())):
        assert place not in read
    assert named(rules, "file-read-data") == {"/", str(tmp_path.resolve() / "code")}
    kinds = {str(part[0]) for rule in rules for part in rule if isinstance(part, list)}
    assert kinds == {"literal", "subpath", "target", "global-name", "ipc-posix-name"}


def test_only_this_python_is_executed(rules: list[Node]) -> None:
    programs = named(rules, "process-exec*")
    assert sys.executable in programs
    assert all("python" in program.lower() for program in programs)
    executing = [rule for rule in rules if "process-exec*" in rule]
    assert len(executing) == 1
    assert {part[0] for part in executing[0] if isinstance(part, list)} == {"literal"}


def test_names_can_not_break_out_of_their_quotes(tmp_path: Path) -> None:
    folder = tmp_path / 'a"b\\c) (allow default) (x "'
    folder.mkdir()
    rules = parsed(seatbelt.profile(Confinement("seatbelt", str(folder)), tmp_path))
    assert named(rules, "file-write*") == {str(folder.resolve())}
    assert ["allow", "default"] not in rules
    for name in ("line\nbreak", "\x1b[31m"):
        with pytest.raises(ValueError, match="can't name"):
            seatbelt.profile(Confinement("seatbelt", str(tmp_path / name)), tmp_path)


def test_the_worker_is_started_by_it(tmp_path: Path) -> None:
    c = Confinement("seatbelt", str(tmp_path))
    wrapped = confine.command(c, ["python", "-c", "x"], tmp_path)
    assert wrapped == [
        "/usr/bin/sandbox-exec", "-p", seatbelt.profile(c, tmp_path), "python", "-c", "x",
    ]  # fmt: skip
    assert confine.is_wrapped("seatbelt")
    plain = Confinement("unconfined", str(tmp_path))
    assert confine.command(plain, ["python"], tmp_path) == ["python"]


@pytest.mark.skipif(sys.platform == "darwin", reason="there the self-test shows it")
def test_a_process_that_it_did_not_start_is_not_taken_for_confined(tmp_path: Path) -> None:
    from tests.confined import start

    ended = start("seatbelt", tmp_path, lambda: None).wait()
    assert ended.code == confine.CANT_CONFINE
    assert "the Seatbelt profile is not in force" in ended.text
