"""Progress bars on stderr, with rate and remaining time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

__all__ = ["Reporter"]


#: Seconds between lines where stderr is a file and no bar can be drawn.
LOG_EVERY = 20.0


class Advance(Protocol):
    """What moves a bar on."""

    def __call__(self, count: int, note: str = "") -> object:
        """Advance by some items, with a note beside the bar."""
        ...


def _line(description: str, done: int, total: int | None, seconds: float, note: str) -> str:
    rate = done / seconds
    left = f" of {total:,}, about {(total - done) / rate:,.0f} s left" if total and rate else ""
    speed = f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s"
    return f"{description}: {done:,}{left} ({speed}){note and ', '}{note}"


class _Rate(ProgressColumn):
    """Items per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        digits = ",.0f" if (speed or 0) >= 10 else ".2g"
        return Text(f"{speed:{digits}}/s" if speed else "", style="progress.data.speed")


class Reporter:
    """Tells how far a run is; says nothing when quiet."""

    def __init__(self, quiet: bool = False) -> None:
        """Start reporting.

        Args:
            quiet: Show neither bars nor lines.
        """
        self.quiet = quiet
        self._console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)

    def say(self, line: str) -> None:
        """Print one line to stderr."""
        self._console.print(line, markup=False)

    @contextmanager
    def bar(self, description: str, total: int | None = None) -> Iterator[Advance]:
        """Show a bar while a step runs.

        Args:
            description: What is done.
            total: How many items there are; None where that is not known yet.

        Yields:
            A function to call with the number of items done since the last call, and a note to show.
        """
        columns = (
            TextColumn("{task.description:<26}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            _Rate(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        plain = not self._console.is_terminal
        with Progress(*columns, console=self._console, disable=self.quiet) as progress:
            task = progress.add_task(description, total=total, note="")
            done, started, spoken = 0, time.monotonic(), time.monotonic()

            def advance(count: int, note: str = "") -> None:
                nonlocal done, spoken
                done += count
                progress.update(task, advance=count, note=note)
                now = time.monotonic()
                if plain and now - spoken > LOG_EVERY:
                    spoken = now
                    self.say(_line(description, done, total, now - started, note))

            yield advance
            progress.update(task, total=done or 1, completed=done or 1)
