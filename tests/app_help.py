"""`python app.py` in a process of its own."""

import os
import re
import signal
import subprocess
import sys
import threading

import psutil

from settings import ROOT
from tests.engine_help import eventually


class App:
    """The app, with these variables; `said` is what it told on standard error so far."""

    def __init__(self, **variables: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=ROOT,
            env={**os.environ, "HEARTH_PORT": "0", **variables},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def address(self) -> str:
        """Where its page is, once it is up. Raises AssertionError where it ended instead."""
        assert eventually(lambda: self._address() or self.process.poll() is not None, 60)
        found = self._address()
        assert found, f"the app ended:\n{self.ended()}"
        return found

    def ended(self) -> str:
        """All that it said, when it has ended."""
        self.process.wait(30)
        self._reader.join(10)
        return self.said

    def end(self, number: int = signal.SIGTERM) -> list[psutil.Process]:
        """Send a signal and give the processes that are left after five seconds."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(number)
        self.ended()
        return psutil.wait_procs(family, timeout=5)[1]

    def _address(self) -> str:
        found = re.search(r"Hearth is at (http://\S+)", self.said)
        return found[1] if found else ""

    def _read(self) -> None:
        assert self.process.stderr
        with self.process.stderr as lines:
            for line in lines:
                self.said += line
