import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minerkit.search import top_k_kernels as kernels

KINDS = ["int32", "float32"]


def some(seed: int, size: int, spread: int, kind: str) -> np.ndarray:
    """Numbers with or without ties, whole or not."""
    numbers = np.random.default_rng(seed).integers(-spread, spread + 1, size)
    return (numbers if kind == "int32" else numbers / 1000).astype(kind)


@given(
    seed=st.integers(0, 10_000),
    size=st.integers(0, 400),
    spread=st.sampled_from([1, 50, 6_000_000]),
    kind=st.sampled_from(KINDS),
)
def test_numbers_between_limits_are_found_in_order(seed, size, spread, kind):
    numbers = some(seed, size, spread, kind)
    low, high = np.sort(some(seed + 1, 2, spread, kind))
    masks, found = np.empty(size // kernels.GROUP, np.uint64), np.empty(size, np.int32)
    count = kernels._between(numbers, low, high, masks, found)
    assert found[:count].tolist() == np.flatnonzero((numbers > low) & (numbers <= high)).tolist()
