"""Providers that Hearth knows, as data: a key in the settings is all that they need.

Models come and go with providers; the names here were theirs in November 2026, and
`endpoints.<name>.model` replaces them. Where a provider thinks unseen (OpenAI's gpt-5), those
tokens are paid for and not streamed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from serving.link import Quirks


@dataclass(frozen=True)
class Provider:
    """One row: where it answers, and the model that is asked there by default."""

    name: str
    about: str
    url: str
    model: str
    lacks: tuple[str, ...] = ()
    """Fields of a request that it does not take."""

    @property
    def quirks(self) -> Quirks:
        """What the client may know of it beforehand."""
        return Quirks(self.lacks, plain=True)


_ROWS = (
    Provider(
        "huggingface",
        about="Hugging Face's router to inference providers",
        url="https://router.huggingface.co/v1",
        model="openai/gpt-oss-120b",
    ),
    Provider(
        "openai",
        about="OpenAI",
        url="https://api.openai.com/v1",
        model="gpt-5-mini",
        # Its newer models take max_completion_tokens instead, and sample as they like.
        lacks=("max_tokens", "temperature", "top_p"),
    ),
    Provider(
        "anthropic",
        about="Anthropic, at its address for OpenAI's protocol",
        url="https://api.anthropic.com/v1",
        model="claude-haiku-4-5",
    ),
)

PROVIDERS: Mapping[str, Provider] = {row.name: row for row in _ROWS}
