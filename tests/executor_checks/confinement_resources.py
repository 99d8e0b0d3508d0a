"""Items 49 to 66: what a step may use, and what is left when it wanted more.

These bounds hold in every tier, the unconfined one too: so there is no control. The bound is
shown by what happens at it, and what stays possible below it.
"""

import time

import psutil

from tests.executor_checks import calling, running
from tests.executor_checks.place import Place

_KEPT, _GONE = "Variables were kept.", "Variables are gone"


def _timed_out(place: Place, code: str, said: str, seconds: float = 0.4) -> None:
    """The code is stopped at its time, and what is said about the variables is so."""
    executor = place.make(timeout_seconds=seconds)
    executor("kept = 5")
    began = time.monotonic()
    text = place.text_of(code, "timeout", executor)
    assert time.monotonic() - began < seconds + 6
    assert said in text, text
    if said == _KEPT:
        assert executor("kept").output == 5
    else:
        assert "NameError" in place.text_of("kept", executor=executor)
    executor.cleanup()


def check_049_an_endless_loop_is_interrupted(place: Place) -> None:
    if place.restricted:
        return _stopped(place)
    return _timed_out(place, "while True:\n    kept = 5", _KEPT)


def _stopped(place: Place) -> None:
    executor = place.make(timeout_seconds=0.4)
    place.text_of("while True:\n    kept = 5", "timeout", executor)
    assert executor("1 + 1").output == 2
    executor.cleanup()


def check_050_a_loop_that_swallows_interrupts_is_killed(place: Place) -> None:
    if place.restricted:
        return  # an interrupt is nothing that its language can catch
    # Not `while True: x += 1`: in CPython 3.11 and 3.12 the interrupt escapes such a `try`.
    code = (
        "import time\nwhile True:\n    try:\n        time.sleep(0.01)\n"
        "    except BaseException:\n        pass"
    )
    _timed_out(place, code, _GONE)


def check_051_long_arithmetic_and_patterns_are_interrupted(place: Place) -> None:
    if place.restricted:
        return _stopped(place)
    _timed_out(place, "import re\nre.match('(a+)+b', 'a' * 40)", _KEPT)
    executor = place.make(timeout_seconds=0.4)
    text = place.text_of("x = 3 ** (3 ** 20)\nlen(bin(x))", "timeout", executor)
    assert _KEPT in text or _GONE in text
    assert executor("1 + 1").output == 2
    executor.cleanup()
    return None


def check_052_a_call_that_can_not_be_interrupted_is_killed(place: Place) -> None:
    if place.restricted:
        return _stopped(place)
    return _timed_out(place, "sum(range(10**13))", _GONE)


def check_053_an_ignored_interrupt_is_no_help(place: Place) -> None:
    if place.restricted:
        return
    code = (
        "import signal, threading\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})\nwhile True:\n    pass"
    )
    _timed_out(place, code, _GONE)


def check_054_more_memory_than_there_is_is_an_error(place: Place) -> None:
    executor = place.make(memory_bytes=512 * 1024**2)
    executor("kept = 5")
    if place.restricted:
        place.text_of("big = 'x' * (4 * 1024**3)", executor=executor)
    else:
        text = place.text_of("big = bytearray(4 * 1024**3)", executor=executor)
        assert "MemoryError" in text
        assert executor("kept").output == 5
    executor.cleanup()


def check_055_memory_that_grows_slowly_ends_in_an_error(place: Place) -> None:
    executor = place.make(memory_bytes=512 * 1024**2, timeout_seconds=30)
    code = "parts = []\nwhile True:\n    parts.append('x' * 10**6 + str(len(parts)))"
    try:
        executor(code)
    except Exception as error:  # noqa: BLE001 - which kind depends on what found it first
        text = str(error)
        assert "emory" in text, text
    else:
        raise AssertionError("memory grew without bound")
    assert executor("parts = None\n1 + 1").output == 2
    executor.cleanup()


def check_056_shared_memory_is_bounded_too(place: Place) -> None:
    if place.restricted:
        return  # no mmap in its language
    executor = place.make(memory_bytes=512 * 1024**2)
    code = (
        "import mmap, os, errno\nfound = {}\n"
        "def attempt(name, act):\n    try:\n        act()\n        found[name] = 'done'\n"
        "    except (OSError, MemoryError) as error:\n        found[name] = type(error).__name__\n"
        "attempt('shared', lambda: mmap.mmap(-1, 4 * 1024**3))\n"
        "attempt('private', lambda: mmap.mmap(-1, 4 * 1024**3, flags=mmap.MAP_PRIVATE))\n"
        "def shm():\n    from multiprocessing import shared_memory\n"
        "    m = shared_memory.SharedMemory(create=True, size=4 * 1024**3)\n    m.unlink()\n"
        "attempt('posix', shm)\nfound"
    )
    found = executor(code).output
    assert "done" not in found.values(), found
    executor.cleanup()


def check_057_a_decompression_bomb_is_a_memory_error(place: Place) -> None:
    if place.restricted:
        return  # no zlib in its language
    executor = place.make(memory_bytes=512 * 1024**2, timeout_seconds=60)
    code = (
        "import zlib\npacker = zlib.compressobj(1)\npiece = bytes(10**6)\n"
        "bomb = b''.join(packer.compress(piece) for _ in range(700)) + packer.flush()\n"
        "kept = len(bomb)\nzlib.decompress(bomb)"
    )
    assert "MemoryError" in place.text_of(code, executor=executor)
    assert executor("kept").output < 10**7
    executor.cleanup()


def check_058_recursion_is_bounded(place: Place) -> None:
    assert "Recursion" in place.text_of("def f(n):\n    return f(n + 1)\nf(0)")
    if place.restricted:
        return
    executor = place.make()
    code = (
        "import sys\nsys.setrecursionlimit(10**9)\n"
        "class A:\n    def __getattribute__(self, name):\n        return getattr(self, name)\n"
        "A().x"
    )
    try:  # an error, or the end of the process: never the app's
        executor(code)
    except Exception as error:  # noqa: BLE001
        assert type(error).__name__ == "CodeError", error
    assert executor("1 + 1").output == 2
    executor.cleanup()


def check_059_a_flood_of_prints_is_cut_with_a_note(place: Place) -> None:
    executor = place.make(output_chars=1000)
    logs = executor("for i in range(20_000):\n    print('line', i)").logs
    assert len(logs) < 1100 and "characters left out" in logs
    assert logs.startswith("line 0\n") and logs.endswith("line 19999\n")
    executor.cleanup()


def check_060_a_flood_past_print_is_ended(place: Place) -> None:
    if place.restricted:
        return  # no descriptors in its language
    before = psutil.Process().memory_info().rss
    running.check_flood_past_print(place.make)
    assert psutil.Process().memory_info().rss - before < 200 * 1024**2


def check_061_what_a_terminal_would_obey_is_stripped(place: Place) -> None:
    code = "print('\\x1b[31mred\\x1b[0m \\x1b]0;title\\x07x\\x00\\x08y \\u202eturned')"
    assert place.executor(code).logs == "red xy turned\n"


def check_062_descriptors_run_out_and_come_back(place: Place) -> None:
    if place.restricted:
        return
    executor = place.make()
    code = "files = []\nwhile True:\n    files.append(open('many', 'a'))"
    text = place.text_of(code, executor=executor)
    assert "Too many open files" in text
    assert executor("count = len(files)\ndel files\ncount").output < 4096
    assert executor("open('many').close()\n1 + 1").output == 2
    executor.cleanup()


def check_063_a_long_sleep_is_interrupted(place: Place) -> None:
    if place.restricted:
        return _stopped(place)
    return _timed_out(place, "import time\ntime.sleep(10**6)", _KEPT)


def check_064_a_thread_that_prints_on_is_harmless(place: Place) -> None:
    if place.restricted:
        return
    executor = place.make()
    code = (
        "import threading, time\nstop = False\n"
        "def go_on():\n    while not stop:\n        print('late' * 100)\n"
        "threads = [threading.Thread(target=go_on, daemon=True) for _ in range(3)]\n"
        "for t in threads:\n    t.start()\n'started'"
    )
    assert executor(code).output == "started"
    for number in range(5):
        assert executor(f"{number}").output == number
        time.sleep(0.02)
    executor("stop = True\nfor t in threads:\n    t.join(2)")
    assert executor("print('quiet')").logs == "quiet\n"
    executor.cleanup()


def check_065_hostile_texts_of_values_are_bounded(place: Place) -> None:
    if place.restricted:
        assert len(str(place.executor("'x' * 10**7").output)) <= 10**7 + 10
        return
    running.check_hostile_repr(place.make)
    code = (
        "class R:\n    def __repr__(self):\n        return 'x' * 10**8\n    __str__ = __repr__\nR()"
    )
    assert len(place.executor(code).output) < 5000
    assert place.executor("1 + 1").output == 2


def check_066_an_answer_too_large_is_refused(place: Place) -> None:
    if place.restricted:
        place.text_of("final_answer('x' * 50_000_000)")
        assert place.executor("1 + 1").output == 2
        return
    calling.check_large_final_answer(place.make)
