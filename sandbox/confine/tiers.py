"""The tiers of confinement in words: what each covers and what it leaves open.

Status, the first page and the documents show these sentences, so each must be true of every
machine on which the tier's self-test passes; where a machine decides, the sentence says so.
"""

from typing import NamedTuple


class Tier(NamedTuple):
    """A tier in words. `isolates`: files, network and processes of the user are out of reach."""

    name: str
    summary: str
    covers: tuple[str, ...]
    leaves_open: tuple[str, ...]
    isolates: bool = True


_LIMITS = "limits on memory, file size, open files, processor time, output and tool calls"
_ENVIRONMENT = "no environment variable of the app (tokens, keys) is handed on"
_ENDS = "ends with the app, also when the app is killed"
_NETWORK = "network: no connection to anywhere, loopback included; no name lookups, no sockets"
_PROCESSES = (
    "processes: starts none; can't signal, trace, inspect or slow down any other by system calls"
)
_KERNEL = "kernel: less than half of its system calls are left; the rest fail, new ones included"
_RIGHTS = "rights: no capabilities, none to be gained; as root also its own user id if possible"
_SAME_KERNEL = "a fault in the kernel's remaining calls, and side channels of the processor"
_WASTE = "its own processor time and memory, up to the limits"
_METADATA = (
    "names: whether a file outside exists, its size, owner and times and where a link leads (never "
    "what a file holds or a folder lists); the numbers of running processes"
)
_FILES = (
    "files: reads only Python, its packages, fonts and time zones; writes only the workspace, "
    "and makes no links, sockets or devices there"
)

TIERS: dict[str, Tier] = {
    tier.name: tier
    for tier in (
        Tier(
            "landlock",
            "Landlock for files and a filter of system calls",
            (_FILES, _NETWORK, _PROCESSES, _KERNEL, _RIGHTS, _LIMITS, _ENVIRONMENT, _ENDS),
            (_METADATA, _WASTE, _SAME_KERNEL),
        ),
        Tier(
            "broker",
            "a second process opens files on the worker's behalf, and a filter of system calls",
            (_FILES, _NETWORK, _PROCESSES, _KERNEL, _RIGHTS, _LIMITS, _ENVIRONMENT, _ENDS),
            (_METADATA, "a fault in the process that opens the files", _WASTE, _SAME_KERNEL),
        ),
        Tier(
            "namespaces",
            "a file system, network and process table of its own, and a filter of system calls",
            (
                "files: sees only Python, its packages, fonts and time zones, read-only, and the "
                "workspace",
                _NETWORK,
                _PROCESSES,
                _KERNEL,
                _RIGHTS,
                _LIMITS,
                _ENVIRONMENT,
                _ENDS,
            ),
            (_WASTE, _SAME_KERNEL),
        ),
        Tier(
            "bubblewrap",
            "the same as namespaces, made by the program bubblewrap",
            (
                "files: sees only Python, its packages, fonts and time zones, read-only, and the "
                "workspace",
                _NETWORK,
                _PROCESSES,
                _KERNEL,
                _RIGHTS,
                _LIMITS,
                _ENVIRONMENT,
                _ENDS,
            ),
            (_WASTE, _SAME_KERNEL),
        ),
        Tier(
            "uid",
            "a user id of its own and a filter of system calls",
            (
                "files: nothing that is closed to other users; writes only the workspace and "
                "folders that every user may write to",
                _NETWORK,
                _PROCESSES,
                _KERNEL,
                _RIGHTS,
                _LIMITS,
                _ENVIRONMENT,
                _ENDS,
            ),
            (
                "files that every user may read: system settings, other users' open folders",
                "folders that every user may write to, such as /tmp and /dev/shm",
                "the list of running processes with their command lines",
                _WASTE,
                _SAME_KERNEL,
            ),
        ),
        Tier(
            "seatbelt",
            "macOS sandbox-exec with a profile that denies by default",
            (
                "files: reads only Python, its packages and system libraries; writes only the "
                "workspace",
                "network: no connection to anywhere, loopback included",
                "processes: starts none and signals none",
                "limits on file size, open files, processor time, output and tool calls",
                _ENVIRONMENT,
            ),
            (
                "its authors had no Mac to run it on: only the self-test of yours speaks for it",
                "memory: macOS does not keep a limit; the app watches and ends the worker",
                "names: whether a file outside exists, its size and times (not its contents)",
                "system services of macOS that Python needs to start",
                "a fault in the kernel, and side channels of the processor",
            ),
        ),
        Tier(
            "restricted",
            "an interpreter of a part of Python, without libraries (pydantic-monty)",
            (
                "files, network, processes: the language has none of them",
                "limits on memory, time, depth of calls and output",
                _ENVIRONMENT,
            ),
            (
                "no full Python: no numpy, no pandas, no files, few of the standard modules",
                "a fault in the interpreter itself: its process has the rights of the user",
            ),
        ),
        Tier(
            "unconfined",
            "a process of its own and nothing more",
            (
                "a process of its own: the app's memory is out of reach, and the app can stop it",
                _LIMITS,
                _ENVIRONMENT,
                "no gain of rights through set-uid programs (Linux)",
                _ENDS,
            ),
            (
                "files: reads and writes whatever the user may, keys and token files included",
                "network: reaches any address, loopback and the local network included",
                "processes: starts programs; signals and may inspect the user's other processes",
                "disk: the total size and number of files are not limited",
            ),
            isolates=False,
        ),
    )
}
