"""Items 90 to 97: what a step leaves in the interpreter harms neither the next nor a neighbour.

The same in every tier: there is no control but the step before, in which the harm is done.
"""

from tests.executor_checks import keeping
from tests.executor_checks.place import Place


def check_090_what_a_step_defines_is_there_in_the_next(place: Place) -> None:
    executor = place.make()
    executor("import math\ndef double(n):\n    return 2 * n\nkept = [1]")
    assert executor("kept.append(double(math.floor(2.5)))\nkept").output == [1, 4]
    if place.real_python:
        executor("class A:\n    x = 1\n    def f(self):\n        return self.x\na = A()")
        assert executor("a.f()").output == 1
    executor.cleanup()


def check_091_tools_come_back(place: Place) -> None:
    executor = place.make()
    executor("web_search = 5\nfinal_answer = None\nsame = lambda x: 'no'")
    if place.real_python:
        executor("del slow")
    assert executor("web_search('x')").output == "x/5"
    assert executor("same(3)").output == 3
    assert executor("final_answer(1)").is_final_answer
    executor.cleanup()


def check_092_builtins_come_back(place: Place) -> None:
    executor = place.make()
    if place.restricted:
        executor("len = sum = None")
        assert executor("max(1, 2)").output == 2
        executor.cleanup()
        return
    keeping.check_builtins_are_restored(place.make)
    code = (
        "import builtins\n"
        "for name in list(vars(builtins)):\n"
        "    if not name.startswith('_'):\n        setattr(builtins, name, None)\n"
    )
    try:
        executor(code)
    except Exception as error:  # noqa: BLE001 - with everything gone, how it ends is open
        assert type(error).__name__ == "CodeError"
    assert executor("sorted([len('ab'), max(1, 3)])").output == [2, 3]
    executor.cleanup()


def check_093_replaced_modules_do_no_lasting_harm(place: Place) -> None:
    if place.lacks("import sys\nsys.modules['json'] = 5"):
        return
    keeping.check_replaced_modules(place.make)
    executor = place.make()
    code = (
        "import os, struct, threading, queue, gc\n"
        "for module in (os, struct, threading, queue):\n"
        "    for name in list(vars(module)):\n"
        "        if not name.startswith('__'):\n            setattr(module, name, None)\n"
    )
    try:  # works on, or ends and says so
        executor(code)
        executor("print('x')")
    except Exception as error:  # noqa: BLE001
        assert type(error).__name__ == "CodeError", error
    for _ in range(3):
        try:
            assert executor("1 + 1").output == 2
            break
        except Exception as error:  # noqa: BLE001
            assert type(error).__name__ == "CodeError", error
            assert "Variables are gone" in str(error), error
    else:
        raise AssertionError("the sandbox never came back")
    executor.cleanup()


def check_094_hooks_have_no_hold_on_the_loop(place: Place) -> None:
    if place.lacks("import sys\nsys.settrace(None)"):
        return
    keeping.check_hooks_do_no_harm(place.make)
    executor = place.make()
    executor(
        "import sys, atexit, signal, builtins\nseen = []\n"
        "sys.settrace(lambda *a: seen.append(a))\n"
        "sys.addaudithook(lambda *a: None)\n"
        "builtins.__build_class__ = None\n"
        "signal.signal(signal.SIGINT, lambda *a: seen.append('int'))\n"
    )
    executor("seen.clear()")
    assert executor("def f():\n    return 3\nf()").output == 3
    assert executor("seen").output == []
    executor.cleanup()


def check_095_files_in_the_workspace_hide_no_library(place: Place) -> None:
    names = [
        "json.py",
        "numpy.py",
        "sitecustomize.py",
        "usercustomize.py",
        "random.py",
        "msgspec.py",
    ]
    executor = place.make()
    executor.workspace.mkdir(exist_ok=True)
    for name in names:  # there before the process starts
        (executor.workspace / name).write_text("raise SystemExit('this file was run')\n")
    assert executor("import json\njson.dumps([1])").output == "[1]"
    if place.real_python:
        assert executor("import numpy, random\nint(numpy.arange(3).sum())").output == 3
        place.text_of("import os\nos._exit(1)", "limit", executor)
        assert executor("import numpy, json\nnumpy.__name__ + json.__name__").output == "numpyjson"
        keeping.check_workspace_hides_no_library(place.make)
    executor.cleanup()


def check_096_a_restart_says_what_is_gone_and_what_is_kept(place: Place) -> None:
    if place.lacks("import os\nos._exit(1)"):
        return
    executor = place.make()
    executor("kept = 5\nopen('kept.txt', 'w').write('file')")
    text = place.text_of("import os\nos._exit(3)", "limit", executor)
    assert "Variables are gone" in text and "files in the workspace are kept" in text
    assert "NameError" in place.text_of("kept", executor=executor)
    assert executor("open('kept.txt').read() + web_search('q')").output == "fileq/5"
    executor.cleanup()


def check_097_two_sessions_share_nothing(place: Place) -> None:
    one, two = place.make(), place.make()
    one("mine = 'of one'")
    assert "NameError" in place.text_of("mine", executor=two)
    if place.lacks("import json\njson.mine = 1"):
        one.cleanup()
        two.cleanup()
        return
    one("import json\njson.mine = 1")
    assert two("import json\nhasattr(json, 'mine')").output is False
    code = "import os, tempfile\nopen('here.txt', 'w').write('x')\n"
    code += "os.getpid(), os.getcwd(), tempfile.gettempdir(), os.path.expanduser('~')"
    first, second = one(code).output, two(code).output
    assert not set(first[1:]) & set(second[1:])
    assert one.pid != two.pid
    # Random numbers are drawn anew in each, although both were forked from the same process.
    draw = "import random, numpy, os, uuid\n"
    draw += "random.random(), numpy.random.rand(), os.urandom(8), str(uuid.uuid4())"
    assert not set(one(draw).output) & set(two(draw).output)
    # Neither sees the other's folder, nor is its process to be felt.
    where = str(one.workspace / "here.txt")
    attempts = {
        "read": f"open({where!r}).read()",
        "write": f"open({where!r}, 'a').close()",
        "list": f"os.listdir({str(one.workspace)!r})",
        "signal": f"os.kill({one.pid}, 0)",
    }
    place.refused(attempts)
    assert one("open('here.txt').read()").output == "x"
    one.cleanup()
    two.cleanup()
