"""The output of a stage at work: its files appear in the run when the stage is done, all of them together."""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from minerkit.errors import RunError
from minerkit.storage.atomic import atomic_write
from minerkit.storage.parquet import Append, parquet_writer, write
from minerkit.storage.row_groups import RowGroups
from minerkit.storage.run_folder import MARKERS, Run
from minerkit.storage.schema import ARTEFACT_COLUMNS, fit_artefact
from minerkit.storage.shards import resume_shards

__all__ = ["StageOutput", "clear_shards", "staged_output"]


@dataclass
class StageOutput:
    """What a stage writes, kept apart from the run until all of it is there."""

    name: str
    folder: Path
    #: Everything that the output depends on, as JSON.
    key: Mapping[str, Any]
    staged: dict[str, Path] = field(default_factory=dict)
    #: What the stage notes about its work; it is kept in the stage's marker.
    facts: dict[str, Any] = field(default_factory=dict)

    def write(self, name: str, frame: pl.DataFrame) -> None:
        """Write a frame as Parquet; it appears in the run when the stage is done.

        Args:
            name: A file name in the run folder.
            frame: The rows; an artefact's columns are checked.
        """
        stem = Path(name).stem
        if stem in ARTEFACT_COLUMNS:
            frame = fit_artefact(stem, frame)
        with atomic_write(self._staged(name)) as stream:
            write(frame, stream)

    @contextmanager
    def table(self, name: str) -> Iterator[Append]:
        """Write a Parquet file a row group at a time; it appears in the run when the stage is done.

        Args:
            name: A file name in the run folder; an artefact's columns are checked.

        Yields:
            A function that appends rows.
        """
        with parquet_writer(self._staged(name)) as append:
            yield append

    def shards(
        self, name: str, count: int, make: Callable[[int], dict[str, pl.DataFrame]], device: str = "cpu"
    ) -> Iterator[dict[str, pl.DataFrame]]:
        """Do work shard by shard; what was done before the run was cut is not done again.

        Args:
            name: What is done.
            count: How many shards there are.
            make: Makes the tables of a shard, by name; called from several threads.
            device: The torch device on which shards are made.

        Yields:
            The tables of each shard, in order.
        """
        return resume_shards(_shards(self.folder, self.name) / name, self.key, count, make, device)

    def scratch(self, name: str) -> Path:
        """Name a file that is of use while the stage is at work only."""
        target = self.folder / MARKERS / "staged" / "scratch" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def row_groups(self, name: str) -> RowGroups:
        """Read again what the stage has written, a row group at a time."""
        return RowGroups(self.staged[name])

    def write_text(self, name: str, text: str) -> None:
        """Write a text file; it appears in the run when the stage is done."""
        with atomic_write(self._staged(name)) as stream:
            stream.write(text.encode())

    def directory(self, name: str) -> Path:
        """Make a folder to write to; it replaces that of the run when the stage is done."""
        target = self._staged(name)
        target.mkdir()
        return target

    def _staged(self, name: str) -> Path:
        target = self.folder / MARKERS / "staged" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        self.staged[name] = target
        return target


def clear_shards(run: Run, name: str) -> None:
    """Remove the shards of a stage that is done: all of them are in its files.

    Args:
        run: The run.
        name: The stage's name.
    """
    shutil.rmtree(_shards(run.folder, name), ignore_errors=True)


def _shards(folder: Path, stage: str) -> Path:
    return folder / MARKERS / "shards" / stage


@contextmanager
def staged_output(run: Run, name: str, key: Mapping[str, Any]) -> Iterator[StageOutput]:
    """Do a stage: its files replace the old ones together, then its marker is written.

    Args:
        run: The run.
        name: The stage's name.
        key: Everything the stage's output depends on, as JSON.

    Yields:
        The output to write to.

    Raises:
        RunError: The disk is full or cannot be written; the old files are as they were.
    """
    started = time.monotonic()
    output = StageOutput(name, run.folder, key)
    place = run.folder / MARKERS / "staged"
    try:
        shutil.rmtree(place, ignore_errors=True)
        yield output
        # From here on the run is not finished until the manifest is written again.
        (run.folder / "manifest.json").unlink(missing_ok=True)
        (run.folder / MARKERS / f"{name}.json").unlink(missing_ok=True)
        for file, path in output.staged.items():
            if (run.folder / file).is_dir():
                (run.folder / file).rename(place / f"old {file}")
            path.replace(run.folder / file)
        files = [file for staged in output.staged for file in _files(run, staged)]
        run.mark(name, key, files, round(time.monotonic() - started, 3), output.facts)
        clear_shards(run, name)
    except OSError as error:
        raise RunError(
            f"{run.folder}: cannot write ({error.strerror or error}); free some space or choose another "
            "--out, then run the same command: finished stages are kept"
        ) from error
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _files(run: Run, name: str) -> list[str]:
    """List a file itself, or the files of a folder without its README, which may be written again."""
    path = run.folder / name
    within = sorted(file for file in path.rglob("*") if file.is_file() and file != path / "README.md")
    return [str(file.relative_to(run.folder)) for file in within] if path.is_dir() else [name]
