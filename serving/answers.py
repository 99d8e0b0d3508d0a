r"""The answer that a reply states in words: `\boxed{…}`, or a line `Final answer: …`."""

import re

_LABEL = re.compile(
    r"^[#*>\-$\\ \t\d.]{0,20}"
    r"(?:final\s+answer|answer|最终答案|答案)"
    r"[*_# \t]{0,8}(?:[:：][*_]{0,3}|$)",
    re.IGNORECASE | re.MULTILINE,
)
_TEXT = re.compile(r"\\(?:text|mathrm|textbf|mathbf)\{([^{}]*)\}")
_DRESS = " \t\r\n*_$"
_BOX = "\\boxed{"
_BOX_CHARS = 4000  # the longest content of a box
_BOXES = 20  # how many boxes, from the end, are looked at


def find_answer(text: str, cut: bool = False) -> str | None:
    r"""The stated answer, or None.

    The last `\boxed{…}` that is not empty goes first (DeepSeek-R1 is asked for it in maths), then
    the last line `Final answer: …` or `Answer: …`: the rest of that line, or all that follows
    when the line only announces it. `cut`: the reply hit the token limit, so a line may be
    incomplete and only a box counts.
    """
    boxed = _last_box(text)
    if boxed is not None or cut:
        return boxed
    labels = list(_LABEL.finditer(text))
    if not labels:
        return None
    label = labels[-1]
    rest = text[label.end() :].strip()
    first, _, _ = rest.partition("\n")
    first = first.strip()
    announces = not text[label.end() :].split("\n", 1)[0].strip(_DRESS) or first.endswith(
        (":", "：")
    )
    return _plain(rest if announces else first)


def _last_box(text: str) -> str | None:
    at = len(text)
    for _ in range(_BOXES):
        at = text.rfind(_BOX, 0, at)
        if at < 0:
            break
        content = _braced(text, at + len(_BOX))
        plain = _plain(content) if content is not None else None
        if plain:
            return plain
    return None


def _braced(text: str, start: int) -> str | None:
    depth = 1
    for brace in re.finditer(r"\\[{}]|[{}]", text[start : start + _BOX_CHARS]):
        if brace.group() in "{}":
            depth += 1 if brace.group() == "{" else -1
        if not depth:
            return text[start : start + brace.start()]
    return None


def _plain(answer: str) -> str | None:
    """Without Markdown's and LaTeX's dress: `**42**` and `\\text{Paris}` are `42` and `Paris`."""
    answer = answer.strip(_DRESS)
    whole = _TEXT.fullmatch(answer)
    return (whole.group(1) if whole else answer).strip(_DRESS) or None
