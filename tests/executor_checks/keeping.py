"""What one step breaks, the next one finds whole; and the files that a step leaves."""

from typing import Any

import pytest

from errors import CodeError
from tests.executor_checks.common import Make, fails, with_tools


def check_builtins_are_restored(make: Make) -> None:
    executor = with_tools(make)
    executor("import builtins\nbuiltins.len = None\nbuiltins.sum = lambda *a: 0\ndel builtins.max")
    assert executor("len([1, 2]), sum([1, 2]), max(1, 2)").output == (2, 3, 2)
    executor("builtins.isinstance = builtins.type = builtins.print = builtins.__import__ = None")
    assert executor("import json\njson.loads('[1]'), type(1) is int").output == ([1], True)


def check_replaced_modules(make: Make) -> None:
    executor = with_tools(make)
    executor(
        "import sys, os, json, struct\nsys.modules['json'] = 5\nstruct.Struct = struct.pack = None"
    )
    executor("os.write = os.read = None\nimport threading, queue\nthreading.get_ident = None")
    assert executor("print('x')\nweb_search('y')").output == "y/5"


def check_replaced_streams(make: Make) -> None:
    executor = make()
    executor("import sys, io\nsys.stdout = io.StringIO()\nsys.stderr = None\nprint('lost')")
    assert executor("print('seen')").logs == "seen\n"
    executor("sys.stdout.close()\nsys.stdout = None")
    assert executor("print('seen')").logs == "seen\n"
    code = "import contextlib\nwith contextlib.redirect_stdout(io.StringIO()) as s:\n    print('in')\ns.getvalue()"  # noqa: E501
    assert executor(code).output == "in\n"


def check_hooks_do_no_harm(make: Make) -> None:
    executor = make()
    executor(
        "import sys, threading\nsys.excepthook = threading.excepthook = sys.displayhook = None"
    )
    executor("def trace(*a):\n    raise OSError\nthreading.settrace(trace)")
    with pytest.raises(CodeError):
        executor("sys.settrace(trace)\nsys.setprofile(trace)\nlen([])")
    assert executor("def f():\n    return 2\nf()").output == 2


def check_workspace_hides_no_library(make: Make) -> None:
    executor = make()
    executor("open('json.py', 'w').write('x = 1')\nopen('numpy.py', 'w').write('x = 1')")
    executor("open('helper.py', 'w').write('def twice(n):\\n    return n * 2\\n')")
    assert executor("import json, helper\njson.dumps([helper.twice(2)])").output == "[4]"
    assert fails(executor, "helper.twice()").startswith("line 1: helper.twice()\nTypeError")
    executor("open('later.py', 'w').write('def boom():\\n    raise OSError(1)')")
    assert fails(executor, "import later\nlater.boom()") == (
        "line 2: later.boom()\nlater.py, line 2: raise OSError(1)\nOSError: 1"
    )


def check_no_secrets(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    executor = make()
    found = executor("import os\ndict(os.environ)").output
    assert "secret" not in str(found)
    assert found["MPLBACKEND"] == "Agg" and found["OPENBLAS_CORETYPE"] == "Haswell"
    inside = str(executor.workspace)
    assert all(found[name].startswith(inside) for name in ("HOME", "TMPDIR", "MPLCONFIGDIR"))
    assert executor("import tempfile\ntempfile.gettempdir()").output == found["TMPDIR"]


def check_descriptors(make: Make) -> None:
    executor = make()
    other = make()
    other("1")
    code = "import os\nfound = []\nfor fd in range(200):\n    try:\n        os.fstat(fd)\n        found.append(fd)\n    except OSError:\n        pass\nlen(found)"  # noqa: E501
    assert executor(code).output <= 5  # stdin, stdout, stderr and the two ends of the wire


def names(executor: Any) -> list[str]:
    return [str(path.relative_to(executor.workspace)) for path in executor.artefacts]


def check_artefacts(make: Make) -> None:
    executor = make()
    executor.workspace.mkdir(parents=True, exist_ok=True)
    (executor.workspace / "sales.csv").write_text("a,b\n1,2\n")
    executor("open('new.txt', 'w').write('x')\nimport os\nos.makedirs('sub/deep')\n"
             "open('sub/deep/b.txt', 'w').write('y')")  # fmt: skip
    assert sorted(names(executor)) == ["new.txt", "sub/deep/b.txt"]
    assert executor.artefacts[0].is_absolute()
    executor("1")
    assert names(executor) == []
    executor("f = open('sales.csv', 'a')\nf.write('3,4\\n')")
    assert names(executor) == ["sales.csv"]
    assert (executor.workspace / "sales.csv").read_text() == "a,b\n1,2\n3,4\n"
    with pytest.raises(CodeError):
        executor("open('half.txt', 'w').write('z')\n1/0")
    assert names(executor) == ["half.txt"]


def check_odd_artefacts(make: Make) -> None:
    executor = make()
    code = (
        "import os\nopen('one', 'w').close()\n"
        "for act in (lambda: os.symlink('/etc/passwd', 'link'),\n"
        "            lambda: os.symlink('/etc', 'folder'),\n"
        "            lambda: os.mkfifo('pipe'), lambda: os.link('one', 'two')):\n"
        "    try:\n        act()\n    except OSError:\n        pass\n"
        "if os.path.exists('two'):\n    os.remove('two')\n"
        "open(b'bad\\xff', 'w').close()\nopen('new\\nline', 'w').close()\n"
        "open(os.path.expanduser('~/cache'), 'w').close()"
    )
    executor(code)
    assert names(executor) == ["one"]
    executor("1")
    outside = executor.workspace.with_suffix(".outside")
    outside.write_text("x")
    for name, target in (("there.txt", outside), ("here.txt", executor.workspace / "one")):
        (executor.workspace / name).hardlink_to(target)
    executor("open('here.txt', 'a').close()\nopen('fine', 'w').close()")
    assert names(executor) == ["fine"]


def check_artefacts_are_bounded(make: Make) -> None:
    executor = make()
    logs = executor("for i in range(600):\n    open(f'{i:03}', 'w').close()").logs
    assert len(names(executor)) == 500
    assert logs == "[only 500 of 600 new files are listed]\n"
    code = "with open('large', 'wb') as f:\n    f.truncate(150_000_000)\nprint('x', end='')"
    assert executor(code).logs == "x\n[large: 150 MB, too large to be handed on]\n"
    assert names(executor) == []


def check_figures(make: Make) -> None:
    executor = make()
    executor("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nplt.figure()")
    assert names(executor) == ["figure-1.png", "figure-2.png"]
    assert (executor.workspace / "figure-1.png").read_bytes()[:4] == b"\x89PNG"
    assert executor.state["_print_outputs"] == ""
    executor("1")
    assert names(executor) == []
    executor("plt.plot([3, 1])\nplt.savefig('mine.png')")
    assert names(executor) == ["mine.png"]
    with pytest.raises(CodeError):
        executor("plt.plot([3, 1])\n1 / 0")
    assert names(executor) == []
    executor("plt.plot([3, 1])\nNone")
    assert names(executor) == ["figure-3.png"]


def check_two_sessions_are_apart(make: Make) -> None:
    one, two = make(), make()
    one("x = 1\nopen('one.txt', 'w').close()")
    assert "NameError" in fails(two, "x")
    assert one.pid != two.pid
    assert names(two) == []
