"""A run on a terminal or in a notebook: the events, drawn with rich as they come.

Everything that goes to a terminal goes through here, since here it is cleaned.
"""

import re
from collections.abc import Iterable

from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text

from agent.events import (
    Compacted,
    Event,
    ModelChanged,
    ModelReplied,
    Notice,
    OutputDelta,
    PackageInstall,
    PackageWanted,
    PermissionAnswered,
    PermissionAsked,
    RunFinished,
    RunResumed,
    RunStarted,
    StepFinished,
    StepStarted,
    TextDelta,
    ThinkingDelta,
    ToolCalled,
    ToolReturned,
)
from agent.permissions import WORDS, shown_call
from errors import HearthError

# Everything that could steer a terminal: C0 and C1 controls but line ends and tabs, and the
# marks that turn the direction of text. What models, pages and code print is data.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_FENCE = re.compile(r"^(```|~~~|<code>)", re.MULTILINE)


def clean(text: str) -> str:
    """The text without characters that control a terminal."""
    return _CONTROLS.sub("", text)


def show(events: Iterable[Event], console: Console) -> RunFinished:
    """Draw a run's events as they come; returns the last one."""
    printer = _Printer(console)
    finished = RunFinished(status="failed", error="The run ended without a last event.")
    for event in events:
        printer.draw(event)
        if isinstance(event, RunFinished):
            finished = event
    return finished


def tell(text: str, style: str = "") -> None:
    """Lines to standard error, so that standard output holds the run alone."""
    Console(stderr=True, highlight=False).print(Text(clean(text), style=style), soft_wrap=True)


def tell_fault(error: HearthError) -> None:
    """What is wrong and what to do; before it the end of the engine's log, if there is one."""
    log = getattr(error, "log", "")
    if log:
        tell(f"The end of the engine's log:\n{log}\n", "dim")
    tell(str(error), "red")


def _until_code(text: str) -> str:
    """The text before its code block, without a last line that may open one."""
    found = _FENCE.search(text)
    if found:
        return text[: found.start()].rstrip()
    begun = text.rpartition("\n")
    return begun[0] if begun[2][:1] in ("`", "~", "<", "") else text


class _Printer:
    """Keeps whether the cursor stands in the middle of a line, and what of a reply is drawn."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._mid_line = False
        self._thought = False
        self._text, self._drawn = "", 0

    def draw(self, event: Event) -> None:
        match event:
            case RunStarted():
                sandbox = f", sandbox {event.sandbox}" if event.sandbox else ""
                self._line(f"model {event.model} ({event.family}){sandbox}", "dim")
            case StepStarted():
                self._end_line()
                self._thought, self._text, self._drawn = False, "", 0
                self.console.rule(f"Step {event.step}", style="dim", align="left")
            case ThinkingDelta():
                self._thought = True
                self._piece(event.text, "dim italic")
            case TextDelta():
                self._text += event.text
                self._prose(_until_code(self._text))
            case ModelReplied():
                self._reply(event)
            case OutputDelta():
                self._piece(event.text, "")
            case ToolCalled():
                given = ", ".join(f"{name}={value!r}" for name, value in event.arguments.items())
                self._line(f"→ {event.tool}({given})", "cyan")
            case ToolReturned() if not event.ok:
                self._line(f"← {event.result}", "red")
            case StepFinished() if event.error:
                self._line(event.observation, "red")
            case Compacted():
                sizes = f"{event.tokens_before:,} to {event.tokens_after:,} tokens"
                self._line(f"the conversation is sent shortened: from {sizes}", "dim")
            case ModelChanged():
                self._thought, self._text, self._drawn = False, "", 0  # what streamed is void
                self._line(event.text, "yellow")
            case RunResumed():
                kept = "variables are there again" if event.rebuilt else "variables are gone"
                why = f" ({event.reason})" if event.reason else ""
                self._line(f"going on with: {event.task}\n{kept}{why}", "dim")
            case PackageWanted():
                self._line(f"The code asks for {event.package}, which isn't installed.", "yellow")
            case PackageInstall():
                self._line(event.text, "red" if event.status == "failed" else "dim")
            case PermissionAsked():
                self._line(f"May this be called? ({event.rule})\n{shown_call(event)}", "yellow")
            case PermissionAnswered():
                self._line(WORDS[event.answer], "dim")
            case Notice():
                self._line(event.text, "yellow")
            case RunFinished():
                self._finish(event)

    def _reply(self, event: ModelReplied) -> None:
        if event.thinking.strip() and not self._thought:
            # Some servers mark the thinking only at its end: until then it streamed as text.
            self._line(event.thinking.strip(), "dim italic")
        elif not event.code:
            self._prose(event.text)
        self._end_line()
        if event.code:
            self.console.print(
                Syntax(clean(event.code), "python", background_color="default", word_wrap=True)
            )

    def _prose(self, text: str) -> None:
        """Draw what of the reply's text stands before its code, as far as it is new."""
        fresh = text[self._drawn :]
        self._drawn += len(fresh)
        if not self._mid_line:
            fresh = fresh.lstrip("\n")
        elif self._drawn == len(fresh):
            self._end_line()  # the thinking ends here
        self._piece(fresh, "")

    def _finish(self, event: RunFinished) -> None:
        self._end_line()
        if event.answer is not None:
            labels = {"stated": " (stated, not computed)", "collected": " (from the last output)"}
            label = "Answer" + labels.get(event.provenance, "")
            self.console.print(
                Text.assemble((f"{label}: ", "bold green"), (clean(event.answer), "bold"))
            )
        if event.error:
            self._line(event.error, "bold red")
            if event.fix:
                self._line(event.fix, "")
        if event.artefacts:
            self._line(f"Files: {', '.join(event.artefacts)}", "")
        steps = "1 step" if event.steps == 1 else f"{event.steps} steps"
        tokens = f", {event.output_tokens} tokens" if event.output_tokens else ""
        self._line(f"{steps}, {event.seconds:.1f} s{tokens}", "dim")

    def _piece(self, text: str, style: str) -> None:
        text = clean(text)
        if text:
            self.console.print(Text(text, style=style), end="", soft_wrap=True)
            self._mid_line = not text.endswith("\n")

    def _line(self, text: str, style: str) -> None:
        self._end_line()
        self.console.print(Text(clean(text), style=style))

    def _end_line(self) -> None:
        if self._mid_line:
            self.console.print()
            self._mid_line = False
