"""A session's events as chat messages: pure, and safe to show.

What models, pages and programs print is data. Thinking, code and output stand in fences
that they can't close, answers are Markdown without pictures from elsewhere, and HTML is
left to the page's sanitiser.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from agent.events import (
    Event,
    ModelChanged,
    ModelReplied,
    ModelStarting,
    Notice,
    OutputDelta,
    PackageInstall,
    PackageWanted,
    PermissionAnswered,
    PermissionAsked,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    TextDelta,
    ThinkingDelta,
    ToolCalled,
    ToolReturned,
)
from agent.permissions import WORDS, shown_call

Message = dict[str, Any]
# A page that is redrawn ten times a second can't carry megabytes.
MAX_SHOWN_CHARS = 20_000
_LABELS = {
    "stated": "*Stated by the model, not computed.*",
    "collected": "*Not an answer: the last output before the run ended.*",
}


class Transcript:
    """The chat messages of a session, grown event by event.

    `publish` turns an artefact's name into the path of a copy that may be shown, or None.
    """

    def __init__(self, publish: Callable[[str], Path | None]) -> None:
        self._publish = publish
        self.messages: list[Message] = []
        self._step: _Step | None = None

    def add(self, events: Iterable[Event]) -> None:
        """Take in further events."""
        for event in events:
            self._add(event)
        # Once, and not for each of a long reply's thousands of pieces.
        if self._step is not None:
            self._step.draw()

    def _add(self, event: Event) -> None:
        match event:
            case RunStarted():
                files = f"\n\nFiles: {inline(', '.join(event.files))}" if event.files else ""
                self.messages.append({"role": "user", "content": markdown(event.task) + files})
            case StepStarted():
                if self._step is not None:
                    self._step.draw()
                self._step = _Step(event.step)
                self.messages.append(self._step.message)
            case PermissionAsked():
                asked = f"*The code wants to call this; may it? ({inline(event.rule)})*"
                self.messages.append(_assistant(f"{asked}\n\n{fence(shown_call(event))}"))
            case PermissionAnswered():
                self.messages.append(_assistant(f"*{inline(WORDS[event.answer])}*"))
            case PackageWanted():
                said = f"The code asks for {event.package}, which isn't installed."
                self.messages.append(_assistant(f"*{inline(said)}*"))
            case PackageInstall() if event.status == "progress":
                pass
            case PackageInstall():
                self.messages.append(_assistant(f"*{inline(event.text)}*"))
            case Notice():
                self.messages.append(_assistant(f"*{inline(event.text)}*"))
            case ModelChanged():
                if self._step is not None:
                    self._step.begin_again()
                self.messages.append(_assistant(f"**{inline(event.text)}**"))
            case RunFinished():
                if self._step is not None:
                    self._step.break_off()
                    self._step.draw()
                    self._step = None
                self._finish(event)
            case _ if self._step is not None:
                self._step.add(event)

    def _finish(self, event: RunFinished) -> None:
        parts = []
        if event.answer is not None:
            shown = markdown(event.answer)
            parts.append(f"**{shown}**" if len(shown) < 80 and "\n" not in shown else shown)
            parts.append(_LABELS.get(event.provenance, ""))
        if event.error:
            parts.append(f"{inline(event.error)} {inline(event.fix)}".strip())
        self.messages.append(_assistant("\n\n".join(part for part in parts if part)))
        for name in event.artefacts:
            path = self._publish(name)
            if path is not None:
                self.messages.append(_assistant({"path": str(path), "alt_text": name}))


class _Step:
    """One folded step: thinking, code, tool calls and output."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.message: Message = {
            "role": "assistant",
            "content": "…",
            "metadata": {"title": f"Step {number}: thinking", "status": "pending"},
        }
        self._starting = ""
        self._thinking, self._text, self._output = "", "", ""
        self._code: str | None = None
        self._calls: list[str] = []
        self._observation = ""
        self._error: str | None = None
        self._seconds = 0.0

    def add(self, event: Event) -> None:
        """Take in an event; `draw` shows it."""
        match event:
            case ModelStarting():
                self._starting = event.text
                self._title("waiting for the model")
            case ThinkingDelta():
                self._begin_reply()
                self._thinking += event.text
            case TextDelta():
                self._begin_reply()
                self._text += event.text
                self._title("writing code")
            case ModelReplied():
                self._begin_reply()
                self._thinking, self._text, self._code = event.thinking, event.text, event.code
                self._seconds += event.seconds
                self._title("running code" if event.code else "answering")
            case ToolCalled():
                given = ", ".join(f"{n}={v!r}" for n, v in event.arguments.items())
                self._calls.append(f"→ {event.tool}({given})")
                self._title(f"using {event.tool}")
            case ToolReturned():
                mark = "←" if event.ok else "← failed:"
                self._calls.append(f"{mark} {' '.join(event.result.split())[:300]}")
            case OutputDelta():
                self._output += event.text
            case StepFinished():
                self._observation, self._error = event.observation, event.error
                self._seconds += event.seconds
                done = "computed" if self._code else "replied"
                self._close(f"{done}, {self._error}" if self._error else done)

    def begin_again(self) -> None:
        """What has streamed of the reply is void: another model is asked."""
        self._starting, self._thinking, self._text = "", "", ""
        self._title("thinking")

    def _begin_reply(self) -> None:
        """The model answers: it need not be waited for any more."""
        if self._starting:
            self._starting = ""
            self._title("thinking")

    def draw(self) -> None:
        """Bring the message up to date."""
        self.message["content"] = self._content()

    def break_off(self) -> None:
        """The run is over, and with it a step that had not come to its end."""
        if self.message["metadata"]["status"] == "pending":
            self._starting = ""
            self._close("broken off")

    def _close(self, how: str) -> None:
        self._title(how)
        self.message["metadata"]["status"] = "done"
        if self._seconds:
            self.message["metadata"]["duration"] = round(self._seconds, 1)

    def _title(self, doing: str) -> None:
        self.message["metadata"]["title"] = f"Step {self.number}: {doing}"

    def _content(self) -> str:
        parts = [inline(self._starting)] if self._starting else []
        if self._thinking.strip():
            parts.append(quote(self._thinking.strip()))
        if self._code is not None:
            parts.append(fence(self._code, "python"))
        elif self._text.strip():
            parts.append(fence(re.sub(r"^```\w*\n", "", self._text.strip()), "python"))
        if self._calls:
            parts.append(fence("\n".join(self._calls)))
        shown = self._observation if self._error or not self._output else self._output
        if shown.strip():
            parts.append(fence(shown.strip("\n")))
        return "\n\n".join(parts) or "…"


def fence(text: str, language: str = "text") -> str:
    """The text in a code fence longer than any run of backticks in it."""
    text = _short(text)
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{language}\n{text}\n{ticks}"


def quote(text: str) -> str:
    """The text as quoted lines, every sign of Markdown and HTML made plain."""
    return "\n".join(f"> {inline(line)}" for line in _short(text).splitlines())


def inline(text: str) -> str:
    """The text with every character that Markdown or HTML would read made plain."""
    return re.sub(r"([\\`*_{}\[\]()#+!|<>&~$-])", r"\\\1", text)


def markdown(text: str) -> str:
    """Text that may hold Markdown, without pictures: their addresses could carry data away."""
    return _short(text).replace("![", "!\\[").replace("<", "&lt;")


def _short(text: str) -> str:
    if len(text) <= MAX_SHOWN_CHARS:
        return text
    half = MAX_SHOWN_CHARS // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half:,} characters left out …]\n{text[-half:]}"


def _assistant(content: Any) -> Message:
    return {"role": "assistant", "content": content}
