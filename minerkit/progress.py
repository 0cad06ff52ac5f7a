"""Progress bars on stderr, with rate and remaining time."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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


def _line(description: str, done: int, total: int | None, seconds: float) -> str:
    rate = done / seconds
    left = f" of {total:,}, about {(total - done) / rate:,.0f} s left" if total and rate else ""
    return f"{description}: {done:,}{left} ({rate:,.0f}/s)"


class _Rate(ProgressColumn):
    """Items per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "", style="progress.data.speed")


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
    def bar(self, description: str, total: int | None = None) -> Iterator[Callable[[int], object]]:
        """Show a bar while a step runs.

        Args:
            description: What is done.
            total: How many items there are; None where that is not known yet.

        Yields:
            A function to call with the number of items done since the last call.
        """
        columns = (
            TextColumn("{task.description:<26}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            _Rate(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        plain = not self._console.is_terminal
        with Progress(*columns, console=self._console, disable=self.quiet) as progress:
            task = progress.add_task(description, total=total)
            done, started, spoken = 0, time.monotonic(), time.monotonic()

            def advance(count: int) -> None:
                nonlocal done, spoken
                done += count
                progress.update(task, advance=count)
                now = time.monotonic()
                if plain and now - spoken > LOG_EVERY:
                    spoken = now
                    self.say(_line(description, done, total, now - started))

            yield advance
            progress.update(task, total=done or 1, completed=done or 1)
