"""Items 18 to 22 and 98 to 102: what code leaves on the disk, and how the app handles it.

The workspace is the code's own: names, depth and number are its choice, in every tier.
"""

import os
import threading
import time

import pytest

from errors import CodeError, ToolError
from sandbox.workspace import Quota
from tests.executor_checks.failing import check_traceback_leaves_libraries_out
from tests.executor_checks.place import Place, is_root
from tests.executor_checks.syscalls import made
from tools import workspace as tool_files
from web.publish import Publisher


def _names(executor: object) -> list[str]:
    return sorted(str(p.relative_to(executor.workspace)) for p in executor.artefacts)  # type: ignore[attr-defined]


def check_018_a_disk_filled_with_many_files_is_ended(place: Place) -> None:
    if place.lacks("open('x', 'w')"):
        return
    executor = place.make(timeout_seconds=60, quota=Quota(max_bytes=50_000_000))
    code = "n = 0\nwhile True:\n    n += 1\n    open(f'fill-{n}', 'wb').write(bytes(5_000_000))"
    text = place.text_of(code, "limit", executor)
    assert "50 MB" in text, text
    used = sum(p.stat().st_blocks * 512 for p in executor.workspace.rglob("*") if p.is_file())
    assert used < 2_000_000_000
    assert executor("open('small', 'w').write('x')").output == 1
    executor.cleanup()


def check_019_very_many_files_are_ended(place: Place) -> None:
    if place.lacks("open('x', 'w')"):
        return
    executor = place.make(timeout_seconds=60, quota=Quota(max_files=5_000))
    code = (
        "import os\nfor n in range(200_000):\n"
        "    if n % 1000 == 0:\n        os.mkdir(f'many-{n}')\n"
        "    os.close(os.open(f'many-{n - n % 1000}/{n}', os.O_CREAT))"
    )
    text = place.text_of(code, "limit", executor)
    assert "5,000 files" in text, text
    assert executor("open('small', 'w').write('x')").output == 1
    executor.cleanup()


def check_020_odd_names_are_listed_and_read_safely(place: Place) -> None:
    if place.lacks("open('x', 'w')"):
        return
    executor = place.make()
    code = (
        "names = [b'new\\nline', b'\\x1b[31mred', b'bad\\xff\\xfe', b'n' * 255, b'-rf', b' ', "
        "b'<img src=x onerror=alert(1)>.txt', '\\u202egnp.exe'.encode(), b'fine.txt', "
        "'na\u00efve \u6f22\u5b57.csv'.encode()]\n"
        "for name in names:\n    open(name, 'wb').write(b'x')\nlen(names)"
    )
    assert executor(code).output == 10
    listed = _names(executor)
    assert "fine.txt" in listed and "na\u00efve \u6f22\u5b57.csv" in listed
    assert all(name.isprintable() for name in listed)
    for name in filter(str.strip, listed):
        assert tool_files.load(executor.workspace, name).data == b"x"
    assert "fine.txt" in str(tool_files.missing(executor.workspace, "nothing"))
    executor.cleanup()
    assert (executor.workspace / "fine.txt").exists()


def check_021_deep_folders_do_not_lead_the_app_into_recursion(place: Place) -> None:
    if place.lacks("open('x', 'w')"):
        return
    executor = place.make(timeout_seconds=60)
    code = (
        "import os\nhome = os.getcwd()\nopen('before.txt', 'w').write('x')\n"
        "for _ in range(3000):\n    os.mkdir('d')\n    os.chdir('d')\n"
        "open('deepest', 'w').write('x')\nos.chdir(home)\n'made'"
    )
    try:
        assert executor(code).output == "made"
    except CodeError as error:
        assert error.kind == "limit" and "deep" in str(error), str(error)
    assert executor("1 + 1").output == 2
    assert len(executor.artefacts) < 10
    with pytest.raises(ToolError, match="No file 'nothing'"):
        tool_files.load(executor.workspace, "nothing")
    # In the folder that is removed at the end, too.
    inside = "import os\nos.chdir(os.environ['HOME'])\n" + code.partition("\n")[2]
    inside = inside.replace("home = os.getcwd()\n", "")
    try:
        executor(f"home = __import__('os').environ['HOME']\n{inside}")
    except CodeError as error:
        assert error.kind == "limit", str(error)
    executor.cleanup()
    assert not (executor.workspace / ".sandbox").exists()


def check_022_names_outside_are_all_that_stat_tells(place: Place) -> None:
    """What a tier leaves open, it says: whether a file is there, its size and its times."""
    secret = str(place.secret)
    attempts = {"stat": f"os.stat({secret!r})", "access": f"seen(os.access({secret!r}, 0))"}
    setup = "def seen(there):\n    if not there:\n        raise OSError(errno.EACCES, 'x')\n"
    found = place.outcomes(attempts, setup)
    says = place.leaves_open("whether a file outside exists") or place.leaves_open(
        "every user may read"
    )
    assert (found["stat"] == "done") is (says or place.control), (found, says)
    # Never what is in it, nor when it is used.
    watches = {
        "inotify": f"os.close({made('inotify_init1', '0')})",
        "fanotify": f"os.close({made('fanotify_init', '0, 0')})",
    }
    place.refused(watches, unshown=() if is_root() else {"fanotify"}, also={"ENOSYS"})
    if not place.control:
        place.refused({"read": f"open({secret!r}).read()", "link": f"os.readlink({secret!r})"},
                      also={"EINVAL"})  # fmt: skip


def check_089_pictures_and_pages_are_not_opened_by_the_app(place: Place) -> None:
    """How the page serves them is shown by tests/test_web_files.py."""
    if place.lacks("open('x', 'w')"):
        return
    executor = place.make()
    code = (
        "open('bomb.png', 'wb').write(b'\\x89PNG\\r\\n\\x1a\\n' + b'\\x00\\x00\\x00\\rIHDR'\n"
        "    + b'\\x7f\\xff\\xff\\xff' * 2 + b'\\x08\\x06\\x00\\x00\\x00' + b'\\xff' * 1000)\n"
        "open('page.html', 'w').write('<script>alert(1)</script>')\n"
        "open('drawing.svg', 'w').write('<svg onload=\"alert(1)\"/>')\n'written'"
    )
    assert executor(code).output == "written"
    assert _names(executor) == ["bomb.png", "drawing.svg", "page.html"]
    publish = Publisher(place.folder / "published")
    for name in _names(executor):  # byte for byte, whatever it says of itself
        copy = publish(executor.workspace, name)
        assert copy is not None and copy.read_bytes() == (executor.workspace / name).read_bytes()
    executor.cleanup()


def check_098_odd_entries_are_neither_followed_nor_waited_for(place: Place) -> None:
    executor = place.make()
    executor("1")
    workspace = executor.workspace
    (workspace / "link.txt").symlink_to(place.secret)
    (workspace / "folder").symlink_to(place.outside)
    (workspace / "hard.txt").hardlink_to(place.secret)
    os.mkfifo(workspace / "pipe")
    (workspace / "loop").symlink_to("loop")
    (workspace / "plain.txt").write_text("x")
    began = time.monotonic()
    executor("2")
    assert "link.txt" not in _names(executor) and "pipe" not in _names(executor)
    assert not [name for name in _names(executor) if name.startswith("folder/")]
    publish = Publisher(place.folder / "shown")
    odd = ["link.txt", "folder/secret.txt", "pipe", "loop", "..", "../outside/secret.txt", "",
           str(place.secret), "/etc/passwd", "plain.txt/x", "folder", "\0", "hard.txt"]  # fmt: skip
    for name in odd:
        copy = publish(workspace, name)
        assert copy is None, name
        with pytest.raises(ToolError):
            tool_files.load(workspace, name)
    assert time.monotonic() - began < 5
    for name in ("link.txt", "folder", "hard.txt", "pipe", "loop"):
        (workspace / name).unlink()
    executor.cleanup()


def check_099_a_figure_that_was_not_saved_is_an_artefact(place: Place) -> None:
    if place.lacks("import matplotlib"):
        return
    executor = place.make(timeout_seconds=60)
    executor("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()")
    assert _names(executor) == ["figure-1.png"]
    assert (executor.workspace / "figure-1.png").read_bytes()[:4] == b"\x89PNG"
    executor.cleanup()


def check_100_tracebacks_are_short_and_point_into_the_step(place: Place) -> None:
    text = place.text_of("x = 1\n\n1 / 0")
    assert "ZeroDivisionError" in text and len(text) < 500
    assert "site-packages" not in text and "sandbox/" not in text and "worker" not in text
    if place.real_python:
        assert text.startswith("line 3: 1 / 0\n")
        check_traceback_leaves_libraries_out(place.make)


def check_101_a_file_swapped_while_it_is_read_leads_nowhere(place: Place) -> None:
    """The app lists a file, the code puts a link in its place, the app reads."""
    workspace = place.folder / "swapped"
    workspace.mkdir()
    stop = threading.Event()

    def swap() -> None:
        link, plain, name = workspace / "l", workspace / "p", workspace / "report.txt"
        while not stop.is_set():
            link.unlink(missing_ok=True)
            link.symlink_to(place.secret)
            plain.write_text("plain")
            plain.replace(name)
            link.replace(name)

    thread = threading.Thread(target=swap)
    thread.start()
    publish = Publisher(place.folder / "swapped-shown")
    read = 0
    try:
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            copy = publish(workspace, "report.txt")
            if copy is not None:
                read += 1
                assert place.canary not in copy.read_text()
            try:
                assert place.canary.encode() not in tool_files.load(workspace, "report.txt").data
            except ToolError:
                continue
    finally:
        stop.set()
        thread.join()
    # The control: a plain read of the link that lies there now gives the secret away.
    assert (workspace / "report.txt").read_text() in (place.canary, "plain")


def check_102_a_file_over_the_size_is_left_out(place: Place) -> None:
    executor = place.make()
    executor("1")
    big = executor.workspace / "big.bin"
    with big.open("wb") as file:
        file.truncate(60_000_000)
    publish = Publisher(place.folder / "sized")
    assert publish(executor.workspace, "big.bin") is None
    with pytest.raises(ToolError, match="60 MB"):
        tool_files.load(executor.workspace, "big.bin", 50_000_000)
    big.unlink()
    executor.cleanup()
