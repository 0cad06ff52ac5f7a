import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minerkit import search
from minerkit.search import Pairs, pair_scores, top
from minerkit.vectors import Vectors

NONE = Pairs(np.empty(0, np.int64), np.empty(0, np.int64))


def unit(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    rows = rng.standard_normal((n, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def brute_force(queries, documents, k, blocked=(), ceilings=None):
    """Rank everything in float64: score to six decimals, then position."""
    scores = np.round(queries.astype(np.float64) @ documents.astype(np.float64).T, 6).astype(np.float32)
    found = []
    for row in range(len(queries)):
        order = [
            d
            for d in np.argsort(-scores[row], kind="stable")
            if (row, d) not in blocked
            and (ceilings is None or np.round(np.float64(scores[row, d]), 6) <= ceilings[row])
        ]
        found.append([*order[:k], *[-1] * (k - len(order))][:k])
    return np.array(found)


@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 12),
    m=st.integers(1, 60),
    k=st.integers(1, 12),
    levels=st.sampled_from([0, 2, 5]),
    capped=st.booleans(),
)
def test_top_equals_brute_force_with_ties_blocks_and_ceilings(seed, n, m, k, levels, capped):
    rng = np.random.default_rng(seed)
    queries, documents = unit(rng, n, 8), unit(rng, m, 8)
    if levels:  # few distinct values: many exact ties
        queries, documents = np.round(queries * levels) / levels, np.round(documents * levels) / levels
    queries, documents = queries.astype(np.float32), documents.astype(np.float32)
    blocked = {(int(q), int(d)) for q, d in zip(rng.integers(0, n, 9), rng.integers(0, m, 9), strict=True)}
    pairs = Pairs.of(*(np.array(column) for column in zip(*blocked, strict=True)))
    ceilings = rng.uniform(-0.5, 0.8, n) if capped else None
    hits = top(Vectors.of(queries), Vectors.of(documents), k, pairs, ceilings)
    expected = brute_force(queries, documents, min(k, m), blocked, ceilings)
    assert hits.documents.tolist() == expected.tolist()
    assert (np.isfinite(hits.scores) == (hits.documents >= 0)).all()


@pytest.mark.parametrize(("queries_a_block", "documents_a_block"), [(3, 7), (1000, 1000)])
def test_result_does_not_depend_on_block_sizes(monkeypatch, queries_a_block, documents_a_block):
    rng = np.random.default_rng(1)
    queries, documents = unit(rng, 20, 16), unit(rng, 90, 16)
    expected = brute_force(queries, documents, 10)
    monkeypatch.setattr(search, "QUERY_BLOCK", queries_a_block)
    monkeypatch.setattr(search, "DOCUMENT_BLOCK", documents_a_block)
    assert top(Vectors.of(queries), Vectors.of(documents), 10, NONE).documents.tolist() == expected.tolist()


def test_many_equal_documents_rank_by_position():
    documents = np.repeat(unit(np.random.default_rng(2), 2, 8), 200, axis=0)
    hits = top(Vectors.of(documents[:1]), Vectors.of(documents), 5, NONE)
    assert hits.documents[0].tolist() == [0, 1, 2, 3, 4]


def test_zero_vectors_rank_by_position():
    documents = np.zeros((300, 4), np.float32)
    hits = top(Vectors.of(documents[:1]), Vectors.of(documents), 3, NONE)
    assert hits.documents[0].tolist() == [0, 1, 2]
    assert hits.scores[0].tolist() == [0.0, 0.0, 0.0]


def test_a_score_does_not_depend_on_what_is_scored_with_it():
    rng = np.random.default_rng(3)
    queries, documents = unit(rng, 50, 384), unit(rng, 50, 384)
    together = pair_scores(queries, documents[:, None, :])[:, 0]
    alone = [pair_scores(queries[i : i + 1], documents[i : i + 1, None, :])[0, 0] for i in range(50)]
    assert together.tolist() == alone


def test_ceiling_is_met_exactly():
    documents = np.array([[0.5], [0.500001], [0.499999]], np.float32)
    hits = top(Vectors.of(np.ones((1, 1), np.float32)), Vectors.of(documents), 3, NONE, np.array([0.5]))
    assert hits.documents[0].tolist() == [0, 2, -1]


@given(seed=st.integers(0, 1000))
def test_pairs_of_some_queries_are_renumbered(seed):
    rng = np.random.default_rng(seed)
    queries, documents = rng.integers(0, 8, 30), rng.integers(0, 100, 30)
    rows = np.flatnonzero(rng.random(8) < 0.5)
    found = Pairs.of(queries, documents).only(rows)
    expected = sorted((list(rows).index(q), d) for q, d in zip(queries, documents, strict=True) if q in rows)
    assert list(zip(found.queries.tolist(), found.documents.tolist(), strict=True)) == expected
