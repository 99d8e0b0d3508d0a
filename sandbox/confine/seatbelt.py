"""macOS: the worker starts under a Seatbelt profile that denies by default.

`sandbox-exec` is marked as deprecated by Apple and is still what there is for programs that are
not apps; others who confine code that models write use it as well. We could not run this on a
Mac: the profile's form is tested, its effect only by the self-test of the machine that uses it,
without which no code runs.

Rules name files by their real paths (/private/var, not /var). The language of profiles is not
documented by Apple; its elements here are those of the profiles that macOS ships in
/System/Library/Sandbox/Profiles.
"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from sandbox.confine import readable
from sandbox.confine.common import Confinement, give_up_rights

PROGRAM = "/usr/bin/sandbox-exec"

# What the loader and Python read at their start: the system's libraries, where newer systems keep
# them, time zones, the local time.
_SYSTEM = (
    "/usr/lib",
    "/usr/share/zoneinfo",
    "/usr/share/locale",
    "/System/Library",
    "/System/Volumes/Preboot/Cryptexes/OS",
    "/System/Cryptexes/OS",
    "/Library/Fonts",
    "/private/var/db/timezone",
    "/private/var/db/dyld",
    "/private/etc/localtime",
)
_FIXED = """\
(version 1)
(deny default)
; Numbers of processors, sizes of caches; the worker about itself
(allow sysctl-read)
(allow process-info* (target self))
(allow signal (target self))
; Who the user is, changes of the time zone
(allow mach-lookup
  (global-name "com.apple.system.opendirectoryd.libinfo")
  (global-name "com.apple.system.notification_center"))
(allow ipc-posix-shm-read* (ipc-posix-name "apple.shm.notification_center"))
; Names, sizes and times of files, but not what they hold
(allow file-read-metadata)
(allow file-read* file-write-data (literal "/dev/null") (literal "/dev/zero"))
(allow file-read* (literal "/dev/random") (literal "/dev/urandom"))
(allow file-read* file-ioctl (literal "/dev/dtracehelper"))
(allow file-read-data (literal "/"))
"""


def profile(c: Confinement, code: Path) -> str:
    """The profile's text. `code` is the folder that our own code is imported from.

    Raises ValueError for a path that a profile can't name.
    """
    folders = [*readable.paths(), *map(Path, (*c.readable, *_SYSTEM)), code / "sandbox"]
    lines = [
        _FIXED,
        "; This Python may replace itself at its start; no new process comes of that",
        _rule("allow", "process-exec*", "literal", _pythons()),
        _rule("allow", "file-read*", "literal", _pythons()),
        "; Libraries, packages, fonts, and our own code",
        _rule("allow", "file-read* file-map-executable", "subpath", map(_real, folders)),
        _rule("allow", "file-read-data", "literal", [_real(code)]),
        "; The workspace",
        _rule("allow", "file-read* file-write*", "subpath", [_real(Path(c.workspace))]),
        "; Nothing above allows these; said again, so that no later rule does",
        "(deny network*)",
        "(deny process-fork)",
    ]
    return "\n".join(lines) + "\n"


def _rule(verdict: str, operations: str, kind: str, paths: Iterable[str]) -> str:
    named = "".join(f"\n  ({kind} {_quoted(path)})" for path in sorted(set(paths)))
    return f"({verdict} {operations}{named})"


def _pythons() -> list[str]:
    """Every name of this interpreter. A framework's Python starts the one in its Python.app."""
    base = getattr(sys, "_base_executable", sys.executable)
    in_app = Path(sys.base_prefix) / "Resources/Python.app/Contents/MacOS/Python"
    return [*{sys.executable, base, *map(_real, map(Path, (sys.executable, base, in_app)))}]


def _real(path: Path) -> str:
    return os.path.realpath(path)


def _quoted(path: str) -> str:
    if not path.isprintable():
        raise ValueError(f"a profile can't name the path {path!r}")
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'


def command(c: Confinement, started: list[str], code: Path) -> list[str]:
    """`started`, as sandbox-exec starts it: in the same process, under the profile."""
    return [PROGRAM, "-p", profile(c, code), *started]


def enter(c: Confinement) -> None:
    """Confine a process that was started by `command`. Raises OSError if it wasn't."""
    give_up_rights(c)
    try:
        Path("/private/etc/passwd").read_bytes()
    except PermissionError:
        return
    except FileNotFoundError:
        pass
    raise OSError("the Seatbelt profile is not in force")
