import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minerkit.search.top_k_thresholds import kth_best
from tests.search.test_top_k_kernels import KINDS, some


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
    assert kth_best(numbers, k, least) == (best[k - 1] if len(best) >= k else -np.inf)


@pytest.mark.parametrize("value", [0.0, -1e-7, 1e30, -1e30])
def test_the_kth_best_of_equals_is_what_they_are(value):
    numbers = np.full(20, value, np.float32)
    assert kth_best(numbers, 7, -np.inf) == numbers[0]
