"""Keys in the text of a tool's error, and text that only looks like one."""

from pathlib import Path

import pytest

from sandbox.redact import redact

_KEY = "Zr4kQ0w8Tn2mVb7XcLpYs9"


@pytest.mark.parametrize(
    "text",
    [
        f"401 for https://api.example.org/v1?api_key={_KEY}&q=x",
        f"refused: Authorization: Bearer {_KEY}",
        f"headers={{'authorization': 'Bearer {_KEY}', 'accept': '*/*'}}",
        f"HF_TOKEN={_KEY} is not valid",
        f"'X-Subscription-Key': '{_KEY}'",
        f"postgresql://hearth:{_KEY}@db.example.org/hearth is down",
        f"wrong password: {_KEY}",
        f"key sk-proj-{_KEY} was refused",
        f"hf_{_KEY} has no access",
        f"ghp_{_KEY}ab",
        f"eyJ{_KEY}.{_KEY}.{_KEY}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{_KEY}\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{_KEY}",
    ],
)
def test_keys_are_taken_out(text: str) -> None:
    found = redact(text)
    assert _KEY not in found and "[redacted]" in found, found


@pytest.mark.parametrize(
    "text",
    [
        "There is no file sales.csv.",
        "web_search(query, max_results=5): missing argument 'query'",
        "404 for https://example.org/tokens/list?q=monkey&page=2",
        "the token limit of 4096 was passed",
        "KeyError: 'Region'",
        "Basic arithmetic failed",
        "a secret: no",
    ],
)
def test_other_texts_stay(text: str) -> None:
    assert redact(text) == text


def test_the_home_folder_is_not_named() -> None:
    home = str(Path.home())
    assert redact(f"No such file: '{home}/notes/a.md'") == "No such file: '~/notes/a.md'"
    assert redact(f"{home}-other/x") == f"{home}-other/x"


def test_long_texts_take_no_time() -> None:
    assert len(redact("token" * 100_000 + "=" + "a" * 1000)) < 600_000
