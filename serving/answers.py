r"""The answer that a reply states in words: `\boxed{…}`, `Final answer: …`, `The answer is …`."""

import re

# What may stand before a label on its line: Markdown, a list's number, a tick; no quote.
_MARKS = r"^(?:[^\w\n\"'`“‘「『(\[{<]|[\d_]){0,20}"
_SO = r"(?:(?:so|thus|therefore|hence|finally|in conclusion|因此|所以|综上)[,，]?[ \t]{0,2})"
_NAME = r"(?:(?:the|my)[ \t](?:final[ \t]|correct[ \t])?answer)"
_IS = rf"(?:{_NAME}[ \t](?:is|would[ \t]be)|(?:最终)?的?答案(?:应该)?(?:是|为))"
_LABEL = re.compile(
    rf"{_MARKS}(?:"
    r"(?:final[ \t_]{1,4}answer|answer|final[ \t]result|最终的?答案|答案|最终结果)"
    r"[*_# \t]{0,8}(?:[:：][*_]{0,3}|$)"
    rf"|{_SO}?{_IS}[*_ \t]{{0,4}}[:：][*_ \t]{{0,4}}$)",
    re.IGNORECASE | re.MULTILINE,
)
# A sentence that says it: a line's first or a later one, or what follows from one.
_SENTENCE = re.compile(
    rf"(?:{_MARKS}{_SO}?|(?<=[.!?] ){_SO}?|(?<=[。！？；]){_SO}?|(?<=, ){_SO}|(?<=，){_SO})"
    rf"{_IS}[*:： \t]{{0,6}}(?=\S)",
    re.IGNORECASE,
)
_NO_VALUE = re.compile(  # what follows "is" when it is no answer yet
    r"(?:not|probably|likely|possibly|perhaps|maybe|unknown|unclear|in|on|at|to|as|based|stored"
    r"|given|found|computed|calculated|obtained|hidden|available|yet|still|below|above|shown"
    r"|here)\b|可能|也许|大概|不|在",
    re.IGNORECASE,
)
_MORE_TO_DO = re.compile(
    r"\b(?:let me|let's|I'll|I will|I need|we need|next|but|however|wait|not sure|unsure)\b"
    r"|我将|接下来|但|[?？]",
    re.IGNORECASE,
)
# Where a sentence ends: not after the dot of `Dr. No` or in `3.5`.
_SENTENCE_END = re.compile(r"(?<=[\w)}$*\"]{4})[.!](?=\s)|(?<=[\d)}$*])[.!](?=\s)|[。！]")
_SENTENCE_CHARS = 300
_LINE_CHARS = 3000
_BOX = re.compile(r"\\f?boxed[ \t]{0,4}\{")
_BOX_CHARS = 4000  # the longest content of a box
_BOXES = 20  # how many boxes, from the end, are looked at
# What may stand between the boxes of one answer, such as `\boxed{81} and \boxed{256}`.
_BESIDE = re.compile(r"(?:[ \t,;$]|\\[()]|and|or|or else|和|或|与|及|、|，){1,24}")
_TAG_OPENS = re.compile(r"<(?:final_)?answer>", re.IGNORECASE)
_TAG_CLOSES = re.compile(r"</(?:final_)?answer>", re.IGNORECASE)
# The words of a prompt that shows the form of an answer, not an answer.
_PLACEHOLDER = re.compile(
    r"\$?[<\[{(]?(?:\.{2,3}|…|\\[lc]?dots|_+|x{3,}|(?:your|the|final|my)?[ _-]?(?:final[ _-])?"
    r"(?:answer|result)(?:[ _-]here)?)[>\]})]?\$?",
    re.IGNORECASE,
)
_FENCED = re.compile(r"(`{3,}|~{3,})[^\n]{0,40}\n(.*?)\n[ \t]*\1", re.DOTALL)
_TEXT = re.compile(r"\\(?:text|mathrm|textbf|mathbf)\{([^{}]*)\}")
_ESCAPED = re.compile(r"\\([%$#&_])")
_SPACING = re.compile(r"\\[,;: ]|~")
_MATHS = re.compile(
    r"\$\$([^$]+)\$\$|\$([^$]+)\$|\\\(((?:(?!\\[()]).)+)\\\)|\\\[((?:(?!\\[\[\]]).)+)\\\]",
    re.DOTALL,
)
_BOLD = re.compile(r"(?<![\w)*])\*\*(?=[^\s*])([^*\n]+)(?<=[^\s*])\*\*(?![\w*])")
_STARS = re.compile(r"^(?:\*{2,3}\s*|\*(?!\s))|\*{1,3}$")


def find_answer(text: str, cut: bool = False) -> str | None:
    r"""The stated answer, or None.

    The last `\boxed{…}` that is not empty goes first (DeepSeek-R1 is asked for it in maths), with
    those right before it in the same sentence; then `<answer>…</answer>`; then the last line
    `Final answer: …` or `Answer: …`: the rest of that line, or all that follows when the line
    only announces it; then a sentence of the last line that begins `The answer is …`. What
    only shows the form of an answer (`\boxed{...}`, `Answer: $YOUR_ANSWER`) is none. `cut`: the
    reply did not end by itself, so its last line may be incomplete and only what stands before
    it counts.
    """
    boxed = _last_boxes(text)
    if boxed is not None:
        return boxed
    tagged = _tagged(text)
    if tagged is not None:
        return tagged
    if cut:
        text = text[: text.rfind("\n") + 1]
    labels = list(_LABEL.finditer(text))
    if not labels:
        return None if cut else _sentence(text)
    label = labels[-1]
    rest = text[label.end() :].strip()
    first, _, _ = rest.partition("\n")
    first = first.strip()
    announces = not text[label.end() :].split("\n", 1)[0].strip(" \t\r*_$")
    if announces and cut:
        return None
    fenced = _FENCED.match(rest)
    if fenced:
        return fenced.group(2).strip() or None
    if not announces and first.endswith((":", "：")):
        return None if cut else _plain(rest)
    return _plain(rest if announces else _bracketed(rest) or first)


def _tagged(text: str) -> str | None:
    """The content of the last `<answer>…</answer>`, as models write it whose training had them."""
    ends = [tag.start() for tag in _TAG_CLOSES.finditer(text)]
    begins = [tag.end() for tag in _TAG_OPENS.finditer(text, 0, ends[-1])] if ends else []
    return _plain(text[begins[-1] : ends[-1]]) if begins else None


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
    """What the last line says in a sentence `The answer is`, if it is sure of it."""
    line = text.rstrip().rpartition("\n")[2].strip()[-_LINE_CHARS:]
    begins = [said.end() for said in _SENTENCE.finditer(line)]
    if not begins or _NO_VALUE.match(line, begins[-1]):
        return None
    rest = line[begins[-1] :]
    if _MORE_TO_DO.search(rest):
        return None
    ends = _SENTENCE_END.search(rest)
    answer = rest[: ends.start()] if ends else rest.rstrip()
    if len(answer) > _SENTENCE_CHARS:
        return None
    # A sentence's own dot, maybe before the stars of one that is bold.
    return _plain(re.sub(r"(?<![.])[.](?=[*\s]*$)", "", answer))


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
    r"""Without Markdown's and LaTeX's dress: `**42**`, `$42$` and `17 \text{ km}` are `42`, `42`
    and `17 km`. None for what is empty or only shows the form of an answer.
    """
    answer = _STARS.sub("", _BOLD.sub(r"\1", answer.strip())).strip()
    maths = _MATHS.fullmatch(answer)
    if maths:
        answer = next(part for part in maths.groups() if part is not None).strip()
    if answer[:1] == answer[-1:] == "`" and answer.count("`") == 2:
        answer = answer[1:-1].strip()
    whole = _TEXT.fullmatch(answer)
    if whole:
        answer = whole.group(1).strip()
    bare = _ESCAPED.sub(r"\1", _TEXT.sub(r"\1", answer)).replace("{,}", ",")
    bare = _SPACING.sub(" ", bare)
    if bare != answer and "\\" not in bare and "\\" in answer:
        answer = re.sub(r" {2,}", " ", bare).strip()
    if _PLACEHOLDER.fullmatch(answer):
        return None
    return _without_dot(answer) or None


def _without_dot(answer: str) -> str:
    """Without the full stop after a single word or number; that of a sentence stays."""
    body, dot = answer[:-1], answer[-1:]
    if dot == "。" and "。" not in body:
        return body.rstrip()
    words = body.split()
    if dot == "." and (len(words) == 1 or body[:1].isdigit()) and "." not in (words or [""])[-1]:
        return body
    return answer
