"""A port on loopback, kept for an engine until it listens there, and between its restarts.

On Linux a socket that is bound with SO_REUSEADDR but doesn't listen keeps the port from
being given to others, while a server that sets SO_REUSEADDR too (all do) can still listen on
it. Elsewhere the port is let go at once, and there is a short moment in which it can be lost.
"""

import errno
import socket
import sys

from errors import EngineError

HOST = "127.0.0.1"
LOOPBACK = frozenset({HOST, "localhost", "::1"})
"""Names of this machine: a proxy from the environment never stands before a server here."""


class PortHold:
    """A reserved port. `release` gives it back; the server on it, if any, isn't touched."""

    def __init__(self, holder: socket.socket) -> None:
        self.port: int = holder.getsockname()[1]
        self._holder = holder
        if not sys.platform.startswith("linux"):
            holder.close()

    @classmethod
    def take(cls, port: int = 0, *, exact: bool = False) -> "PortHold":
        """Reserve `port`, or a free one when it is 0, or taken and not `exact`.

        Raises EngineError when an exact port can't be had.
        """
        holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            holder.bind((HOST, port))
        except OSError as error:
            holder.close()
            if port and not exact:
                return cls.take()
            why = "is in use" if error.errno == errno.EADDRINUSE else f"can't be had ({error})"
            raise EngineError(
                f"Port {port} on {HOST} {why}.",
                fix="Set HEARTH_ENGINE_PORT to another port, or to 0 for any free one.",
            ) from None
        return cls(holder)

    def release(self) -> None:
        """Give the port back; may be called twice."""
        self._holder.close()
