"""A container such as Docker would start, by runc alone: no daemon, no image, no network."""

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.containers import docker_profile

RUNC = shutil.which("runc", path=f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin")
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc")


def why_not() -> str:
    """Why no container can be started here; empty where one can."""
    if RUNC is None:
        return "runc is not installed"
    if os.geteuid() != 0:
        return "runc needs an administrator's rights here"
    folder = Path("/tmp") / f"hearth-runc-{uuid.uuid4().hex[:8]}"
    try:
        done = run(folder, ["/bin/true"], uid=0, readable=())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    said = (done.stderr or done.stdout).strip().splitlines()
    return "" if done.returncode == 0 else f"runc can't start a container here: {said[-1:]}"


def run(
    folder: Path,
    command: list[str],
    *,
    uid: int,
    readable: Iterable[Path],
    variables: dict[str, str] | None = None,
    cwd: str = "/",
    results: Path | None = None,
    seconds: float = 600,
    landlock: bool = True,
) -> "subprocess.CompletedProcess[str]":
    """Run a command in a new container, and remove it.

    folder: a new folder for the bundle. uid: 0 has Docker's usual capabilities, another none,
    and then no_new_privs is set, as it is on platforms that host such containers. readable:
    folders to be seen at their own places, beside the system's. results: a folder to write to.
    landlock: whether the profile knows Landlock's calls, see `docker_profile.seccomp`.
    """
    (folder / "rootfs").mkdir(parents=True)
    config = _config(command, uid, list(readable), variables or {}, cwd, results)
    config["linux"]["seccomp"] = docker_profile.seccomp(_capabilities(uid), landlock=landlock)
    (folder / "config.json").write_text(json.dumps(config))
    name = f"hearth-{uuid.uuid4().hex[:12]}"
    assert RUNC is not None
    try:
        return subprocess.run(
            [RUNC, "--root", str(folder / "state"), "run", "--bundle", str(folder), name],
            capture_output=True,
            text=True,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
        )
    finally:
        subprocess.run(
            [RUNC, "--root", str(folder / "state"), "delete", "--force", name],
            capture_output=True,
        )


def _config(
    command: list[str],
    uid: int,
    readable: list[Path],
    variables: dict[str, str],
    cwd: str,
    results: Path | None,
) -> dict[str, Any]:
    kinds = ("bounding", "effective", "permitted")
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", **variables}
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": uid, "gid": uid},
            "args": command,
            "env": [f"{name}={value}" for name, value in environment.items()],
            "cwd": cwd,
            "capabilities": {kind: list(_capabilities(uid)) for kind in kinds},
            "noNewPrivileges": uid != 0,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "container",
        "mounts": _mounts(readable, results),
        "linux": {
            "namespaces": [
                {"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup")
            ],
            "maskedPaths": list(docker_profile.MASKED_PATHS),
            "readonlyPaths": list(docker_profile.READ_ONLY_PATHS),
        },
    }


def _capabilities(uid: int) -> tuple[str, ...]:
    return docker_profile.ROOT_CAPABILITIES if uid == 0 else ()


def _mounts(readable: list[Path], results: Path | None) -> list[dict[str, Any]]:
    nothing_else = ["nosuid", "noexec", "nodev"]
    # In this order: what comes later may lie inside of what came before.
    mounts = [
        _mount("proc", "/proc", "proc", nothing_else),
        _mount("tmpfs", "/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _mount("devpts", "/dev/pts", "devpts", ["nosuid", "noexec", "newinstance",
                                                "ptmxmode=0666", "mode=0620"]),
        _mount("tmpfs", "/dev/shm", "shm", [*nothing_else, "mode=1777", "size=65536k"]),
        _mount("mqueue", "/dev/mqueue", "mqueue", nothing_else),
        _mount("sysfs", "/sys", "sysfs", [*nothing_else, "ro"]),
        _mount("tmpfs", "/tmp", "tmpfs", ["nosuid", "nodev", "mode=1777"]),
        _mount("tmpfs", "/var/tmp", "tmpfs", ["nosuid", "nodev", "mode=1777"]),
    ]  # fmt: skip
    folders = [Path(name) for name in _SYSTEM if Path(name).exists()]
    folders += [each for each in readable if not each.is_relative_to("/usr")]
    mounts += [_mount("bind", str(f), str(f.resolve()), ["rbind", "ro"]) for f in folders]
    if results is not None:
        mounts.append(_mount("bind", "/results", str(results), ["rbind", "rw"]))
    return mounts


def _mount(kind: str, at: str, source: str, options: list[str]) -> dict[str, Any]:
    return {"destination": at, "type": kind, "source": source, "options": options}
