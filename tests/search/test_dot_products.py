import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minerkit.embeddings.vectors import Vectors
from minerkit.search.decimals import exact_scores, round_scores
from minerkit.search.dot_products import pair_scores


def unit(seed: int, n: int, dim: int, kind: str = "float16") -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(kind)


def scored(queries: Vectors, documents: Vectors) -> np.ndarray:
    """Score each query with the document of the same number."""
    return pair_scores(queries, documents, np.arange(len(queries)), np.arange(len(documents)))


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
    found = scored(Vectors.of(queries), Vectors.of(documents))
    assert found.tolist() == scored(Vectors.of(queries[:, turn]), Vectors.of(documents[:, turn])).tolist()
    assert found.tolist() == round_scores(np.array(exact)).tolist()


@pytest.mark.parametrize("kind", ["float16", "float32"])
def test_a_pair_scores_the_same_alone_and_among_others(kind):
    queries, documents = unit(1, 50, 384, kind), unit(2, 50, 384, kind)
    together = scored(Vectors.of(queries), Vectors.of(documents))
    alone = [scored(Vectors.of(queries[i : i + 1]), Vectors.of(documents[i : i + 1]))[0] for i in range(50)]
    assert together.tolist() == alone


def test_any_float16_number_is_multiplied_as_it_is():
    numbers = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    numbers = numbers[np.isfinite(numbers)]  # zeros, subnormal and large ones among them
    ones, every = Vectors.of(np.ones((1, 1), np.float16)), Vectors.of(numbers[:, None])
    found = pair_scores(ones, every, np.zeros(len(numbers), np.int64), np.arange(len(numbers)))
    assert found.tolist() == round_scores(numbers.astype(np.float64)).tolist()


@pytest.mark.parametrize("kind", ["float16", "float32"])
def test_pairs_score_the_same_wherever_the_documents_lie(kind, tmp_path):
    queries, array = Vectors.of(unit(3, 9, 100, kind)), unit(4, 300, 100, kind)
    array.tofile(tmp_path / "rows")
    mapped = np.memmap(tmp_path / "rows", kind, "r", shape=array.shape)
    draw = np.random.default_rng(6)
    rows, asked, positions = draw.permutation(300), draw.integers(0, 9, 400), draw.integers(0, 300, 400)
    large = Vectors(mapped, rows, mapped=1000)
    assert large.storage_order(np.arange(300)).tolist() == np.argsort(rows).tolist()
    expected = np.einsum(
        "nd,nd->n", queries.take(0, 9)[asked].astype(float), array[rows[positions]].astype(float)
    )
    for documents in (Vectors(array, rows), Vectors(mapped, rows), large):
        found = pair_scores(queries, documents, asked, positions)
        assert found.tolist() == round_scores(expected).tolist()


def test_many_pairs_are_scored_as_few_are(monkeypatch):
    queries, documents = (Vectors.of(unit(seed, 20, 8, "float32")) for seed in (6, 7))
    whole = scored(queries, documents)
    monkeypatch.setattr("minerkit.search.dot_products.CHUNK", 3)
    assert scored(queries, documents).tolist() == whole.tolist()


def test_no_pairs_have_no_scores():
    none = Vectors.of(np.empty((0, 4), np.float16))
    assert scored(none, none).shape == (0,)


def test_scores_are_kept_to_six_decimals_and_read_as_those():
    scores = round_scores(np.array([0.80000049, 0.8, -0.0000001, -1.0]))
    assert scores.dtype == np.float32
    assert exact_scores(scores).tolist() == [0.8, 0.8, 0.0, -1.0]
    assert not np.signbit(scores[2])
