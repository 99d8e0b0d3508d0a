"""Progress as numbers, lines and bars."""

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from serving.deaths import Deaths
from serving.loading import loaded_share, phase_of
from serving.progress import Meter, Paced, Progress, duration, size_text
from serving.starting import StartNote, starts_under_way
from serving.terminal import StartDisplay


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_time_left_goes_by_the_speed_of_the_last_while() -> None:
    clock = Clock()
    meter = Meter(clock)
    assert meter.read("downloading", 0, 10_000_000).seconds_left is None
    for clock.now in range(1, 41):
        read = meter.read("downloading", int(clock.now) * 100_000, 10_000_000)
    assert read.seconds_left == pytest.approx(60)
    for clock.now in range(41, 62):  # it becomes ten times quicker
        read = meter.read("downloading", 4_000_000 + (int(clock.now) - 40) * 200_000, 20_000_000)
    assert read.seconds_left == pytest.approx(59, abs=1)
    assert str(read) == "downloading, 8.2 MB of 20.0 MB, 59 s left (61 s)"
    clock.now += 30
    assert meter.still_seconds == 30
    assert meter.read("loading weights").seconds_left is None  # another thing, another speed


def test_lines_are_paced() -> None:
    clock, said = Clock(), []
    paced = Paced(lambda progress: said.append(str(progress)), clock)
    for clock.now in (0, 1, 2, 5, 6):
        paced(Progress("downloading", int(clock.now), 10, clock.now))
    paced(Progress("loading weights", seconds=6.5))
    assert [line.partition(",")[0].partition(" (")[0] for line in said] == [
        "downloading",
        "downloading",
        "loading weights",
    ]


@pytest.mark.parametrize(
    ("seconds", "said"), [(3.2, "3 s"), (89, "89 s"), (240, "4 min"), (5400, "1 h 30 min")]
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_sizes() -> None:
    assert (size_text(9_700_000), size_text(15_231_233_024)) == ("9.7 MB", "15.2 GB")


@pytest.mark.parametrize(
    ("log", "share"),
    [
        ("Loading weights:  25%|██▌       | 85/339 [00:01<00:03]", 0.25),
        ("Loading weights: 10%\rLoading weights:  60%|██████    | 203/339 [00:01]", 0.6),
        ("Loading weights: 100%|██████████| 339/339 [00:01<00:00]", None),
        (
            "\rLoading safetensors checkpoint shards:  50% Completed | 1/2 [00:01<00:01]\n",
            0.5,
        ),
        ("Multi-thread loading shards: 75% Completed | 3/4 [00:01<00:00]", 0.75),
        (
            "Loading safetensors checkpoint shards: 100% Completed | 2/2\n"
            "Capturing CUDA graphs (mixed prefill-decode, PIECEWISE):  20%|██ | 7/35",
            None,
        ),
        ("INFO Starting to load model", None),
    ],
)
def test_bars_in_an_engine_s_log(log: str, share: float | None) -> None:
    assert loaded_share(log) == share


def test_phases() -> None:
    phases = (("", "starting"), ("Loading ", "loading weights"), ("Started", "opening its port"))
    assert phase_of("Loading weights", phases) == "loading weights"
    assert phase_of("", phases) == "starting" and phase_of("x", ()) == ""


def test_other_processes_see_a_start(tmp_path: Path) -> None:
    note = StartNote(tmp_path, "vllm with org/model on a T4")
    note.write(Progress("downloading org/model", 5, 10, 3.0, 4.0))
    (start,) = starts_under_way(tmp_path)
    assert start.title == "vllm with org/model on a T4" and start.process.pid == os.getpid()
    assert start.progress == Progress("downloading org/model", 5, 10, 3.0, 4.0)
    dead = tmp_path / "1-1.starting"
    dead.write_text(next(tmp_path.glob("*.starting")).read_text().replace(str(os.getpid()), "1"))
    assert len(starts_under_way(tmp_path)) == 1 and not dead.exists()
    note.remove()
    assert starts_under_way(tmp_path) == [] and not list(tmp_path.iterdir())


def test_a_terminal_gets_a_bar_and_lines_above_it() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=120, _environ={})
    with StartDisplay(console) as display:
        display.measure(Progress("downloading [b]org/model[/b]", 7_600_000_000, 15_200_000_000, 9))
        display.say("a line \x1b[2Jmeanwhile")
    drawn = file.getvalue()
    assert "downloading [b]org/model[/b]" in drawn and "7.6/15.2 GB" in drawn
    assert "a line [2Jmeanwhile" in drawn
    file.truncate(0)
    display.measure(Progress("starting", seconds=1))  # again, in the middle of a run
    assert file.getvalue().replace("\0", "").strip() == "starting (1 s)"


def test_without_a_terminal_there_are_lines_only() -> None:
    file = io.StringIO()
    with StartDisplay(Console(file=file)) as display:
        display.say("starting")
        display.measure(Progress("loading weights", 1, 2))
    assert file.getvalue() == "starting\nloading weights, 0.0 MB of 0.0 MB (0 s)\n"


def test_deaths_are_counted_within_a_while() -> None:
    clock = Clock()
    deaths = Deaths(3, 300, clock)
    assert deaths.another() == 0.2
    clock.now = 100
    assert deaths.another() == 0.8
    clock.now = 350
    assert deaths.another() == 0.8, "the first is forgotten"
    clock.now = 360
    assert deaths.another() is None and str(deaths) == "3 times within 260 seconds"
