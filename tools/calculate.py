"""calculate: exact and symbolic arithmetic, in a process of its own with limits.

SymPy can be asked in one short line for more than the machine has (9**9**9), and a thread
can't be stopped; a process can.
"""

import json
import math
import subprocess
import sys
from pathlib import Path

from smolagents import Tool

MAX_CHARS = 1_000
_WORKER = Path(__file__).with_name("calculate_worker.py")


class Calculate(Tool):
    """Parses the expression itself (nothing is evaluated as Python) and asks SymPy."""

    name = "calculate"
    description = (
        "Computes an expression exactly: fractions, percent, powers, roots, factorial(n), "
        "gcd(a, b), isprime(n), equations (x^2 - 5x + 6 = 0), diff, integrate, simplify. Returns "
        'text. Example: print(calculate("17% of 2480 + 3^2"))'
    )
    inputs = {"expression": {"type": "string", "description": "What to compute, as written."}}
    output_type = "string"

    def __init__(self, timeout_seconds: float = 10.0, memory_bytes: int = 1 << 30) -> None:
        super().__init__()
        self._timeout = timeout_seconds
        self._memory = memory_bytes

    def forward(self, expression: str) -> str:
        text = str(expression).strip()
        if not text:
            raise ValueError("expression is empty.")
        if len(text) > MAX_CHARS:
            raise ValueError(f"The expression is longer than {MAX_CHARS} characters.")
        seconds = math.ceil(self._timeout) + 1  # of the processor: more than the clock allows
        reply = self._ask({"expression": text, "memory_bytes": self._memory, "seconds": seconds})
        if "error" in reply:
            raise ValueError(reply["error"])
        return reply["text"]

    def _ask(self, request: dict[str, object]) -> dict[str, str]:
        too_much = "That takes too long or too much memory; ask for something smaller."
        try:
            done = subprocess.run(
                [sys.executable, "-I", str(_WORKER)],
                input=json.dumps(request),
                capture_output=True,
                text=True,
                encoding="utf-8",
                timeout=self._timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise TimeoutError(too_much) from None
        if done.stdout:
            return json.loads(done.stdout)
        # It was killed, or had too little memory left to say so, or its Python is broken.
        said = done.stderr.strip().splitlines()[-1:]
        if done.returncode < 0 or "MemoryError" in done.stderr or not said:
            raise TimeoutError(too_much)
        raise RuntimeError(f"calculate is out of order: {said[0][:300]}")
