"""The run folder: artefacts written whole, done markers a stage, one process at a time."""

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from filelock import FileLock, Timeout

from minerkit import schema
from minerkit.errors import RunError
from minerkit.files import replacing, sha256

__all__ = ["Run", "Stage", "load", "locked"]

MARKERS = ".stages"


@dataclass
class Stage:
    """A stage at work: what it writes is kept apart until all of it is there."""

    name: str
    folder: Path
    staged: dict[str, Path] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def write(self, name: str, frame: pl.DataFrame) -> None:
        """Write a frame as Parquet; it appears in the run when the stage is done.

        Args:
            name: A file name in the run folder.
            frame: The rows; an artefact's columns are checked.
        """
        stem = Path(name).stem
        if stem in schema.ARTEFACTS:
            frame = schema.fit(stem, frame)
        try:
            with self._file(name) as stream:
                frame.write_parquet(stream, compression="zstd", row_group_size=100_000)
        except pl.exceptions.ComputeError as error:  # how polars reports a full disk, at times
            raise OSError(str(error)) from error

    def write_text(self, name: str, text: str) -> None:
        """Write a text file; it appears in the run when the stage is done."""
        with self._file(name) as stream:
            stream.write(text.encode())

    def directory(self, name: str) -> Path:
        """Make a folder to write to; it replaces that of the run when the stage is done."""
        target = self._staged(name)
        target.mkdir()
        return target

    def _file(self, name: str) -> Any:
        return replacing(self._staged(name))

    def _staged(self, name: str) -> Path:
        target = self.folder / MARKERS / "staged" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        self.staged[name] = target
        return target


class Run:
    """A run folder."""

    def __init__(self, folder: Path) -> None:
        """Name a run folder; nothing is created.

        Args:
            folder: The run folder itself.
        """
        self.folder = folder

    def read(self, name: str) -> pl.DataFrame:
        """Read an artefact.

        Args:
            name: A Parquet file's name in the run folder.

        Returns:
            Its rows.

        Raises:
            RunError: The file is missing or damaged.
        """
        path = self.folder / name
        try:
            return pl.read_parquet(path, glob=False)
        except FileNotFoundError as error:
            raise RunError(f"{path} is missing; `minerkit mine` makes it") from error
        except (pl.exceptions.PolarsError, OSError) as error:
            raise RunError(
                f"{path} is damaged ({error}); run `minerkit mine` again to make it anew"
            ) from error

    def read_json(self, name: str) -> Any:
        """Read a JSON file of the run.

        Args:
            name: The file's name in the run folder.

        Returns:
            What it holds.

        Raises:
            RunError: The file is missing or damaged.
        """
        path = self.folder / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise RunError(f"{path} is missing; `minerkit mine` makes it") from error
        except (OSError, ValueError) as error:
            raise RunError(
                f"{path} is damaged ({error}); run `minerkit mine` again to make it anew"
            ) from error

    def marker(self, stage: str) -> dict[str, Any] | None:
        """Read a stage's done marker.

        Args:
            stage: The stage's name.

        Returns:
            Its key, outputs (file name to SHA-256), seconds and facts; None where the stage is not done.
        """
        try:
            found = json.loads((self.folder / MARKERS / f"{stage}.json").read_text())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def done(self, stage: str, key: Mapping[str, Any]) -> bool:
        """Say whether a stage has been done with this key, and its files are as it left them.

        Args:
            stage: The stage's name.
            key: Everything the stage's outputs depend on.

        Returns:
            True when nothing needs to be done.
        """
        marker = self.marker(stage)
        return (
            marker is not None
            and marker["key"] == json.loads(json.dumps(key))
            and all(
                (self.folder / name).is_file() and sha256(self.folder / name) == digest
                for name, digest in marker["outputs"].items()
            )
        )

    def mark(
        self,
        stage: str,
        key: Mapping[str, Any],
        files: Sequence[str],
        seconds: float = 0.0,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a stage's done marker.

        Args:
            stage: The stage's name.
            key: Everything the stage's outputs depend on, as JSON.
            files: What it wrote, by name in the run folder.
            seconds: How long it took.
            facts: What it noted.
        """
        outputs = {file: sha256(self.folder / file) for file in files}
        marker = {"key": key, "outputs": outputs, "seconds": seconds, "facts": facts or {}}
        with replacing(self.folder / MARKERS / f"{stage}.json") as stream:
            stream.write(json.dumps(marker, indent=1, ensure_ascii=False).encode())

    @contextmanager
    def stage(self, name: str, key: Mapping[str, Any]) -> Iterator[Stage]:
        """Do a stage: its files replace the old ones together, then its marker is written.

        Args:
            name: The stage's name.
            key: Everything the stage's outputs depend on, as JSON.

        Yields:
            The stage, to write to.

        Raises:
            RunError: The disk is full or cannot be written; the old files are as they were.
        """
        started = time.monotonic()
        work = Stage(name, self.folder)
        staged = self.folder / MARKERS / "staged"
        try:
            shutil.rmtree(staged, ignore_errors=True)
            yield work
            # From here on the run is not finished until the manifest is written again.
            (self.folder / "manifest.json").unlink(missing_ok=True)
            (self.folder / MARKERS / f"{name}.json").unlink(missing_ok=True)
            for file, path in work.staged.items():
                if (self.folder / file).is_dir():
                    (self.folder / file).rename(staged / f"old {file}")
                path.replace(self.folder / file)
            files = [file for name in work.staged for file in self._files(name)]
            self.mark(name, key, files, round(time.monotonic() - started, 3), work.facts)
        except OSError as error:
            raise RunError(
                f"{self.folder}: cannot write ({error.strerror or error}); free some space or choose another "
                "--out, then run the same command: finished stages are kept"
            ) from error
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def _files(self, name: str) -> list[str]:
        """List a file itself, or the files of a folder without its README, which may be written again."""
        path = self.folder / name
        within = sorted(file for file in path.rglob("*") if file.is_file() and file != path / "README.md")
        return [str(file.relative_to(self.folder)) for file in within] if path.is_dir() else [name]

    def rejected(self, stages: Sequence[str]) -> pl.DataFrame:
        """Collect the rejected rows of stages from their own files."""
        frames = [self.read(f"{MARKERS}/{stage}.rejected.parquet") for stage in stages]
        return pl.concat([schema.empty("rejected"), *frames])


def load(folder: str | Path) -> Run:
    """Open a finished run for reading.

    Args:
        folder: The run folder.

    Returns:
        The run; `run.read("train.parquet")` gives a frame.

    Raises:
        RunError: There is no finished run.
    """
    path = Path(folder)
    if not path.is_dir():
        raise RunError(f"no run folder {path}; `minerkit mine --recipe gooaq --sample` makes runs/gooaq")
    if not (path / "manifest.json").is_file():
        raise RunError(f"{path} holds no finished run (no manifest.json); run `minerkit mine` to finish it")
    return Run(path)


@contextmanager
def locked(folder: Path) -> Iterator[Run]:
    """Open a run folder for writing, alone.

    Args:
        folder: The run folder; it is created.

    Yields:
        The run.

    Raises:
        RunError: Another process is writing to it, or it cannot be created.
    """
    try:
        (folder / MARKERS).mkdir(parents=True, exist_ok=True)
        with FileLock(folder / MARKERS / "lock", timeout=0):
            yield Run(folder)
    except Timeout as error:
        raise RunError(
            f"{folder}: another minerkit is at work on this run; wait for it, or choose another --out"
        ) from error
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise RunError(f"{folder}: cannot be made a run folder ({error.strerror})") from error
