"""The run folder: its artefacts, a done marker a stage, one process at a time."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from filelock import FileLock, Timeout

from minerkit.errors import RunError
from minerkit.runtime import thread_map
from minerkit.storage.atomic import atomic_write, remove_stale_parts, sha256
from minerkit.storage.row_groups import RowGroups, readable_parquet
from minerkit.storage.schema import empty_artefact

__all__ = ["MARKERS", "Run", "load", "locked"]

MARKERS = ".stages"


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
        with readable_parquet(self.folder / name):
            return pl.read_parquet(self.folder / name, glob=False)

    def row_groups(self, name: str) -> RowGroups:
        """Read an artefact a row group at a time.

        Args:
            name: A Parquet file's name in the run folder.

        Returns:
            Its rows, read when they are asked for.
        """
        return RowGroups(self.folder / name)

    def scan(self, name: str) -> pl.LazyFrame:
        """Read an artefact when its rows are asked for, and not all at once.

        Args:
            name: A Parquet file's name in the run folder.

        Returns:
            Its rows.
        """
        return pl.scan_parquet(self.folder / name, glob=False)

    def between(self, name: str, queries: pl.Series | None, condition: pl.Expr | None = None) -> pl.DataFrame:
        """Read the rows of some queries; the rest of a file stays on disk.

        Args:
            name: An artefact with the column query_id.
            queries: Their ids; None: all.
            condition: What else must hold.

        Returns:
            The rows, in the order of the file.

        Raises:
            RunError: The file is missing or damaged.
        """
        rows = self.scan(name)
        if condition is not None:
            rows = rows.filter(condition)
        if queries is not None:
            # The bounds let whole row groups be passed over.
            first, last = pl.lit(queries.min(), pl.String), pl.lit(queries.max(), pl.String)
            rows = rows.filter(pl.col("query_id").is_between(first, last))
            rows = rows.join(queries.to_frame().lazy(), on="query_id", how="semi", maintain_order="left")
        with readable_parquet(self.folder / name):
            return rows.collect(engine="streaming")

    def read_json(self, name: str) -> Any:
        """Read a JSON file of the run.

        Args:
            name: The file's name in the run folder.

        Returns:
            What it holds.

        Raises:
            RunError: The file is missing or damaged.
        """
        with readable_parquet(self.folder / name):
            return json.loads((self.folder / name).read_text(encoding="utf-8"))

    def marker(self, stage: str) -> dict[str, Any] | None:
        """Read a stage's done marker.

        Args:
            stage: The stage's name.

        Returns:
            Its key, outputs (file name to SHA-256), seconds and facts; None where the stage is not done, or
            the marker is damaged.
        """
        try:
            found = json.loads((self.folder / MARKERS / f"{stage}.json").read_bytes())
            digest = found.pop("digest")
        except (OSError, ValueError, AttributeError, KeyError):
            return None
        return dict(found) if digest == _digest(found) else None

    def outputs(self) -> dict[str, str]:
        """Return the SHA-256 of every file that finished stages have written, by name in the run folder."""
        found: dict[str, str] = {}
        for path in sorted((self.folder / MARKERS).glob("*.json")):
            found |= (self.marker(path.stem) or {"outputs": {}})["outputs"]
        return found

    def facts(self, stage: str) -> dict[str, Any]:
        """Return the facts that a finished stage has noted of its work."""
        return dict((self.marker(stage) or {"facts": {}})["facts"])

    def done(self, stage: str, key: Mapping[str, Any]) -> bool:
        """Check whether a stage has been done with this key, and its files are as it left them.

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
        hashes = thread_map(sha256, [self.folder / file for file in files])
        outputs = dict(zip(files, hashes, strict=True))
        marker = {"key": key, "outputs": outputs, "seconds": seconds, "facts": facts or {}}
        marker = json.loads(json.dumps(marker))
        marker["digest"] = _digest(marker)
        with atomic_write(self.folder / MARKERS / f"{stage}.json") as stream:
            stream.write(json.dumps(marker, indent=1, ensure_ascii=False).encode())

    def rejected(self, stages: Sequence[str]) -> pl.DataFrame:
        """Collect the rejected rows of stages from their own files."""
        frames = [self.read(f"{MARKERS}/{stage}.rejected.parquet") for stage in stages]
        return pl.concat([empty_artefact("rejected"), *frames])


def _digest(marker: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(marker).encode()).hexdigest()


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
            remove_stale_parts(folder)
            yield Run(folder)
    except Timeout as error:
        raise RunError(
            f"{folder}: another minerkit is at work on this run; wait for it, or choose another --out"
        ) from error
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise RunError(f"{folder}: cannot be made a run folder ({error.strerror})") from error
