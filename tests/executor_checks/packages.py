"""What may be imported, and what the model reads when it can't be."""

from pathlib import Path

from tests.executor_checks.common import Make, fails, with_tools


def check_a_missing_package_is_named_with_what_is_there_instead(make: Make) -> None:
    executor = make()
    wanted: list[str] = []
    executor.on_missing = lambda module: wanted.append(module) or ""
    for code, end in {
        "import xgboost": "No module named 'xgboost'. It isn't installed. Instead: "
        "sklearn.ensemble.HistGradientBoostingClassifier and …Regressor.",
        "from umap import UMAP": "No module named 'umap'. It isn't installed. Instead: "
        "sklearn.manifold.TSNE.",
        "import panda": "No module named 'panda'. Did you mean: 'pandas'?",
        "import statistic": "No module named 'statistic'. Did you mean: 'statistics'?",
        "import scipy.integral": "No module named 'scipy.integral'. "
        "Did you mean: 'scipy.integrate'?",
        "from math import squareroot, sqrtt": "cannot import name 'squareroot' from 'math'",
        "from collections import OrderdDict": "cannot import name 'OrderdDict' from 'collections'. "
        "Did you mean: 'OrderedDict'?",
    }.items():
        assert fails(executor, code).endswith(end), code
    assert wanted == ["xgboost", "umap", "panda", "statistic"]


def check_what_the_app_says_about_it_is_read_too(make: Make) -> None:
    executor = make()
    executor.on_missing = lambda module: f"The user is asked for {module}."
    assert fails(executor, "import xgboost").endswith("\nThe user is asked for xgboost.")
    code = (
        "def load():\n    try:\n        import xgboost\n    except ImportError as error:\n"
        "        raise ImportError('install xgboost with pip.') from error\nload()"
    )
    text = fails(executor, code)
    assert "install xgboost with pip. It isn't installed. Instead: sklearn.ensemble" in text
    assert text.endswith("\nThe user is asked for xgboost.")
    code = "try:\n    import xgboost\nexcept ImportError:\n    found = False\nfound"
    assert executor(code).output is False, "a program that knows what to do is left alone"
    assert "asked" not in fails(executor, "raise ImportError('of its own')")


def check_a_tool_is_not_a_module(make: Make) -> None:
    text = fails(with_tools(make), "import web_search")
    assert text.endswith(
        "No module named 'web_search'. web_search is already there: use it without importing it."
    )


def check_imports_can_be_narrowed(make: Make) -> None:
    executor = make(imports=["numpy", "pandas"])
    said = "may not be imported here. Here are: numpy, pandas and the standard library."
    assert fails(executor, "import sympy") == f"line 1: import sympy\nImportError: sympy {said}"
    assert said in fails(executor, "from networkx.algorithms import dag")
    assert said in fails(executor, "import importlib\nimportlib.import_module('sympy')")
    assert said in fails(executor, "__import__('sympy')")
    code = "import json, asyncio, numpy as np\nimport pandas as pd\nfrom pandas import DataFrame\n"
    assert executor(code + "pd.Series(np.arange(3)).sum() + 0").output == 3
    executor("open('own.py', 'w').write('import numpy\\nX = 1')")
    assert executor("import own\nown.X").output == 1
    executor("open('other.py', 'w').write('import sympy')")
    assert said in fails(executor, "import other")


def check_packages_of_the_session(make: Make, open_folder: Path) -> None:
    folder = open_folder / "packages"
    folder.mkdir()
    executor = make(packages=folder)
    assert "No module named 'extra_words'" in fails(executor, "import extra_words")
    (folder / "extra_words").mkdir()
    (folder / "extra_words" / "__init__.py").write_text("WORD = 'there'\nfrom . import more\n")
    (folder / "extra_words" / "more.py").write_text("import json\nMORE = json.dumps([1])\n")
    for name in ("json", "numpy", "fractions"):  # none of them hides what Python or Hearth brings
        (folder / f"{name}.py").write_text("raise RuntimeError('not this one')")
    (folder / "bad.pth").write_text("import sys; sys.started = 'by a file of paths'\n")
    code = "import extra_words, sys\n(extra_words.WORD, extra_words.more.MORE)"
    assert executor(code).output == ("there", "[1]")
    assert executor("import numpy, fractions\nhasattr(sys, 'started')").output is False
    executor("sys.path.remove(extra_words.__path__[0].removesuffix('/extra_words'))")
    (folder / "second.py").write_text("X = 2")
    assert executor("import second\nsecond.X").output == 2
    text = fails(executor, "def f():\n    import extra_words.nothing\nf()")
    assert "No module named 'extra_words.nothing'" in text and str(folder) not in text


def check_what_is_refused_says_what_to_do_instead(make: Make) -> None:
    executor = make()
    executor("import os, subprocess, socket, sys, multiprocessing, urllib.request")
    if executor.tier == "unconfined":  # then nothing is refused, and nothing is said
        assert executor("subprocess.run(['true']).returncode, os.system('exit 3') >> 8").output == (
            0,
            3,
        )
        return
    programs = "programs can't be started in the sandbox; do it in Python"
    installing = "packages can't be installed from the code; import what you need"
    for code, said in {
        "subprocess.run(['ls'])": programs,
        "subprocess.check_output('ls -l', shell=True)": programs,
        "os.system('ls')": programs,
        "os.popen('ls').read()": programs,
        "subprocess.run([sys.executable, '-m', 'pip', 'install', 'x'])": installing,
        "os.system('pip install x')": installing,
        "multiprocessing.Pool(2).map(abs, [1])": "use threads, such as concurrent.futures.Thread",
        "multiprocessing.Process(target=print).start()": "processes can't be started",
        "socket.create_connection(('127.0.0.1', 9))": "there is no network in the sandbox; use the",
        "urllib.request.urlopen('http://example.com/x')": "tools, such as web_search(query) and",
    }.items():
        assert said in fails(executor, code), code
    text = fails(executor, "open('/etc/shadow')")
    if executor.tier not in ("namespaces", "bubblewrap"):  # where the file isn't even there
        assert "Only files in the current folder can be read and written." in text
    code = "try:\n    subprocess.run(['ls'])\nexcept OSError as error:\n    said = str(error)\nsaid"
    assert programs in executor(code).output, "who catches the error reads it too"


def check_what_needs_no_process_works(make: Make) -> None:
    executor = make()
    executor("import asyncio, socket\nfrom multiprocessing import Queue, Lock, Value, Event, RLock")
    executor("from multiprocessing.pool import ThreadPool\nfrom multiprocessing.dummy import Pool")
    code = (
        "with ThreadPool(3) as pool, Pool(2) as other:\n"
        "    found = pool.map(abs, [-1, -2]) + other.map(abs, [-3])\nfound"
    )
    assert executor(code).output == [1, 2, 3]
    code = (
        "queue, lock, inner = Queue(2), Lock(), RLock()\nqueue.put('x')\n"
        "with lock, inner, inner:\n    busy = lock.acquire(block=False)\n"
        "late = inner.acquire() and inner.acquire(timeout=0.01)\n"
        "(queue.get(timeout=5), busy, late, Event().wait(0.01), Value('i', 5).value)"
    )
    assert executor(code).output == ("x", False, True, False, 5)
    a_pair = "a, b = socket.socketpair()\na.send(b'x')\nb.recv(1)"
    assert executor(a_pair).output == b"x"
    assert executor("await asyncio.to_thread(abs, -7)").output == 7


def check_lines_of_notebooks(make: Make) -> None:
    executor = make()
    assert fails(executor, "x = 1\n!pip install seaborn").endswith(
        "SyntaxError: invalid syntax. Packages can't be installed from the code: leave the line "
        "out and import what you need; if it is missing, the error says what is there instead."
    )
    assert fails(executor, "%matplotlib inline").endswith("not a notebook: leave the line out.")
    assert fails(executor, "!ls").endswith("Commands of a shell can't be run; do it in Python.")
    assert fails(executor, "x = = 1").endswith("SyntaxError: invalid syntax")


def check_a_file_that_is_elsewhere(make: Make) -> None:
    executor = make()
    assert fails(executor, "open('sales.csv')").endswith("No such file or directory: 'sales.csv'")
    executor("open('sales.csv', 'w').write('a')\nopen('note.txt', 'w').write('b')")
    for path in ("/mnt/data/sales.csv", "data/sales.csv", "Sales.csv", "sale.csv"):
        text = fails(executor, f"open({path!r})")
        assert text.endswith(f"'{path}'. Did you mean: 'sales.csv'?"), text
    assert fails(executor, "open('zzz')").endswith("'zzz'. Here are: note.txt, sales.csv")
    executor("open('own', 'w').close()\nimport os\nos.mkdir('folder')")
    assert "Only files" not in fails(executor, "open('folder')")
