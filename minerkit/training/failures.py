"""What ends a training that a user can mend: memory, the disk, Ctrl-C.

Importing this loads torch.
"""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from minerkit.errors import TrainingError
from minerkit.recipe import LOSSES, Train
from minerkit.training.checkpoints import outlook

__all__ = ["mendable"]

#: What torch says where memory ends, on GPUs and CPUs.
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
#: What torch says where the disk ends.
CANNOT_WRITE = ("inline_container", "PytorchStreamWriter")
FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}


@contextlib.contextmanager
def mendable(train: Train, arguments: Any, folder: Path) -> Iterator[None]:
    """Say what to do where memory or the disk ends, and what the same command does after Ctrl-C.

    Args:
        train: The recipe's `train` section.
        arguments: The arguments of its trainer.
        folder: Where the checkpoints are.

    Yields:
        Nothing.

    Raises:
        TrainingError: There is not enough memory, or a checkpoint cannot be written.
        KeyboardInterrupt: The user stopped the training; it says what the same command does.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(outlook(folder)) from error
    except Exception as error:
        if _memory_ended(error):
            raise TrainingError(_less_memory(train, arguments)) from error
        if _disk_ended(error):
            raise TrainingError(
                f"{folder}: cannot write a checkpoint, the disk or a quota is full; free some space, then "
                f"{outlook(folder)}"
            ) from error
        raise


def _memory_ended(error: Exception) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in said for words in OUT_OF_MEMORY)


def _disk_ended(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in FULL
    if isinstance(error, SafetensorError):
        return "os error" in str(error)
    return isinstance(error, RuntimeError) and any(words in str(error) for words in CANNOT_WRITE)


def _less_memory(train: Train, arguments: Any) -> str:
    size, times = arguments.per_device_train_batch_size, arguments.gradient_accumulation_steps
    if train.loss == "mnrl":
        advice = "set train.loss=cached-mnrl and train.loss_args.mini_batch_size=16 (the same, in parts)"
    elif LOSSES[train.loss].in_batch:
        part = train.loss_args.get("mini_batch_size", 32)
        advice = f"set train.loss_args.mini_batch_size={max(1, part // 2)}"
    elif size > 1:
        advice = (
            f"set train.args.per_device_train_batch_size={size // 2} and "
            f"train.args.gradient_accumulation_steps={times * 2}"
        )
    else:
        advice = "set a smaller train.base"
    return f"out of memory with {size} rows at a time; {advice}, or a lower train.max_length"
