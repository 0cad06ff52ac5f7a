"""Checkpoints of a training that is not done: which one it goes on from, and which are of no use."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from minerkit.storage import atomic_write

__all__ = [
    "list_checkpoints",
    "mark_whole",
    "open_checkpoints",
    "outlook",
    "remove_checkpoints",
    "seconds_before",
    "step_of",
]

#: Written into a checkpoint when all its other files are there.
WHOLE = "whole.json"
#: What the checkpoints of a folder belong to.
KEY = "key.json"
SHOWN = 3


def open_checkpoints(folder: Path, key: Mapping[str, Any], resume: bool) -> tuple[Path | None, str]:
    """Prepare the folder that a training keeps its checkpoints in.

    Checkpoints of another training are removed, and so are those that are not whole: a later one would be
    written over them.

    Args:
        folder: The folder.
        key: What the model depends on, as JSON.
        resume: Whether to go on from a checkpoint.

    Returns:
        The last whole checkpoint, None: training begins at the start; and what is to be said about that.
    """
    wanted = json.loads(json.dumps(key))
    found = _json(folder / KEY)
    if found == wanted and resume:
        usable = [path for path in list_checkpoints(folder) if _whole(path)]
        for path in folder.glob("checkpoint-*"):
            if path not in usable:
                shutil.rmtree(path)
        return (usable[-1], f"Training goes on from {usable[-1].name}") if usable else (None, "")
    note = ""
    if resume and found is not None and list_checkpoints(folder):
        changed = sorted(name for name, _ in set(_flat(found)) ^ set(_flat(wanted)))
        names = ", ".join(dict.fromkeys(changed[:SHOWN])) + (", ..." if len(set(changed)) > SHOWN else "")
        note = f"Training starts anew: its checkpoints were made with another {names}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with atomic_write(folder / KEY) as stream:
        stream.write(json.dumps(wanted).encode())
    return None, note


def list_checkpoints(folder: Path) -> list[Path]:
    """List the checkpoints that were written to their end.

    Args:
        folder: The folder they are in.

    Returns:
        Their folders, the oldest first.
    """
    return sorted((path.parent for path in folder.glob(f"checkpoint-*/{WHOLE}")), key=step_of)


def mark_whole(checkpoint: Path, seconds: float) -> None:
    """Note that a checkpoint is there, with the size of each file: a disk that fails may lose some of it.

    Args:
        checkpoint: Its folder.
        seconds: How long the training has taken up to here.
    """
    note = {"seconds": seconds, "sizes": _sizes(checkpoint)}
    with atomic_write(checkpoint / WHOLE) as stream:
        stream.write(json.dumps(note).encode())


def seconds_before(checkpoint: Path | None) -> float:
    """Say how long a training took up to a checkpoint."""
    return float(_json(checkpoint / WHOLE)["seconds"]) if checkpoint else 0.0


def step_of(checkpoint: Path) -> int:
    """Say after which step a checkpoint was written."""
    return int(checkpoint.name.rpartition("-")[2])


def outlook(folder: Path) -> str:
    """Say what the same command does when training was cut short.

    Args:
        folder: The folder of its checkpoints.

    Returns:
        A clause.
    """
    found = list_checkpoints(folder)
    if found:
        return f"the same command goes on from {found[-1].name}"
    return "the same command trains from the start, for no checkpoint was due yet"


def remove_checkpoints(folder: Path, logs: Path) -> None:
    """Remove the checkpoints of a training that is done; what trackers wrote beside them is kept.

    Args:
        folder: The folder of the checkpoints.
        logs: Where the files of trackers go.
    """
    for path in sorted(folder.iterdir()):
        if path.suffix != ".json" and not path.name.startswith("checkpoint-"):
            logs.mkdir(exist_ok=True)
            shutil.move(path, logs / path.name)
    shutil.rmtree(folder)


def _whole(checkpoint: Path) -> bool:
    """Say whether all files of a checkpoint, and of the best one by then, are as they were written."""
    note = _json(checkpoint / WHOLE)
    if note is None or note["sizes"] != _sizes(checkpoint):
        return False
    best = _json(checkpoint / "trainer_state.json")["best_global_step"]
    return best in (None, step_of(checkpoint)) or _whole(checkpoint.with_name(f"checkpoint-{best}"))


def _sizes(checkpoint: Path) -> dict[str, int]:
    files = (path for path in checkpoint.rglob("*") if path.is_file() and path != checkpoint / WHOLE)
    return {str(file.relative_to(checkpoint)): file.stat().st_size for file in files}


def _json(path: Path) -> Any:
    """Read a JSON file; None where it is missing or damaged."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Give nested settings as dotted names and texts."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else key)
    else:
        yield name, json.dumps(value)
