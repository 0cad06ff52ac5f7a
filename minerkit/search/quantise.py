"""Vectors quantised for a scan, with a bound on the error of their scores.

Vectors are rotated at random, so that no dimension stands out. Then they are rounded to eight bits where the
chip multiplies these fastest, or to bfloat16; or they stay in float32. A score of codes is within
`error_bound` of the exact score. The scan keeps every document within twice that, and scores it exactly.
"""

import functools
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from minerkit.runtime import torch_map

if TYPE_CHECKING:
    import torch

__all__ = [
    "FEW",
    "Codes",
    "ScanFormat",
    "encode",
    "error_bound",
    "fastest_format",
    "multiplies_bytes_exactly",
    "product_buffer",
    "products",
]

Array = npt.NDArray[np.float32]

SEED = 12
#: Standard deviations of the rounding errors that a bound covers. A sum of independent uniform errors is
#: sub-Gaussian with its own variance, so that a score lies outside with a probability below 2 exp(-49 / 2).
DEVIATIONS = 7.0
#: Twice the largest error a float32 product of unit vectors showed, in units of |query| * |document|.
NOISE = 4e-6
#: Vectors rotated at once.
ROWS = 256
#: Dimensions below which the worst case is a better bound than the deviations.
FEW = 16


@dataclass(frozen=True)
class ScanFormat:
    """The format in which a scan multiplies: a torch dtype by name, and the device."""

    name: str
    device: str


@dataclass(frozen=True)
class Codes:
    """Quantised vectors: the matrix (n, dim), the score of one unit of each row (n,), and lengths (n,)."""

    matrix: "torch.Tensor"
    scales: Array
    lengths: Array


def encode(vectors: Array, format: ScanFormat, shared_scale: bool = False) -> Codes:
    """Quantise vectors.

    Args:
        vectors: float32 of shape (n, dim).
        format: The format in which they will be multiplied.
        shared_scale: Whether all rows share a scale, or each has its own.

    Returns:
        The codes, on the format's device.
    """
    import torch

    if format.name == "float32":
        lengths = np.linalg.norm(vectors, axis=1)
        return Codes(torch.from_numpy(vectors).to(format.device), np.ones_like(lengths), lengths)
    rotated = _rotated(torch.from_numpy(vectors))
    lengths = rotated.norm(dim=1)
    largest = torch.maximum(rotated.amax(1), -rotated.amin(1)) / 127 if format.name == "int8" else lengths
    if shared_scale and len(vectors):
        largest = largest.max().expand_as(largest)
    scales = torch.where(largest > 0, largest, 1.0)
    rotated /= scales[:, None]
    matrix = rotated.round_().clamp_(-127, 127) if format.name == "int8" else rotated
    return Codes(matrix.to(format.device, getattr(torch, format.name)), scales.numpy(), lengths.numpy())


def error_bound(queries: Codes, scale: float, longest: float, shortest: float, format: ScanFormat) -> Array:
    """Bound the error of the scores of queries against documents.

    Args:
        queries: n queries.
        scale: The largest scale of the documents.
        longest: The length of the longest document.
        shortest: The length of the shortest document that is not zero.
        format: The format of both.

    Returns:
        float32 of shape (n,).
    """
    dim, lengths = queries.matrix.shape[1], queries.lengths
    bound = NOISE * lengths * longest
    if format.name == "int8" and dim <= FEW:  # every rounding error half a step, all on the same side
        half = math.sqrt(dim) / 2
        bound = bound + half * (lengths * scale + queries.scales * longest) + dim * queries.scales * scale / 4
    elif format.name == "int8":
        variance = ((lengths * scale) ** 2 + (queries.scales * longest) ** 2) / 12
        bound = bound + DEVIATIONS * np.sqrt(variance + dim * (queries.scales * scale) ** 2 / 144)
        if shortest < math.sqrt(dim) * scale:
            # Where a vector's numbers hardly reach one step, what rounding takes away looks like the vector.
            bound = bound + 0.2 * math.sqrt(dim) * scale * lengths
    elif format.name != "float32":
        # Half a unit in the last place of the product, below one, and up to twice that of each factor: all on
        # the same side where there are few; else at random, though alike in vectors that are alike.
        unit = 2.0**-9 if format.name == "bfloat16" else 2.0**-12
        factors = min(4.0, 3 * DEVIATIONS / math.sqrt(dim))
        bound = bound + unit * (1 + factors) * lengths * longest
    return np.asarray(bound, np.float32)


def products(queries: "torch.Tensor", documents: "torch.Tensor", out: "torch.Tensor") -> "torch.Tensor":
    """Multiply quantised queries with quantised documents.

    Args:
        queries: Shape (n, dim).
        documents: Shape (m, dim), of the same dtype.
        out: Where the products go, at least n * m numbers: int32 for int8 codes, else of the codes' dtype.
            New memory for every tile would take as long as the products.

    Returns:
        Shape (n, m): a view of `out`.
    """
    import torch

    shape = len(queries), len(documents)
    tile = out[: shape[0] * shape[1]].view(shape)
    multiply = torch._int_mm if queries.dtype == torch.int8 else torch.mm
    multiply(queries, documents.T, out=tile)
    return tile


def product_buffer(queries: "torch.Tensor", size: int) -> "torch.Tensor":
    """Return memory for so many products of quantised queries; each thread has one buffer, used again."""
    import torch

    kind = torch.int32 if queries.dtype == torch.int8 else queries.dtype
    key = f"{kind} {queries.device}"
    rooms: dict[str, torch.Tensor] = _buffers.__dict__
    if key not in rooms or len(rooms[key]) < size:
        rooms[key] = torch.empty(size, dtype=kind, device=queries.device)
    return rooms[key]


_buffers = threading.local()


@functools.cache
def fastest_format(device: str) -> ScanFormat:
    """Find the format that the chip multiplies fastest, by trying.

    Args:
        device: A torch device.

    Returns:
        float16 on a GPU; else the fastest of int8, bfloat16 and float32.
    """
    if device != "cpu":
        return ScanFormat("float16", device)
    vectors = np.random.default_rng(SEED).standard_normal((512, 256)).astype(np.float32)

    def seconds(name: str) -> float:
        if name == "int8" and not multiplies_bytes_exactly():
            return math.inf
        codes = encode(vectors, ScanFormat(name, device))
        out = product_buffer(codes.matrix, len(vectors) ** 2)
        try:
            return min(_seconds(lambda: products(codes.matrix, codes.matrix, out)) for _ in range(8))
        except RuntimeError:  # the chip cannot multiply these
            return math.inf

    names = ("float32", "bfloat16", "int8")
    times = dict(zip(names, torch_map(seconds, names), strict=True))
    return ScanFormat(min(times, key=lambda name: times[name]), device)


@functools.cache
def multiplies_bytes_exactly() -> bool:
    """Check whether products of eight-bit codes are exact on this CPU.

    Returns:
        False where sums of two products saturate in sixteen bits, as in kernels for AVX2, or where the chip
        has no such products.
    """
    import torch

    codes = torch.full((32, 64), 127, dtype=torch.int8)
    codes[::2] = -127
    try:
        found = products(codes, codes, product_buffer(codes, len(codes) ** 2)).to(torch.int64)
    except RuntimeError:
        return False
    whole = codes.to(torch.int64)
    return bool((found == whole @ whole.T).all())


def _seconds(work: Callable[[], object]) -> float:
    started = time.thread_time()  # what else runs on the machine does not count
    work()
    return time.thread_time() - started


def _rotated(rows: "torch.Tensor") -> "torch.Tensor":
    """Rotate rows by a random orthogonal matrix, the Kronecker product of two small ones."""
    import torch

    left, right = (torch.from_numpy(matrix) for matrix in _rotation(rows.shape[1]))
    rotated = torch.empty_like(rows)
    # So many at a time that what lies between the two products stays in a core's cache.
    for start in range(0, len(rows), ROWS):
        folded = torch.matmul(rows[start : start + ROWS].view(-1, len(left), len(right)), right)
        torch.matmul(left, folded, out=rotated[start : start + ROWS].view(folded.shape))
    return rotated


@functools.cache
def _rotation(dim: int) -> tuple[Array, Array]:
    """Draw two orthogonal matrices whose sizes multiply to dim, as near to each other as they can be."""
    small = next(size for size in range(math.isqrt(dim), 0, -1) if dim % size == 0)
    draw = np.random.default_rng(SEED)

    def orthogonal(size: int) -> Array:
        q, r = np.linalg.qr(draw.standard_normal((size, size)))
        return np.asarray(q * np.sign(np.diag(r)), np.float32)

    return orthogonal(small), orthogonal(dim // small)
