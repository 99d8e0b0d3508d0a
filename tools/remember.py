"""remember: keeps one fact for later sessions."""

from collections.abc import Callable

from smolagents import Tool


class Remember(Tool):
    """Hands the text to `keep`, which stores it or raises ValueError."""

    name = "remember"
    description = (
        "Keeps one short fact for later conversations; search_notes finds it again. Use it only "
        "for what the user wants kept. Example: "
        'print(remember("The user\'s bicycle is a Gazelle"))'
    )
    inputs = {
        "text": {"type": "string", "description": "The fact, one sentence, at most 500 characters."}
    }
    output_type = "string"

    def __init__(self, keep: Callable[[str], object]) -> None:
        super().__init__()
        self._keep = keep

    def forward(self, text: str) -> str:
        kept = " ".join(str(text).split())
        self._keep(kept)
        return f"Remembered: {kept}"
