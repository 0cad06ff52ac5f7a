"""Turn failures that the user can fix (memory, disk, Ctrl-C) into one clear line.

Importing this module loads torch.
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
from minerkit.training.checkpoints import describe_resume

__all__ = ["explain_failures"]

#: Phrases of torch's errors when a GPU or CPU runs out of memory.
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
#: Phrases of torch's errors when it cannot write a file.
CANNOT_WRITE = ("inline_container", "PytorchStreamWriter")
#: Error codes of a full disk or an exhausted quota.
DISK_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}


@contextlib.contextmanager
def explain_failures(train: Train, arguments: Any, folder: Path) -> Iterator[None]:
    """Explain what to do when memory or disk run out, and what the same command does after Ctrl-C.

    Args:
        train: The recipe's `train` section.
        arguments: The arguments of its trainer.
        folder: The folder of the checkpoints.

    Yields:
        Nothing.

    Raises:
        TrainingError: There is not enough memory, or a checkpoint cannot be written.
        KeyboardInterrupt: The user stopped the training; the message says where the same command resumes.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(describe_resume(folder)) from error
    except Exception as error:
        if _out_of_memory(error):
            raise TrainingError(_memory_advice(train, arguments)) from error
        if _disk_full(error):
            raise TrainingError(
                f"{folder}: cannot write a checkpoint, the disk or a quota is full; free some space, then "
                f"{describe_resume(folder)}"
            ) from error
        raise


def _out_of_memory(error: Exception) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    message = str(error).lower()
    return isinstance(error, RuntimeError) and any(phrase in message for phrase in OUT_OF_MEMORY)


def _disk_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in DISK_FULL
    if isinstance(error, SafetensorError):
        return "os error" in str(error)
    return isinstance(error, RuntimeError) and any(phrase in str(error) for phrase in CANNOT_WRITE)


def _memory_advice(train: Train, arguments: Any) -> str:
    """Suggest settings that need less memory and train on the same batches."""
    batch_size, accumulation = arguments.per_device_train_batch_size, arguments.gradient_accumulation_steps
    if train.loss == "mnrl":
        advice = "set train.loss=cached-mnrl and train.loss_args.mini_batch_size=16 (the same loss)"
    elif LOSSES[train.loss].in_batch:
        mini_batch_size = train.loss_args.get("mini_batch_size", 32)
        advice = f"set train.loss_args.mini_batch_size={max(1, mini_batch_size // 2)}"
    elif batch_size > 1:
        advice = (
            f"set train.args.per_device_train_batch_size={batch_size // 2} and "
            f"train.args.gradient_accumulation_steps={accumulation * 2}"
        )
    else:
        advice = "set a smaller train.base"
    return f"out of memory with {batch_size} rows per batch; {advice}, or a lower train.max_length"
