import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minerkit.search.scores import exact_scores, pair_scores, rescored, rounded
from minerkit.vectors import Vectors


def unit(seed: int, n: int, dim: int, kind: str = "float16") -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(kind)


@given(seed=st.integers(0, 1000), dim=st.sampled_from([1, 7, 64, 384, 1000]))
def test_float16_unit_vectors_score_the_same_in_any_order_of_dimensions(seed, dim):
    rng = np.random.default_rng(seed)
    queries, documents = unit(seed, 20, dim), unit(seed + 1, 20, dim)
    documents[:5] = queries[:5]  # scores near one
    turn = rng.permutation(dim)
    exact = [sum(a * b for a, b in zip(q, d, strict=True)) for q, d in zip(queries.astype(float).tolist(),
             documents.astype(float).tolist(), strict=True)]  # fmt: skip
    turned = np.einsum("nd,nd->n", queries[:, turn].astype(float), documents[:, turn].astype(float))
    assert exact == turned.tolist()
    found = pair_scores(Vectors.of(queries), Vectors.of(documents))
    assert (
        found.tolist() == pair_scores(Vectors.of(queries[:, turn]), Vectors.of(documents[:, turn])).tolist()
    )
    assert found.tolist() == rounded(np.array(exact)).tolist()


@pytest.mark.parametrize("kind", ["float16", "float32"])
def test_a_pair_scores_the_same_alone_and_among_others(kind):
    queries, documents = unit(1, 50, 384, kind), unit(2, 50, 384, kind)
    together = pair_scores(Vectors.of(queries), Vectors.of(documents))
    alone = [
        pair_scores(Vectors.of(queries[i : i + 1]), Vectors.of(documents[i : i + 1]))[0] for i in range(50)
    ]
    assert together.tolist() == alone


@pytest.mark.parametrize("kind", ["float16", "float32"])
def test_candidates_score_as_pairs_do(kind):
    queries, documents = Vectors.of(unit(3, 9, 100, kind)), Vectors.of(unit(4, 30, 100, kind))
    candidates = np.sort(np.random.default_rng(5).integers(-1, 30, (9, 12)), axis=1)
    scores = rescored(queries, documents, candidates)
    rows, places = np.nonzero(candidates >= 0)
    expected = pair_scores(queries.subset(rows), documents.subset(candidates[rows, places]))
    assert scores[rows, places].tolist() == expected.tolist()
    assert (scores[candidates < 0] == -np.inf).all() and (candidates < 0).any()


def test_candidates_in_a_large_mapped_table_score_the_same(tmp_path):
    queries, array = Vectors.of(unit(3, 9, 100)), unit(4, 300, 100)
    array.tofile(tmp_path / "rows")
    mapped = np.memmap(tmp_path / "rows", np.float16, "r", shape=array.shape)
    rows = np.random.default_rng(6).permutation(300)
    candidates = np.sort(np.random.default_rng(5).integers(-1, 300, (9, 40)), axis=1)
    large = Vectors(mapped, rows, mapped=1000)
    assert large.as_stored(np.arange(300)).tolist() == np.argsort(rows).tolist()
    assert (
        rescored(queries, large, candidates).tolist()
        == rescored(queries, Vectors(array, rows), candidates).tolist()
    )


def test_many_pairs_are_scored_as_few_are(monkeypatch):
    queries, documents = Vectors.of(unit(6, 20, 8)), Vectors.of(unit(7, 20, 8))
    whole = pair_scores(queries, documents)
    monkeypatch.setattr("minerkit.search.scores.CHUNK", 3)
    assert pair_scores(queries, documents).tolist() == whole.tolist()


def test_no_pairs_have_no_scores():
    none = Vectors.of(np.empty((0, 4), np.float16))
    assert pair_scores(none, none).shape == (0,)


def test_scores_are_kept_to_six_decimals_and_read_as_those():
    scores = rounded(np.array([0.80000049, 0.8, -0.0000001, -1.0]))
    assert scores.dtype == np.float32
    assert exact_scores(scores).tolist() == [0.8, 0.8, 0.0, -1.0]
    assert not np.signbit(scores[2])
