import numpy as np
import pytest
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
    size=st.integers(1, 300),
    spread=st.sampled_from([1, 50, 6_000_000]),
    kind=st.sampled_from(KINDS),
    k=st.integers(1, 40),
    cut=st.booleans(),
)
def test_the_kth_best_is_found_by_counting(seed, size, spread, kind, k, cut):
    numbers = some(seed, size, spread, kind)
    least = float(np.median(numbers)) if cut else -np.inf
    best = np.sort(numbers[numbers > least])[::-1]
    assert kernels._kth(numbers, k, least) == (best[k - 1] if len(best) >= k else -np.inf)


@pytest.mark.parametrize("value", [0.0, -1e-7, 1e30, -1e30])
def test_the_kth_best_of_equals_is_what_they_are(value):
    numbers = np.full(20, value, np.float32)
    assert kernels._kth(numbers, 7, -np.inf) == numbers[0]


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
    count = kernels._passed(numbers, low, high, masks, found)
    assert found[:count].tolist() == np.flatnonzero((numbers > low) & (numbers <= high)).tolist()
