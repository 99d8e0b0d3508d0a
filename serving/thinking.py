"""When a reply is cut, and the words that go on from there. Pure."""

from serving.blocks import Kind
from serving.repeats import TEXT, THINKING, Repeats, before_loop
from serving.reply import Forced

_BYTES_A_TOKEN = 4  # of English; Chinese and digits come out near enough
_SLACK_TOKENS = 128
_SHOWN_CHARS = 3000  # of the last thoughts, to a model that begins anew

CLOSING = "\n\nI have thought about this for long enough. Now I act on what I know.\n"
"""The last words of a thinking that is closed in the model's place."""

_WHY = {
    "thinking_budget": "You have thought for long enough",
    "repetition": "Your thoughts go round in circles",
    "unclosed": "Your thoughts never came to an action",
}


class Watch:
    """Counts what is thought and said in one reply, and says when it must be cut.

    `budget` is how many tokens of thinking are allowed, None for no limit. Tokens are those
    of the deltas, of which servers send about one a token, or a quarter of the bytes,
    whichever is more.
    """

    def __init__(self, budget: int | None) -> None:
        self.budget = budget
        self._loops = {"thinking": Repeats(THINKING), "text": Repeats(TEXT)}
        self._deltas = {"thinking": 0, "text": 0}
        self._bytes = {"thinking": 0, "text": 0}

    def take(self, kind: Kind, text: str) -> Forced | None:
        """Take in a piece; why the reply must be cut here, or None."""
        self._deltas[kind] += 1
        self._bytes[kind] += len(text.encode("utf-8", "replace"))
        if self._loops[kind].feed(text):
            return "repetition"
        over = kind == "thinking" and self.budget is not None and self._tokens(kind) > self.budget
        return "thinking_budget" if over else None

    @property
    def tokens(self) -> int:
        """About how many tokens there were, in all."""
        return self._tokens("thinking") + self._tokens("text")

    def _tokens(self, kind: Kind) -> int:
        return max(self._deltas[kind], self._bytes[kind] // _BYTES_A_TOKEN)

    def before_loop(self, thinking: str) -> str:
        """The thinking without the loop it ended in, if it did."""
        found = self._loops["thinking"].found
        return before_loop(thinking, found) if found else thinking

    def leave_to_server(self, budget: int) -> None:
        """The server counts the budget itself; ours is for one that ignores it."""
        self.budget = self._tokens("thinking") + budget + budget // 2 + _SLACK_TOKENS

    def again(self, budget: int | None) -> None:
        """Another reply begins, with `budget` tokens more to think."""
        self._loops = {"thinking": Repeats(THINKING), "text": Repeats(TEXT)}
        if self.budget is not None:
            self.budget = None if budget is None else self._tokens("thinking") + budget


def nudge(why: Forced, thinking: str) -> list[dict[str, str]]:
    """The turns that have a model act which can't be continued in the middle of a reply."""
    shown = thinking
    if len(shown) > _SHOWN_CHARS:
        shown = "…" + shown[-_SHOWN_CHARS:].partition("\n")[2].lstrip()
    say = (
        f"{_WHY[why]}; your last thoughts stand above. Don't think about it any further. Reply "
        "now: one short ```python block, or the final answer if you know it."
    )
    said = [{"role": "assistant", "content": shown}] if shown else []
    return [*said, {"role": "user", "content": say}]
