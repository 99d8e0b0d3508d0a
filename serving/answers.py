r"""The answer that a reply states in words: `\boxed{…}`, `Final answer: …`, `The answer is …`."""

import re

_LABEL = re.compile(
    r"^[#*>\-$\\ \t\d.]{0,20}"
    r"(?:final\s+answer|answer|最终答案|答案)"
    r"[*_# \t]{0,8}(?:[:：][*_]{0,3}|$)",
    re.IGNORECASE | re.MULTILINE,
)
_SENTENCE = re.compile(
    r"^[#*> \t]{0,12}(?:(?:so|thus|therefore|hence|in conclusion|因此|所以|综上)[,，]?[ \t]{0,2})?"
    r"(?:(?:the|my)[ \t](?:final[ \t]|correct[ \t])?answer[ \t](?:is|would[ \t]be)"
    r"|(?:最终)?答案(?:是|为))"
    r"[*:： \t]{0,6}(?=\S)",
    re.IGNORECASE | re.MULTILINE,
)
_NO_VALUE = re.compile(  # what follows "is" when it is no answer yet
    r"(?:not|probably|likely|possibly|perhaps|maybe|unknown|unclear|in|on|at|to|as|based|stored"
    r"|given|found|computed|calculated|obtained|hidden|available|yet|still)\b|可能|也许|大概|不|在",
    re.IGNORECASE,
)
_MORE_TO_DO = re.compile(r"\b(?:let me|let's|I'll|I will|I need|we need|next)\b|我将|接下来", re.I)
_TEXT = re.compile(r"\\(?:text|mathrm|textbf|mathbf)\{([^{}]*)\}")
_DRESS = " \t\r\n*_$"
_SENTENCE_CHARS = 300
_BOX = re.compile(r"\\f?boxed[ \t]{0,4}\{")
_BOX_CHARS = 4000  # the longest content of a box
_BOXES = 20  # how many boxes, from the end, are looked at
# What may stand between the boxes of one answer, such as `\boxed{81} and \boxed{256}`.
_BESIDE = re.compile(r"(?:[ \t,;$]|\\[()]|and|or|or else|和|或|与|及|、|，){1,24}")


def find_answer(text: str, cut: bool = False) -> str | None:
    r"""The stated answer, or None.

    The last `\boxed{…}` that is not empty goes first (DeepSeek-R1 is asked for it in maths), with
    those right before it in the same sentence; then the last line `Final answer: …` or `Answer:
    …`: the rest of that line, or all that follows when the line only announces it; then a
    last paragraph that begins `The answer is …`. `cut`: the reply did not end by itself, so
    its last line may be incomplete and only what stands before it counts.
    """
    boxed = _last_boxes(text)
    if boxed is not None:
        return boxed
    if cut:
        text = text[: text.rfind("\n") + 1]
    labels = list(_LABEL.finditer(text))
    if not labels:
        return None if cut else _sentence(text)
    label = labels[-1]
    rest = text[label.end() :].strip()
    first, _, _ = rest.partition("\n")
    first = first.strip()
    announces = not text[label.end() :].split("\n", 1)[0].strip(_DRESS) or first.endswith(
        (":", "：")
    )
    if announces and cut:
        return None
    return _plain(rest if announces else _bracketed(rest) or first)


def _bracketed(rest: str) -> str | None:
    """The lines up to where the brackets of the first one close, such as those of a table."""
    depth, lines = 0, []
    for line in rest[:_BOX_CHARS].split("\n"):
        lines.append(line)
        depth += sum(line.count(c) for c in "([{") - sum(line.count(c) for c in ")]}")
        if depth <= 0:
            return "\n".join(lines)
        if not line.strip():
            break
    return None


def _sentence(text: str) -> str | None:
    """What the last paragraph says when it begins `The answer is`, and is sure of it."""
    paragraph = text.rstrip().rpartition("\n\n")[2].strip()
    said = _SENTENCE.match(paragraph)
    if said is None or len(paragraph) > _SENTENCE_CHARS or "\n" in paragraph:
        return None
    if _NO_VALUE.match(paragraph, said.end()) or _MORE_TO_DO.search(paragraph):
        return None
    answer = paragraph[said.end() :].rstrip(_DRESS)
    ends = answer.endswith((".", "。")) and not answer.endswith("..")
    return _plain(answer[:-1] if ends else answer)


def _last_boxes(text: str) -> str | None:
    found: list[tuple[int, str]] = []  # beginning and content, the last box first
    boxes = [(box.start(), box.end()) for box in _BOX.finditer(text)][-_BOXES:]
    for start, inside in reversed(boxes):
        content = _braced(text, inside)
        plain = _plain(content) if content is not None else None
        if not plain or content is None:
            if found:
                break
            continue
        end = inside + len(content) + 1
        if found and not _BESIDE.fullmatch(text, end, found[-1][0]):
            break
        found.append((start, plain))
    return ", ".join(plain for _, plain in reversed(found)) or None


def _braced(text: str, start: int) -> str | None:
    depth = 1
    for brace in re.finditer(r"\\[{}]|[{}]", text[start : start + _BOX_CHARS]):
        if brace.group() in "{}":
            depth += 1 if brace.group() == "{" else -1
        if not depth:
            return text[start : start + brace.start()]
    return None


def _plain(answer: str) -> str | None:
    r"""Without Markdown's and LaTeX's dress: `**42**` and `17 \text{ km}` are `42` and `17 km`."""
    answer = answer.strip(_DRESS)
    whole = _TEXT.fullmatch(answer)
    if whole:
        return whole.group(1).strip(_DRESS) or None
    bare = _TEXT.sub(r"\1", answer)
    if bare != answer and "\\" not in bare:
        answer = re.sub(r" {2,}", " ", bare)
    return answer.strip(_DRESS) or None
