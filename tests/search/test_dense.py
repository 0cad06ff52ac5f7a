from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minerkit.embeddings.vectors import Vectors
from minerkit.search import dense
from minerkit.search.dense import DenseIndex, is_small, rank_all
from minerkit.search.exact import ExactIndex
from minerkit.search.index import open_index
from minerkit.search.request import Pairs, Request


def world(seed: int, n: int, m: int, dim: int = 16) -> tuple[Vectors, Vectors]:
    """Queries and documents of unit length as float16, with ties among them."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n + m, dim))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows[n + m // 2 :] = rows[n : n + m - m // 2]
    return Vectors.of(rows[:n].astype(np.float16)), Vectors.of(rows[n:].astype(np.float16))


@given(
    seed=st.integers(0, 5000),
    n=st.integers(1, 6),
    m=st.integers(1, 60),
    k=st.integers(1, 70),
    ceiling=st.sampled_from([None, -0.2, 0.1, 0.4]),
)
def test_a_matrix_of_scores_ranks_as_the_scan_does(seed, n, m, k, ceiling):
    queries, documents = world(seed, n, m)
    rng = np.random.default_rng(seed)
    excluded = Pairs.of(rng.integers(0, n, 5), rng.integers(0, m, 5))
    request = Request(queries, k, excluded, None if ceiling is None else np.full(n, ceiling))
    dense_hits, exact_hits = DenseIndex(documents).top(request), ExactIndex(documents).top(request)
    assert np.array_equal(dense_hits.documents, exact_hits.documents)
    assert np.array_equal(dense_hits.scores, exact_hits.scores)
    rows = np.flatnonzero(rng.random(n) < 0.5)
    some = DenseIndex(documents).search(request, replace(request, k=1))
    assert np.array_equal(some[0].top(rows).documents, exact_hits.documents[rows])
    assert np.array_equal(some[1].top(rows).documents, exact_hits.documents[rows, :1])


@given(seed=st.integers(0, 5000), count=st.integers(0, 40))
def test_pairs_score_the_same_in_either_index(seed, count):
    queries, documents = world(seed, 5, 30)
    rng = np.random.default_rng(seed)
    rows, positions = rng.integers(0, 5, count), rng.integers(0, 30, count)
    found = DenseIndex(documents).pair_scores(queries, rows, positions)
    assert np.array_equal(found, ExactIndex(documents).pair_scores(queries, rows, positions))
    assert found.dtype == np.float32


def test_scores_are_computed_some_queries_and_pairs_at_a_time(monkeypatch):
    queries, documents = world(3, 20, 50)
    request = Request(queries, 7, Pairs.empty())
    whole = rank_all(request, documents)
    rows, positions = np.repeat(np.arange(20), 3), np.arange(60) % 50
    scores = DenseIndex(documents).pair_scores(queries, rows, positions)
    monkeypatch.setattr(dense, "BLOCK", 11)
    monkeypatch.setattr(dense, "PAIRS", 7)
    parts = rank_all(request, documents, memory=8 * 50 * 3)
    assert np.array_equal(parts.documents, whole.documents) and np.array_equal(parts.scores, whole.scores)
    assert np.array_equal(DenseIndex(documents).pair_scores(queries, rows, positions), scores)


def test_no_documents_rank_nowhere():
    queries, documents = world(1, 3, 4)
    hits = rank_all(Request(queries, 5, Pairs.empty()), documents.subset(np.arange(0)))
    assert hits.documents.shape == (3, 0)


@pytest.mark.parametrize(
    ("queries", "device", "approximate", "kind"),
    [
        (100, "auto", False, DenseIndex),
        (100, "cpu", False, DenseIndex),
        (100, "cpu", True, ExactIndex),
        (dense.SMALL, "cpu", False, ExactIndex),
    ],
)
def test_a_small_collection_gets_a_dense_index(queries, device, approximate, kind):
    _, documents = world(1, 2, 4)
    assert type(open_index(documents, queries, device, 1 << 30, approximate)) is kind


def test_float32_vectors_are_never_small():
    _, documents = world(1, 2, 4)
    whole = Vectors.of(documents.take(0, 4).astype(np.float32))
    assert is_small(10, documents) and not is_small(10, whole)
