"""Items 1 to 22: the files of the user are out of reach, those of the workspace in bounds.

The number in a check's name is its place in the list of things that model-written code is kept
from (docs/security.md).
"""

import os
import sys
import tempfile
from pathlib import Path

import numpy

from tests.executor_checks.place import PRELUDE, Place, is_root
from tests.executor_checks.syscalls import made, number

ROOT = Path(__file__).resolve().parent.parent.parent
EVERYBODY_READS = "every user may read"
EVERYBODY_WRITES = "every user may write to"


def check_001_reading_etc_passwd_is_refused_with_a_hint(place: Place) -> None:
    code = "open('/etc/passwd').read()"
    if place.control or place.leaves_open(EVERYBODY_READS):
        assert "root:" in place.executor(code).output
        return
    text = place.text_of(code)
    if place.real_python and not place.hides:
        assert "PermissionError" in text and "Only files in the current folder" in text


def check_002_a_private_file_of_the_user_is_refused(place: Place) -> None:
    secret = str(place.secret)
    attempts = {
        "open": f"keep(open({secret!r}).read())",
        "os.open": f"keep(os.read(os.open({secret!r}, os.O_RDONLY), 99))",
        "C library": f"check(_libc.open({secret.encode()!r}, 0))",
        "pathlib": f"keep(__import__('pathlib').Path({secret!r}).read_bytes())",
        "copied": f"__import__('shutil').copyfile({secret!r}, 'copy-of-secret')",
        "for writing": f"open({secret!r}, 'r+').close()",
        "O_PATH and /proc": f"through_proc({secret!r})",
        "openat": f"os.open('secret.txt', os.O_RDONLY, dir_fd=os.open({str(place.outside)!r}, 0))",
        "numpy": f"keep(__import__('numpy').fromfile({secret!r}, 'u1'))",
        **_raw({"open": "PATH, 0", "creat": "PATH, 0o600", "openat": "-100, PATH, 0"}, secret),
    }
    setup = (
        "def keep(what):\n    open('kept', 'ab').write(repr(what).encode())\n"
        "def check(descriptor):\n    if descriptor < 0:\n"
        "        raise OSError(ctypes.get_errno(), 'open')\n"
        "def through_proc(path):\n    fd = os.open(path, os.O_PATH)\n"
        "    keep(open(f'/proc/self/fd/{fd}').read())\n"
    )
    found = place.refused(attempts, setup=setup)
    if place.control:
        assert found["open"] == "done" and place.secret.read_text() == ""  # by creat
        place.restore()
    kept = place.executor.workspace / "kept"
    if not place.control:
        assert not kept.exists() or place.canary not in kept.read_text()
        assert not (place.executor.workspace / "copy-of-secret").exists()
    place.untouched()


def _raw(calls: dict[str, str], path: str) -> dict[str, str]:
    """Attempts by raw system calls, old and new, of those that this machine has."""
    named = {name: text.replace("PATH", repr(path.encode())) for name, text in calls.items()}
    return {f"raw {name}": made(name, text) for name, text in named.items() if number(name)}


def check_003_listing_folders_outside_is_refused(place: Place) -> None:
    folders = ["/", "/home", tempfile.gettempdir(), str(place.folder), str(place.outside), "/etc"]
    attempts = {each: f"os.listdir({each!r})" for each in folders if Path(each).exists()}
    attempts["parent"] = "os.listdir('..')"
    attempts["scandir"] = f"list(os.scandir({str(place.outside)!r}))"
    opened = attempts if place.leaves_open(EVERYBODY_READS) else ()
    if place.hides:  # its own root may be listed: there is nothing in it
        found = place.outcomes(
            {"all": f"seen.extend(os.listdir({str(place.folder)!r}))"}, "seen=[]"
        )
        assert found["all"] != "done" or "outside" not in place.executor("seen").output
        return
    place.refused(attempts, opened=opened)


def check_004_paths_that_climb_out_are_refused(place: Place) -> None:
    climbed = "../" * 30 + str(place.secret).lstrip("/")
    attempts = {
        "dots": f"open({climbed!r}).read()",
        "neighbour": "open('../outside/secret.txt').read()",
        "joined": f"open(os.path.join(os.getcwd(), {str(place.secret)!r})).read()",
        "inside and out": f"open('a-folder/../{climbed}').read()",
        "from outside": f"from_there({str(place.outside)!r})",
    }
    setup = (
        "os.makedirs('a-folder', exist_ok=True)\n"
        "def from_there(folder):\n    here = os.getcwd()\n    os.chdir(folder)\n"
        "    try:\n        open('secret.txt').read()\n    finally:\n        os.chdir(here)\n"
    )
    place.refused(attempts, setup=setup)
    if place.lacks("import threading"):
        return
    # A name that changes while it is being judged: another thread writes to where it is kept.
    found = place.executor(f"{PRELUDE}\n{_RACE.format(secret=str(place.secret))}").output
    assert bool(found) is place.control


# The two names are of the same length, and differ in all but a few places.
_RACE = """
import threading, time
inside, outside = os.path.join(os.getcwd(), 'harmless'), {secret!r}
open(inside, 'w').write('harmless')
width = max(len(inside), len(outside))
names = [('/' * (width - len(name)) + name).encode() + bytes(1) for name in (inside, outside)]
kept = ctypes.create_string_buffer(names[0], width + 1)
stop, found = [], []
def swap():
    while not stop:
        for name in names:
            ctypes.memmove(kept, name, width + 1)
thread = threading.Thread(target=swap)
thread.start()
until = time.monotonic() + 0.5
while time.monotonic() < until:
    descriptor = _libc.open(kept, 0)
    if descriptor >= 0:
        text = os.read(descriptor, 100)
        os.close(descriptor)
        if text != b'harmless':
            found.append(text)
stop.append(1)
thread.join()
found
"""


def check_005_writing_outside_is_refused(place: Place) -> None:
    name = f"hearth-{place.canary}"
    folders = [tempfile.gettempdir(), "/dev/shm", str(Path.home()), str(place.outside), "/var/tmp"]
    folders = [f for f in folders if os.access(f, os.W_OK)]
    attempts = {f: f"open({f + '/' + name!r}, 'w').write('x')" for f in folders}
    attempts |= {f"{f} mkdir": f"os.mkdir({f + '/' + name + '-d'!r})" for f in folders}
    shared = {f for f in attempts if Path(f.split()[0]).stat().st_mode & 0o002}
    opened = shared if place.leaves_open(EVERYBODY_WRITES) else ()
    try:
        if place.hides:  # what it writes there is in memory of its own
            place.outcomes(attempts)
        else:
            place.refused(attempts, opened=opened)
        left = {
            f for f in folders if (Path(f) / name).exists() or (Path(f) / (name + "-d")).exists()
        }
        if not place.control:
            assert left <= {each.split()[0] for each in opened}
    finally:
        for folder in folders:
            (Path(folder) / name).unlink(missing_ok=True)
            if (Path(folder) / (name + "-d")).exists():
                (Path(folder) / (name + "-d")).rmdir()


def check_006_code_of_the_interpreter_and_libraries_is_read_only(place: Place) -> None:
    files = [os.__file__, numpy.__file__, str(ROOT / "sandbox" / "worker.py"), sys.executable]
    folders = [str(Path(name).parent) for name in files[:3]]
    attempts = {name: f"os.open({name!r}, os.O_WRONLY | os.O_APPEND)" for name in files}
    attempts |= {
        f: f"os.close(os.open({f + '/hearth-x.py'!r}, os.O_CREAT | os.O_RDWR))" for f in folders
    }
    unshown = {name for name in attempts if not os.access(name, os.W_OK)} | {sys.executable}
    try:
        place.refused(attempts, also={"ETXTBSY", "EROFS", "ENOENT"}, unshown=unshown)
    finally:
        left = [path for f in folders if (path := Path(f) / "hearth-x.py").exists()]
        for path in left:
            path.unlink()
    assert place.control or not left


def check_007_a_symlink_to_a_secret_is_refused(place: Place) -> None:
    secret = str(place.secret)
    place.refused({"make": f"os.symlink({secret!r}, 'link-to-secret')"})
    planted = place.executor.workspace / "planted"  # by someone who may
    planted.symlink_to(place.secret)
    try:
        place.refused({"follow": "open('planted').read()", "write": "open('planted', 'a').close()"})
    finally:
        planted.unlink()
    place.untouched()


def check_008_a_hard_link_to_a_file_outside_is_refused(place: Place) -> None:
    attempts = {
        "secret": f"os.link({str(place.secret)!r}, 'hard-secret')",
        "public": f"os.link({str(place.public)!r}, 'hard-public')",
    }
    place.refused(attempts, also={"EXDEV"})
    assert place.control == (place.secret.stat().st_nlink == 2)
    if place.control:
        place.restore()


def check_009_a_rename_in_or_out_is_refused(place: Place) -> None:
    attempts = {
        "in": f"os.rename({str(place.public)!r}, 'came-in')",
        "out": f"os.rename('goes-out', {str(place.outside / 'went-out')!r})",
        "over": f"os.replace('goes-over', {str(place.secret)!r})",
    }
    setup = "for name in ('goes-out', 'goes-over'):\n    open(name, 'w').write('mine')\n"
    place.refused(attempts, setup=setup, also={"EXDEV"})
    if place.control:
        assert (place.outside / "went-out").exists() and place.secret.read_text() == "mine"
        place.restore()
    place.untouched()
    if place.real_python and not place.control:
        assert (place.executor.workspace / "goes-out").read_text() == "mine"


def check_010_files_outside_are_not_removed_or_emptied(place: Place) -> None:
    secret, public = str(place.secret), str(place.public)
    attempts = {
        "truncate": f"os.truncate({secret!r}, 0)",
        "open w": f"open({public!r}, 'w').close()",
        "O_TRUNC": f"os.close(os.open({public!r}, os.O_RDONLY | os.O_TRUNC))",
        "unlink": f"os.unlink({public!r})",
        "remove": f"os.remove({secret!r})",
        "rmdir": f"os.rmdir({str(place.outside)!r})",
    }
    if not place.control:
        by_name = {"unlink": "PATH", "unlinkat": "-100, PATH, 0", "truncate": "PATH, 0"}
        moves = {"rename": "PATH, b'x'", "renameat": "-100, PATH, -100, b'x'",
                 "renameat2": "-100, PATH, -100, b'x', 0", "link": "PATH, b'x'",
                 "linkat": "-100, PATH, -100, b'x', 0"}  # fmt: skip
        attempts |= _raw(by_name | moves, secret)
        new = str(place.outside / "new")
        makes = {"mkdir": "PATH, 0o700", "mkdirat": "-100, PATH, 0o700", "creat": "PATH, 0o600",
                 "symlink": "b'x', PATH", "symlinkat": "b'x', -100, PATH",
                 "mknodat": "-100, PATH, 0o100600, 0"}  # fmt: skip
        attempts |= {f"{name} new": code for name, code in _raw(makes, new).items()}
    place.refused(attempts, also={"EXDEV"})
    if place.control:
        assert not place.outside.exists()
        place.restore()
    place.untouched()


def check_011_rights_and_times_of_files_outside_stay(place: Place) -> None:
    public = str(place.public)
    before = place.public.stat()
    attempts = {
        "chmod": f"os.chmod({public!r}, 0o600)",
        "utime": f"os.utime({public!r}, (1, 1))",
        "chown": f"os.chown({public!r}, {os.getuid()}, {os.getgid()})",
    }
    if hasattr(os, "setxattr"):
        attempts["setxattr"] = f"os.setxattr({public!r}, 'user.hearth', b'x')"
    found = place.outcomes(attempts)
    after = place.public.stat()
    changed = (before.st_mode, before.st_mtime) != (after.st_mode, after.st_mtime)
    assert changed is place.control, found
    if place.control:
        place.restore()
        return
    # Programs that copy files set times and rights: that seems to work, so that they do.
    place.untouched()
    if place.real_python:
        code = (
            "import shutil, zipfile, os\nopen('a.txt', 'w').write('a')\n"
            "shutil.copy2('a.txt', 'b.txt')\nshutil.copytree('a-tree', 'b-tree')\n"
            "with zipfile.ZipFile('z.zip', 'w') as z:\n    z.write('a.txt')\n"
            "zipfile.ZipFile('z.zip').extractall('unpacked')\nopen('unpacked/a.txt').read()"
        )
        made_first = (
            "import os\nos.makedirs('a-tree', exist_ok=True)\nopen('a-tree/c', 'w').close()"
        )
        place.executor(made_first)
        assert place.executor(code).output == "a"


def check_012_no_pipes_devices_or_sockets_in_the_workspace(place: Place) -> None:
    attempts = {
        "fifo": "os.mkfifo('pipe')",
        "fifo by mknod": "os.mknod('pipe-2', stat.S_IFIFO | 0o600)",
        "socket by mknod": "os.mknod('socket-1', stat.S_IFSOCK | 0o600)",
        "socket by bind": "bound('socket-2')",
        "device": "os.mknod('null', stat.S_IFCHR | 0o666, os.makedev(1, 3))",
        "raw mknod": made("mknodat", "-100, b'pipe-3', 0o010600, 0"),
    }
    setup = (
        "import socket, stat\n"
        "def bound(name):\n    with socket.socket(socket.AF_UNIX) as s:\n        s.bind(name)\n"
    )
    place.refused(attempts, setup=setup, unshown=() if is_root() else {"device"})
    if place.control:
        place.drop()


def check_013_devices_are_refused(place: Place) -> None:
    names = ["mem", "kmem", "kvm", "fuse", "tty", "ptmx", "vda", "sda", "nvme0n1", "dm-0", "loop0",
             "nvidia0", "nvidiactl", "vhost-net", "net/tun", "input/event0", "dri/renderD128",
             "console", "kmsg", "hwrng", "userfaultfd", "rtc0", "port", "snapshot"]  # fmt: skip
    there = [f"/dev/{name}" for name in names if Path(f"/dev/{name}").exists()]
    attempts = {name: f"os.close(os.open({name!r}, os.O_RDONLY | os.O_NONBLOCK))" for name in there}
    attempts["not there"] = "os.open('/dev/hearth-no-such-device', os.O_RDONLY)"
    if place.control:
        found = place.outcomes(attempts)
        assert "done" in found.values(), found
        return
    opened: set[str] = set()
    if place.leaves_open(EVERYBODY_READS):
        opened = {name for name in there if Path(name).stat().st_mode & 0o004}
        attempts = {name: code for name, code in attempts.items() if name not in opened}
    place.refused(attempts, also={"ENOENT", "ENXIO", "ENODEV"})
    # What programs ask for all the time is there.
    if place.real_python:
        code = "open('/dev/null', 'w').write('x'), len(open('/dev/urandom', 'rb').read(8))"
        assert place.executor(code).output == (1, 8)


def check_014_mounts_and_other_roots_are_refused(place: Place) -> None:
    attempts = {
        "mount": made("mount", "b'x', b'/hearth-no-such-folder', b'tmpfs', 0, 0"),
        "umount": made("umount2", "b'/hearth-no-such-folder', 0"),
        "chroot": made("chroot", "b'/'"),
        "pivot_root": made("pivot_root", "b'/hearth-no-such-folder', b'/'"),
        "open_tree": made("open_tree", "-100, b'/hearth-no-such-folder', 0"),
        "move_mount": made("move_mount", "-1, b'', -1, b'', 0"),
        "fsopen": made("fsopen", "b'hearth-no-such-filesystem', 0"),
        "fspick": made("fspick", "-100, b'/hearth-no-such-folder', 0"),
        "mount_setattr": made("mount_setattr", "-1, b'/hearth', 0, 0, 0"),
    }
    # Without an administrator's rights the kernel refuses most of them anyway.
    unshown = () if is_root() else set(attempts) - {"open_tree"}
    also = {"ENOSYS"} if not place.control else ()
    place.refused(attempts, reaches=True, unshown=unshown, also=also)


def check_015_roots_of_processes_are_refused(place: Place) -> None:
    secret = str(place.secret)
    host = os.getpid()
    attempts = {
        "own root": f"open('/proc/self/root{secret}').read()",
        "own folder": "open('/proc/self/cwd/../outside/secret.txt').read()",
        "thread": f"open('/proc/thread-self/root{secret}').read()",
        "the app's root": f"open('/proc/{host}/root{secret}').read()",
        "first process's root": f"open('/proc/1/root{secret}').read()",
    }
    unshown = {"first process's root"}  # it may be in a namespace of its own
    place.refused(attempts, unshown=unshown)


def check_016_file_handles_are_refused(place: Place) -> None:
    secret = str(place.secret).encode()
    setup = (
        "handle = ctypes.create_string_buffer(bytes([128, 0, 0, 0]) + bytes(132))\n"
        "mount = ctypes.c_int()\nhow = ctypes.create_string_buffer(24)\n"
    )
    attempts = {
        "name_to_handle_at": made(
            "name_to_handle_at", f"-100, {secret!r}, handle, ctypes.byref(mount), 0"
        ),
        "open_by_handle_at": made("open_by_handle_at", "-1, handle, 0"),
        "openat2": f"os.close({made('openat2', f'-100, {secret!r}, how, 24')})",
    }
    found = place.outcomes(attempts, setup)
    if place.control:
        assert found["openat2"] == "done" and found["name_to_handle_at"] in ("done", "EOPNOTSUPP")
        return
    allowed = {"EPERM", "EACCES", "ENOSYS"} | ({"ENOENT"} if place.hides else set())
    assert set(found.values()) <= allowed, found


def check_017_a_file_over_the_limit_is_refused(place: Place) -> None:
    attempts = {
        "sparse": "sparse('sparse', 2**40)",
        "truncate": "truncated('truncated', 2**40)",
        "allocate": "allocated('allocated', 2**40)",
        "written": "written('written', 300 * 1024**2)",
    }
    setup = (
        "def sparse(name, size):\n    with open(name, 'wb') as f:\n        f.seek(size)\n"
        "        f.write(b'x')\n"
        "def truncated(name, size):\n    with open(name, 'wb') as f:\n        f.truncate(size)\n"
        "def allocated(name, size):\n    with open(name, 'wb') as f:\n"
        "        os.posix_fallocate(f.fileno(), 0, size)\n"
        "def written(name, size):\n    with open(name, 'wb') as f:\n"
        "        f.seek(size - 4096)\n        f.write(b'x' * 8192)\n"
    )
    found = place.outcomes(attempts, setup)
    if place.real_python:
        assert set(found.values()) == {"EFBIG"}, found
        sizes = [p.stat().st_size for p in place.executor.workspace.iterdir() if p.is_file()]
        assert max(sizes) <= 256 * 1024**2
        place.drop()
