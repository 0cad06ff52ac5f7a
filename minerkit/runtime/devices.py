"""Where models run and searches scan, and which half precision a device computes in natively."""

import sys
from typing import Any, Literal

from minerkit.errors import EncoderError, MinerkitError, TrainingError

__all__ = ["device_note", "native_half", "search_device", "training_device"]

Half = Literal["bfloat16", "float16"]


def training_device(device: str) -> str:
    """Choose where a model is trained.

    Args:
        device: auto, cpu, cuda or mps.

    Returns:
        cpu, cuda or mps; auto takes the first of cuda, mps and cpu that is there.

    Raises:
        TrainingError: A device was named that is not there.
    """
    there = _available(device, TrainingError)
    return next(name for name in there) if device == "auto" else device


def search_device(device: str) -> str:
    """Choose where queries are searched.

    Args:
        device: auto, cpu, cuda or mps.

    Returns:
        cuda where it is asked for (or auto) and there, else cpu: MPS has no float64, which the exact scores
        need.

    Raises:
        EncoderError: A device was named that is not there.
    """
    if device == "cpu":
        return "cpu"
    there = _available(device, EncoderError)
    return "cuda" if device in {"auto", "cuda"} and "cuda" in there else "cpu"


def device_note(device: str, searches: str) -> str | None:
    """Write a line where models run on MPS, on which nothing can be searched.

    Args:
        device: auto, cpu, cuda or mps: as it was asked for.
        searches: Where queries are searched: cpu or cuda.

    Returns:
        The line; None where models run on no MPS, or where torch has not been loaded.
    """
    if "torch" not in sys.modules:
        return None
    if searches == "cpu" and training_device(device) == "mps":
        return "Models run on mps, queries are searched on cpu: mps has no float64"
    return None


def native_half(device: str) -> Half | None:
    """Name the half precision that a device computes in by itself.

    Args:
        device: The type of a torch device: cpu, cuda, mps or another.

    Returns:
        bfloat16 or float16; None where the device would only imitate either, slowly.
    """
    import torch

    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    if device == "cpu" and torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        # Older versions of torch cannot tell, and float32 is right everywhere.
        has: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        if any(has.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16")):  # bf16: as ARM calls it
            return "bfloat16"
    return None


def _available(device: str, error: type[MinerkitError]) -> list[str]:
    """List the devices that torch finds, the fastest first; raise an error where the named one is missing."""
    import torch

    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if not found.get(device, True):
        raise error(f"--device {device}: torch finds no such device here; use --device auto or cpu")
    return [name for name, there in found.items() if there]
