"""What a confined worker may read beside its workspace: Python, its packages, a few settings.

The same list for every tier. It holds no folder of the user: of a virtual environment in a home
folder, and of the Python below it, only the libraries.
"""

import contextlib
import os
import site
import sys
import sysconfig
from pathlib import Path

# Shared libraries of the system, loaded when a package that needs them is imported.
_LIBRARIES = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/nix/store",
)
# Time zones and fonts.
_SHARED = (
    "/usr/share/zoneinfo",
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "/usr/share/fontconfig",
    "/usr/share/X11/fonts",
    "/var/cache/fontconfig",
    "/etc/fonts",
)
# The loader's cache, the local time, the names of file types, the version of the system, and
# what OpenSSL reads when hashlib is imported (Debian, Fedora).
_SETTINGS = (
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/mime.types",
    "/etc/os-release",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/openssl.cnf",
    "/etc/crypto-policies/back-ends/opensslcnf.config",
)
# How many processors there are; the numeric libraries ask.
_SYSTEM = ("/sys/devices/system/cpu",)

NAMED = (*_LIBRARIES, *_SHARED, *_SETTINGS, *_SYSTEM)

DEVICES_TO_READ = ("/dev/zero", "/dev/random", "/dev/urandom")
DEVICES_TO_WRITE = ("/dev/null",)


def python() -> list[Path]:
    """The folders of this interpreter: standard library, packages, its own shared libraries."""
    prefixes = {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}
    found = [Path(prefix) / name for prefix in prefixes for name in ("lib", "lib64")]
    paths = sysconfig.get_paths()
    found += [Path(paths[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    # Of the search path only folders of packages: Debian has one of its own, a virtual environment
    # may share the system's; what a .pth file adds is someone's source folder.
    found += map(Path, site.getsitepackages())
    found += [Path(entry) for entry in sys.path if entry.endswith(("site-packages", "-packages"))]
    # So called, and in no folder of people's homes: a variable must not open a home.
    searched = map(Path, os.environ.get("LD_LIBRARY_PATH", "").split(":"))
    found += [
        folder
        for folder in searched
        if folder.is_absolute() and folder.name.startswith("lib") and folder.parent.name != "home"
    ]
    return _existing(found)


def paths() -> list[Path]:
    """Every file and folder to read, resolved, none inside another; only what is there."""
    return _existing([*python(), *map(Path, NAMED)])


def _existing(candidates: list[Path]) -> list[Path]:
    real = set()
    for path in candidates:
        with contextlib.suppress(OSError, RuntimeError):  # not there, or closed to this user
            real.add(path.resolve(strict=True))
    return sorted(path for path in real if real.isdisjoint(path.parents))
