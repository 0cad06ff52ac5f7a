"""Rows of a file read into memory, neighbours at once: a loop without Python's lock."""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from minerkit.runtime import jit

__all__ = ["SPACE", "read_rows"]

IntArray = npt.NDArray[np.integer[Any]]

#: Bytes between two rows up to which it is faster to read what lies between them than to ask twice; and bytes
#: that are read at once in this way.
NEAR, SPACE = 8 << 10, 64 << 10
#: pread(2): what it is given are numbers, the place in memory too.
_pread: Any = types.ExternalFunction("pread", types.intp(types.intc, types.uintp, types.uintp, types.int64))


@jit
def read_rows(
    file: int, start: int, rows: npt.NDArray[np.int64], width: int, out: IntArray, space: IntArray
) -> bool:
    """Read rows of a file, neighbours at once; say whether all of them were there.

    Args:
        file: Its descriptor.
        start: Where its first row begins.
        rows: int64 of shape (n,), best in the order of the file.
        width: Bytes of a row.
        out: uint8 of shape (n * width,).
        space: uint8: for rows that are read because they lie between others.
    """
    near, most, at = NEAR // width, len(space) // width, 0
    while at < len(rows):
        first, stop, alone = rows[at], at + 1, True
        while stop < len(rows):
            step = rows[stop] - rows[stop - 1]
            if not (alone and step == 1):
                if not 0 <= step <= near or rows[stop] - first >= most:
                    break
                alone = False
            stop += 1
        place = out[at * width : stop * width] if alone else space[: (rows[stop - 1] - first + 1) * width]
        done = 0
        while done < len(place):  # a system may give less than it is asked for
            from_here = start + first * width + done
            found = _pread(file, place.ctypes.data + done, len(place) - done, from_here)
            if found <= 0:
                return False
            done += found
        if not alone:
            for row in range(at, stop):
                begin = (rows[row] - first) * width
                out[row * width : (row + 1) * width] = place[begin : begin + width]
        at = stop
    return True
