"""Where the project lies, and the few constants that fields share."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

ROOT = Path(__file__).resolve().parent.parent
PREFIX = "HEARTH_"
BUNDLED_MODEL = "tiny"
# Waits much longer than this overflow the system's clocks.
A_WEEK = 7 * 24 * 3600


def http_address(value: str) -> str:
    """`value` without its last slash, if it is empty or an address. Raises ValueError."""
    if value:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an address that starts with http:// or https://")
        _ = parts.port  # reading it raises ValueError for a port that can't be
    return value.rstrip("/")


def plain_key(value: SecretStr) -> SecretStr:
    """The key without white space around it. Raises ValueError for what can't be sent as one: a
    library would say so with the key in its words.
    """
    text = value.get_secret_value().strip()
    if not all("!" <= letter <= "~" for letter in text):
        raise ValueError("holds a space, a line end or a letter that no key has; copy it again")
    return SecretStr(text)


Key = Annotated[SecretStr, AfterValidator(plain_key)]
"""A setting that holds a key."""
