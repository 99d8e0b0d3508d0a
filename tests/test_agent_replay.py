"""Which code may be run a second time to rebuild variables, and how tool results are kept."""

import json

import pytest

from agent.recorder import MAX_KEPT_CHARS, Recorder
from agent.replay import Rules
from errors import ToolError


@pytest.mark.parametrize(
    ("code", "twice", "chance"),
    [
        ("x = 1\nprint(x)", "", ""),
        ("import random", "", ""),
        ("import random as r\nr.choice([1])", "", "chance"),
        ("from random import choice\nchoice([1])", "", "chance"),
        ("import random\nrandom.seed(3)\nrandom.random()", "", ""),
        ("import random\nrandom.seed()\nrandom.random()", "", "chance"),
        ("import numpy as np\nnp.random.rand(3)", "", "chance"),
        ("import numpy as np\nnp.random.default_rng(7).random()", "", ""),
        ("import numpy as np\nnp.array([1]).mean()", "", ""),
        ("import secrets\nsecrets.token_hex()", "", "chance"),
        ("import time\ntime.sleep(0)", "", ""),
        ("import time\nt = time.time()", "", "clock"),
        ("from datetime import datetime as d\nd.now()", "", "clock"),
        ("import datetime\ndatetime.date(2024, 1, 1)", "", ""),
        ("import pandas as pd\npd.Timestamp.now()", "", "clock"),
        ("open('a.txt', 'w').write('x')", "", ""),
        ("open('axe.txt')", "", ""),
        ("open('a.txt', 'a').write('x')", "adds", ""),
        ("open('a.txt', mode='r+')", "adds", ""),
        ("open('a.txt', m)", "told", ""),
        ("from pathlib import Path\nPath('a').open('ab')", "adds", ""),
        ("from pathlib import Path\nPath('axe').open()", "", ""),
        ("import io\nio.open('axe', 'x')", "adds", ""),
        ("df.to_csv('a.csv', mode='a')", "adds", ""),
        ("df.to_csv('a.csv')", "", ""),
        ("import os\nos.remove('a')", "removes", ""),
        ("from os import remove as r\nr('a')", "removes", ""),
        ("import shutil\nshutil.move('a', 'b')", "moves", ""),
        ("Path('a').unlink()", "removes", ""),
        ("df.rename(columns={})", "", ""),
        ("import subprocess\nsubprocess.run(['ls'])", "programs", ""),
        ("import os\nos.system('ls')", "programs", ""),
        ("import requests\nrequests.post('http://x')", "network", ""),
        ("from urllib.request import urlopen\nurlopen('http://x')", "network", ""),
        ("from urllib.parse import quote\nquote('x')", "", ""),
        ("import sqlite3\nsqlite3.connect('a.db')", "database", ""),
        ("exec('x = 1')", "not in it", ""),
        ("df.eval('a + b')", "", ""),
        ("x = (", "", ""),
    ],
)
def test_what_a_steps_code_would_do_twice(code: str, twice: str, chance: str) -> None:
    found = Rules().effects(code)
    for wanted, said in ((twice, found.twice), (chance, found.chance)):
        assert bool(wanted) is bool(said) and wanted in said, found


def test_imports_and_seeds_of_earlier_steps_count() -> None:
    rules = Rules()
    assert rules.effects("import random as r, os as o").chance == ""
    assert "chance" in rules.effects("x = r.random()").chance
    assert "removes" in rules.effects("o.remove('a')").twice
    rules.effects("r.seed(1)")
    assert rules.effects("x = r.random()").chance == ""


class Tools:
    """A tool as the sandbox sees one, with attributes of its own."""

    inputs = {"x": {"type": "any"}}

    def __init__(self, *results: object) -> None:
        self.results = list(results)

    def __call__(self, **arguments: object) -> object:
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result


def test_calls_are_kept_whole_and_answered_in_their_order() -> None:
    recorder = Recorder()
    tool = Tools({"a": [1, 2.5, None, "x"]}, ValueError("no"), "second")
    wrapped = recorder.wrap({"t": tool})["t"]
    assert wrapped.inputs is tool.inputs
    recorder.begin()
    assert wrapped(x=1) == {"a": [1, 2.5, None, "x"]}
    with pytest.raises(ValueError, match="no"):
        wrapped(x=2)
    wrapped(x=1)
    calls, why = recorder.whole()
    assert not why and not tool.results
    recorder.begin(json.loads(json.dumps(calls)))
    assert wrapped(x=1) == {"a": [1, 2.5, None, "x"]}
    assert wrapped(x=1) == "second", "each record is used once"
    with pytest.raises(ValueError, match="no"):
        wrapped(x=2)
    assert not recorder.missed
    with pytest.raises(RuntimeError, match="not called so before"):
        wrapped(x=1)
    assert recorder.missed


def test_a_tool_s_error_is_the_same_when_it_is_answered_from_the_record() -> None:
    recorder = Recorder()
    refused = ToolError("No such page.", "Look for it first.", seen_as=ConnectionError)
    wrapped = recorder.wrap({"t": Tools(refused)})["t"]
    recorder.begin()
    with pytest.raises(ToolError):
        wrapped(x=1)
    recorder.begin(json.loads(json.dumps(recorder.whole()[0])))
    with pytest.raises(ConnectionError, match=r"No such page\. Look for it first\."):
        wrapped(x=1)


@pytest.mark.parametrize("result", [(1, 2), {1: 2}, {1, 2}, b"x", float("nan"), object()])
def test_what_is_no_plain_data_can_not_be_kept(result: object) -> None:
    recorder = Recorder()
    recorder.begin()
    recorder.wrap({"t": Tools(result)})["t"](x=1)
    calls, why = recorder.whole()
    assert calls == [] and "plain data" in why


def test_nor_what_is_too_large_or_never_came_back() -> None:
    recorder = Recorder()
    recorder.begin()
    recorder.wrap({"t": Tools("x" * MAX_KEPT_CHARS)})["t"](x=1)
    assert "too large" in recorder.whole()[1]
    recorder.begin()
    with pytest.raises(KeyboardInterrupt):
        recorder.wrap({"t": Abandoned()})["t"](x=1)
    assert "did not come back" in recorder.whole()[1]


class Abandoned(Tools):
    def __call__(self, **arguments: object) -> object:
        raise KeyboardInterrupt
