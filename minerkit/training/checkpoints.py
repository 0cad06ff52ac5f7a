"""Manage the checkpoints of an unfinished training: find the one to resume from, remove unusable ones.

A checkpoint is complete when all its files were written; `mark_complete` records their sizes, so that a
damaged checkpoint is recognised.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from minerkit.storage import atomic_write

__all__ = [
    "checkpoint_step",
    "describe_resume",
    "list_checkpoints",
    "mark_complete",
    "open_checkpoints",
    "remove_checkpoints",
    "training_seconds",
]

#: Written into a checkpoint after all its other files.
COMPLETE = "whole.json"
#: Holds the key of the training that the checkpoints of a folder belong to.
KEY = "key.json"
#: How many changed settings a message names.
MAX_NAMED = 3


def open_checkpoints(folder: Path, key: Mapping[str, Any], resume: bool) -> tuple[Path | None, str]:
    """Open or create the checkpoint folder of a training.

    Removes the checkpoints of another training, and unusable ones, since the trainer would write later
    checkpoints over them.

    Args:
        folder: The folder.
        key: JSON-ready mapping of all that the model depends on.
        resume: Whether to resume from a checkpoint.

    Returns:
        The last usable checkpoint (None: training begins at step 0), and a note for the user ("": none).
    """
    key = json.loads(json.dumps(key))
    stored = _read_json(folder / KEY)
    if stored == key and resume:
        usable = [path for path in list_checkpoints(folder) if _is_usable(path)]
        for path in folder.glob("checkpoint-*"):
            if path not in usable:
                shutil.rmtree(path)
        return (usable[-1], f"Training goes on from {usable[-1].name}") if usable else (None, "")
    note = ""
    if resume and stored is not None and list_checkpoints(folder):
        changed = sorted(name for name, _ in set(_flatten(stored)) ^ set(_flatten(key)))
        names = ", ".join(dict.fromkeys(changed[:MAX_NAMED]))
        names += ", ..." if len(set(changed)) > MAX_NAMED else ""
        note = f"Training starts anew: its checkpoints were made with another {names}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with atomic_write(folder / KEY) as stream:
        stream.write(json.dumps(key).encode())
    return None, note


def list_checkpoints(folder: Path) -> list[Path]:
    """List the complete checkpoints.

    Args:
        folder: The folder of the checkpoints.

    Returns:
        The folder of each checkpoint, oldest first.
    """
    return sorted((path.parent for path in folder.glob(f"checkpoint-*/{COMPLETE}")), key=checkpoint_step)


def mark_complete(checkpoint: Path, seconds: float) -> None:
    """Mark a checkpoint as complete, and record the size of each file, since a failing disk may lose some.

    Args:
        checkpoint: The folder of the checkpoint.
        seconds: How long the training has taken so far.
    """
    record = {"seconds": seconds, "sizes": _file_sizes(checkpoint)}
    with atomic_write(checkpoint / COMPLETE) as stream:
        stream.write(json.dumps(record).encode())


def training_seconds(checkpoint: Path | None) -> float:
    """Return how many seconds a training took up to a checkpoint; 0 without one."""
    return float(_read_json(checkpoint / COMPLETE)["seconds"]) if checkpoint else 0.0


def checkpoint_step(checkpoint: Path) -> int:
    """Return the training step after which a checkpoint was written."""
    return int(checkpoint.name.rpartition("-")[2])


def describe_resume(folder: Path) -> str:
    """Describe where the same command resumes after an interrupted training.

    Args:
        folder: The folder of the checkpoints.

    Returns:
        A clause for a message.
    """
    checkpoints = list_checkpoints(folder)
    if checkpoints:
        return f"the same command goes on from {checkpoints[-1].name}"
    return "the same command trains from the start, for no checkpoint was due yet"


def remove_checkpoints(folder: Path, logs: Path) -> None:
    """Remove the checkpoints of a finished training, and keep what trackers wrote beside them.

    Args:
        folder: The folder of the checkpoints.
        logs: The folder that the trackers' files are moved to.
    """
    for path in sorted(folder.iterdir()):
        if path.suffix != ".json" and not path.name.startswith("checkpoint-"):
            logs.mkdir(exist_ok=True)
            shutil.move(path, logs / path.name)
    shutil.rmtree(folder)


def _is_usable(checkpoint: Path) -> bool:
    """Check that all files of a checkpoint, and of the best checkpoint so far, still have their sizes."""
    record = _read_json(checkpoint / COMPLETE)
    if record is None or record["sizes"] != _file_sizes(checkpoint):
        return False
    best = _read_json(checkpoint / "trainer_state.json")["best_global_step"]
    return best in (None, checkpoint_step(checkpoint)) or _is_usable(
        checkpoint.with_name(f"checkpoint-{best}")
    )


def _file_sizes(checkpoint: Path) -> dict[str, int]:
    """Return the size in bytes of each file of a checkpoint, by relative path."""
    files = (path for path in checkpoint.rglob("*") if path.is_file() and path != checkpoint / COMPLETE)
    return {str(file.relative_to(checkpoint)): file.stat().st_size for file in files}


def _read_json(path: Path) -> Any:
    """Read a JSON file; return None if it is missing or damaged."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def _flatten(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested settings as pairs of a dotted name and a JSON value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flatten(inner, f"{name}.{key}" if name else key)
    else:
        yield name, json.dumps(value)
