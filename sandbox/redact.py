"""Takes out of a tool's error text what the model has no business to read.

A library that fails says what it was doing: the address with its key, the header with its
token. That text goes to the model, whose next words may go anywhere.
"""

import re
from pathlib import Path

_MARK = "[redacted]"

# What follows these words is a secret, up to where a value ends.
_NAMED = re.compile(
    r"(?i)\b((?:[\w.-]*(?:api[_-]?key|access[_-]?key|token|secret|password|passwd|pwd|signature)"
    r"|authorization|cookie|x-[\w-]*key)[\"']?\s*[=:]\s*[\"']?)"
    r"((?:bearer|basic|token)\s+)?[^\s\"'&;,)}\]]{4,}"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+(?=\S*\d)[\w.~+/=-]{8,}")
_USER_INFO = re.compile(r"(://)[^\s/@:]+:[^\s/@]+@")
# Keys that can be told by their shape: OpenAI and Anthropic, Hugging Face, GitHub, AWS, Google,
# Slack, Tavily; and JSON Web Tokens.
_SHAPES = re.compile(
    r"\b(?:sk-[\w-]{16,}|hf_\w{16,}|gh[oprsu]_\w{20,}|github_pat_\w{20,}|AKIA[0-9A-Z]{16}"
    r"|AIza[\w-]{30,}|xox[abprs]-[\w-]{10,}|tvly-[\w-]{16,}"
    r"|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"
)
_KEY_BLOCK = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|\Z)", re.S)


def redact(text: str) -> str:
    """The text without keys, tokens and passwords, and with `~` for the user's home folder."""
    text = _KEY_BLOCK.sub(_MARK, text)
    text = _USER_INFO.sub(rf"\1{_MARK}@", text)
    text = _NAMED.sub(rf"\1{_MARK}", text)
    text = _BEARER.sub(rf"\1 {_MARK}", text)
    text = _SHAPES.sub(_MARK, text)
    home = str(Path.home())
    if len(home) > 1:
        text = re.sub(re.escape(home) + r"(?=[/'\":\s]|$)", "~", text)
    return text
