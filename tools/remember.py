"""remember: proposes one fact for later conversations; the user approves it."""

from collections.abc import Callable

from errors import ToolError
from tools.base import HearthTool

PROPOSED = "proposed: it counts once the user moves it from proposed.md to another note"


class Remember(HearthTool):
    """Hands the text to `propose`, which stores it or raises ValueError or OSError."""

    name = "remember"
    description = (
        "Proposes one short fact to keep for later conversations; the user approves it. Use it "
        "only for what the user wants kept. Example: "
        'print(remember("The user\'s bicycle is a Gazelle"))'
    )
    inputs = {
        "text": {"type": "string", "description": "The fact, one sentence, at most 500 characters."}
    }
    touches = frozenset({"memory"})

    def __init__(self, propose: Callable[[str], object]) -> None:
        super().__init__()
        self._propose = propose

    def forward(self, text: str) -> str:
        kept = " ".join(str(text).split())
        try:
            self._propose(kept)
        except ValueError as error:
            raise ToolError(str(error)) from None
        except OSError as error:
            said = error.strerror or str(error)
            raise ToolError(
                f"It can't be kept: {said}.", "Tell the user so.", seen_as=OSError
            ) from None
        return f"Remembered: {kept} ({PROPOSED})"
