"""calculate: exact and symbolic arithmetic, in a process of its own with limits.

SymPy can be asked in one short line for more than the machine has (9**9**9), and a thread
can't be stopped; a process can. It is kept for the next call, since importing SymPy takes longer
than nearly every calculation.
"""

from typing import Any

from errors import ToolError
from tools.base import HearthTool
from tools.converter import shared

MAX_CHARS = 1_000
SECONDS = 10.0
MEMORY_BYTES = 1 << 30
TOO_MUCH = "That takes too long or too much memory;"
_SMALLER = "ask for something smaller."


class Calculate(HearthTool):
    """Parses the expression itself (nothing is evaluated as Python) and asks SymPy."""

    name = "calculate"
    description = (
        "Computes an expression exactly: fractions, percent, powers, roots, factorial(n), "
        "gcd(a, b), isprime(n), equations (x^2 - 5x + 6 = 0), diff, integrate, simplify, units "
        '(5 km + 300 m in miles). Returns text. Example: print(calculate("17% of 2480 + 3^2"))'
    )
    inputs = {"expression": {"type": "string", "description": "What to compute, as written."}}
    timeout_seconds = 60.0

    def __init__(self, timeout_seconds: float = SECONDS, memory_bytes: int = MEMORY_BYTES) -> None:
        super().__init__()
        self._limits = {"seconds": timeout_seconds, "memory_bytes": memory_bytes}

    def forward(self, expression: str) -> str:
        text = str(expression).strip()
        if not text:
            raise ToolError("expression is empty.", "Say what to compute, such as 17% of 2480.")
        if len(text) > MAX_CHARS:
            raise ToolError(
                f"The expression is longer than {MAX_CHARS} characters.", "Compute it in parts."
            )
        return ask("calculate", expression=text, **self._limits)


def ask(job: str, **options: Any) -> str:
    """What the calculator's process answers. Raises ToolError, in words."""
    options = {"seconds": SECONDS, "memory_bytes": MEMORY_BYTES, "name": job, **options}
    try:
        return shared("numbers").run(job, b"", **options).decode()
    except ToolError as error:
        if error.seen_as in (TimeoutError, MemoryError, RuntimeError):
            raise ToolError(TOO_MUCH, _SMALLER, seen_as=TimeoutError) from None
        raise
