import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minerkit.search import rescore as found


@given(
    seed=st.integers(0, 10_000),
    counts=st.lists(st.integers(0, 30), max_size=6),
    k=st.integers(1, 12),
    levels=st.sampled_from([1, 3, 10**6]),
    size=st.sampled_from([1.0, 1e-5, 1e4]),
)
def test_the_best_come_first_and_of_equal_scores_the_lower_position(seed, counts, k, levels, size):
    rng = np.random.default_rng(seed)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    positions = np.concatenate([rng.permutation(50)[:count] for count in counts] + [[]]).astype(np.int32)
    scores = (
        (np.round(rng.uniform(-1, 1, len(positions)) * levels) / levels * size).round(6).astype(np.float32)
    )
    scores[rng.random(len(positions)) < 0.2] = -np.inf
    documents, of_documents = np.full((len(counts), k), -1), np.full((len(counts), k), -np.inf, np.float32)
    found._best(starts, positions, scores, documents, of_documents)
    for row, (first, stop) in enumerate(itertools.pairwise(starts)):
        own = [(-scores[at], positions[at]) for at in range(first, stop) if scores[at] > -np.inf]
        expected = sorted(own)[:k] + [(np.inf, -1)] * max(0, k - len(own))
        assert documents[row].tolist() == [position for _, position in expected]
        assert of_documents[row].tolist() == [-score for score, _ in expected]
