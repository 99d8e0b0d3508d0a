"""The start of an engine on a terminal: a bar while something can be measured, lines otherwise.

Where standard error is no terminal there are lines only: one when the start does something else,
and one every few seconds.
"""

from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bar
from rich.text import Text

from serving.progress import Progress, duration, lines


class StartDisplay:
    """Shows a start; `say` and `measure` are for the supervisor.

        with StartDisplay() as display:
            Supervisor(settings, on_progress=display.say, on_measure=display.measure).start()

    After the `with` block what is measured comes as lines: an engine that is started again while
    a run is drawn must not draw over it.
    """

    def __init__(self, console: Console | None = None, style: str = "") -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._style = style
        self._lines = lines(self.say)
        self._bar: Bar | None = None
        self._drawing = False

    def __enter__(self) -> "StartDisplay":
        self._drawing = self._console.is_terminal
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def end(self) -> None:
        """The start is over: end the bar. May be called from any thread, and twice."""
        self._drawing = False
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.stop()

    def say(self, line: str) -> None:
        """Print a line, above the bar if there is one."""
        shown = "".join(c for c in line if c.isprintable() or c == "\n")
        self._console.print(Text(shown, style=self._style), soft_wrap=True)

    def measure(self, progress: Progress) -> None:
        """Draw how far it is."""
        if not self._drawing:
            self._lines(progress)
            return
        if self._bar is None:
            self._bar = _bar(self._console)
            self._bar.add_task("")
            self._bar.start()
        self._bar.update(
            self._bar.task_ids[0],
            description=progress.what,
            completed=progress.done,
            total=progress.total or None,
            left=progress.seconds_left,
        )


class _Measured(ProgressColumn):
    """A column that is empty where nothing is counted."""

    def __init__(self, column: ProgressColumn) -> None:
        super().__init__()
        self._column = column

    def render(self, task: Task) -> Text:
        """The column's own text, or nothing."""
        shown = self._column.render(task) if task.total else Text("")
        assert isinstance(shown, Text)
        return shown


class _Left(ProgressColumn):
    """The time left, by the supervisor's own reckoning."""

    def render(self, task: Task) -> Text:
        """Such as `4 min left`."""
        left = task.fields.get("left")
        return Text("" if left is None else f"{duration(left)} left", style="progress.remaining")


def _bar(console: Console) -> Bar:
    return Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        _Measured(DownloadColumn()),
        _Measured(TransferSpeedColumn()),
        _Left(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
