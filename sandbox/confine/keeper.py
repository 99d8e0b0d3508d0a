"""What the tiers share in which a second process, the keeper, stays beside the worker.

The keeper is the worker's parent and the leader of the sandbox's process group, the one that
the app knows. It passes on how the worker ended, and neither outlives the other.
"""

import os
import signal
from collections.abc import Callable, Iterable
from typing import NoReturn


def fork() -> int:
    """As os.fork; the keeper, and not the worker, ignores interrupts from here on.

    The app interrupts the whole process group, and means the worker.
    """
    usual = signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGINT, usual)
    return child


def keep(
    worker: int,
    descriptors: Iterable[int],
    work: Callable[[], None],
    also: Iterable[int] = (),
) -> NoReturn:
    """Be the keeper: do `work`, then end as the worker did. Never returns.

    Everything but standard error and `descriptors` is closed, the worker's pipes among it: the
    app sees them close when the worker ends. If `work` raises, worker and keeper end. `also`
    are child processes that end with the worker.
    """
    try:
        close_others(descriptors)
        work()
    except BaseException as error:  # noqa: BLE001 - whatever it is, the keeper ends here
        os.kill(worker, signal.SIGKILL)
        os.write(2, f"the sandbox's keeper failed: {type(error).__name__}: {error}\n".encode())
    status = wait(worker)
    for child in also:
        os.kill(child, signal.SIGKILL)
        wait(child)
    end_as(status)


def close_others(kept: Iterable[int]) -> None:
    """Close every descriptor but standard error and those to be kept."""
    low = 0
    for descriptor in sorted({2, *kept}):
        os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))
    null = os.open(os.devnull, os.O_RDWR)
    while null < 2:  # nothing opened later may pass for standard input or output
        null = os.dup(null)
    if null > 2:
        os.close(null)


def wait(child: int) -> int:
    """Wait for the child's end; its status as waitpid(2) gives it."""
    _, status = os.waitpid(child, 0)
    return status


def end_as(status: int) -> NoReturn:
    """End with the same exit code, or by the same signal."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
