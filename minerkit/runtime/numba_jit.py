"""Loops over numbers, compiled to machine code."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

__all__ = ["jit", "jit_inline"]

Function = TypeVar("Function", bound=Callable[..., Any])
#: No number is NaN, and the order of operations does not matter, so that loops become wide instructions.
LOOSE = {"nnan", "nsz", "reassoc"}


def jit(function: Function) -> Function:
    """Compile a function at its first call; it works without Python's lock, for threads side by side.

    Args:
        function: Loops over numpy arrays.

    Returns:
        The same, compiled; kept on disk for the next process.
    """
    try:
        return cast("Function", numba.njit(cache=True, nogil=True, fastmath=LOOSE)(function))
    except RuntimeError:  # there is no folder to keep it in
        return cast("Function", numba.njit(nogil=True, fastmath=LOOSE)(function))


def jit_inline(function: Function) -> Function:
    """Compile a function into those that call it."""
    return cast("Function", numba.njit(nogil=True, forceinline=True, fastmath=LOOSE)(function))
