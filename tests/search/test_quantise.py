import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minerkit.search import quantise as codes
from minerkit.search.quantise import (
    ScanFormat,
    encode,
    error_bound,
    fastest_format,
    multiplies_bytes_exactly,
    product_buffer,
    products,
)

EXACT_BYTES = multiplies_bytes_exactly()
NAMES = [*(["int8"] if EXACT_BYTES else []), "bfloat16", "float32"]


def errors(queries: np.ndarray, documents: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Score by codes and in float64; give the differences, and what they are bounded by for each query."""
    form = ScanFormat(name, "cpu")
    asked, stored = encode(queries.copy(), form), encode(documents.copy(), form, shared_scale=True)
    out = product_buffer(asked.matrix, len(asked.matrix) * len(documents))
    coded = products(asked.matrix, stored.matrix, out).to(torch.float64).numpy()
    scale = float(stored.scales[0])
    exact = queries.astype(np.float64) @ documents.astype(np.float64).T
    off = np.abs(coded * asked.scales.astype(np.float64)[:, None] * scale - exact)
    lengths = stored.lengths[stored.lengths > 0]
    longest, shortest = lengths.max(initial=0.0), lengths.min(initial=np.inf)
    return off, error_bound(asked, scale, float(longest), float(shortest), form)


def unit(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    rows = rng.standard_normal((n, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60)
@given(seed=st.integers(0, 100_000), dim=st.integers(2, 400))
def test_scores_of_unit_vectors_are_off_by_less_than_the_bound(name, seed, dim):
    rng = np.random.default_rng(seed)
    queries, documents = unit(rng, 40, dim), unit(rng, 200, dim)
    documents[:40] = queries  # scores of one
    documents[40:80] = -queries
    off, bound = errors(queries, documents, name)
    assert (off <= bound[:, None]).all()


def outliers(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    """A dimension or two far larger than the others, as many models have."""
    rows = rng.standard_normal((n, dim)).astype(np.float32)
    rows[:, : 1 + dim // 100] *= 30
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def axes(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    return np.eye(dim, dtype=np.float32)[rng.integers(0, dim, n)] * rng.choice([-1, 1], (n, 1)).astype(
        np.float32
    )


def signs(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    return rng.choice([-1, 1], (n, dim)).astype(np.float32) / np.float32(np.sqrt(dim))


def few(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    """A handful of vectors again and again."""
    return unit(rng, 3, dim)[rng.integers(0, 3, n)]


def some_zero(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    return unit(rng, n, dim) * (rng.random((n, 1)) < 0.5).astype(np.float32)


def alike(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    rows = unit(rng, 1, dim) + 0.05 * unit(rng, n, dim)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def long_and_short(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    return unit(rng, n, dim) * rng.uniform(1, 20, (n, 1)).astype(np.float32)


KINDS = [outliers, axes, signs, few, some_zero, alike, long_and_short]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(seed=st.integers(0, 100_000), dim=st.sampled_from([2, 3, 8, 16, 17, 20, 31, 64, 100, 256, 384]))
def test_scores_of_odd_vectors_are_off_by_less_than_the_bound(name, kind, seed, dim):
    rng = np.random.default_rng(seed)
    queries, documents = kind(rng, 40, dim), kind(rng, 200, dim)
    documents[:40] = queries
    off, bound = errors(queries, documents, name)
    assert (off <= bound[:, None]).all()


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30)
@given(seed=st.integers(0, 100_000), share=st.floats(0.03, 1), dim=st.sampled_from([32, 256, 384]))
def test_documents_thirty_times_shorter_than_another_are_off_by_less_than_the_bound(name, seed, share, dim):
    rng = np.random.default_rng(seed)
    queries = unit(rng, 20, dim)
    documents = np.vstack([queries * np.float32(share), unit(rng, 1, dim)])
    off, bound = errors(queries, documents, name)
    assert (off <= bound[:, None]).all()


@pytest.mark.parametrize("name", NAMES[:-1])
def test_the_bound_is_not_much_larger_than_the_errors(name):
    rng = np.random.default_rng(1)
    off, bound = errors(unit(rng, 200, 256), unit(rng, 4000, 256), name)
    assert bound.max() < 5 * off.max()


@pytest.mark.parametrize("dim", [1, 2, 12, 17, 97, 128, 384])
def test_the_rotation_is_orthogonal(dim):
    rotated = codes._rotated(torch.eye(dim)).numpy().astype(np.float64)
    assert np.abs(rotated @ rotated.T - np.eye(dim)).max() < 1e-5


def test_the_rotation_leaves_no_dimension_that_stands_out():
    rotated = codes._rotated(torch.from_numpy(outliers(np.random.default_rng(2), 500, 384))).numpy()
    spread = np.sqrt((rotated**2).mean(0))
    assert spread.max() < 4 * spread.mean()


def test_documents_that_share_a_scale_share_the_largest():
    rng = np.random.default_rng(3)
    rows = long_and_short(rng, 50, 64)
    alone, shared_scale = (encode(rows.copy(), ScanFormat("int8", "cpu"), shared) for shared in (False, True))
    assert set(shared_scale.scales.tolist()) == {float(alone.scales.max())}
    assert shared_scale.matrix.abs().max() == 127
    assert (alone.matrix.abs().amax(1) == 127).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_zero_vector_scores_nought(name):
    off, _ = errors(np.zeros((2, 32), np.float32), unit(np.random.default_rng(4), 5, 32), name)
    assert (off == 0).all()


def test_lengths_are_those_of_the_vectors():
    rows = long_and_short(np.random.default_rng(5), 20, 64)
    assert encode(rows.copy(), ScanFormat("int8", "cpu")).lengths == pytest.approx(
        np.linalg.norm(rows, axis=1), 1e-5
    )


def test_the_fastest_format_works_here():
    form = fastest_format("cpu")
    assert form.device == "cpu" and form.name in NAMES
    rng = np.random.default_rng(6)
    off, bound = errors(unit(rng, 5, 48), unit(rng, 70, 48), form.name)
    assert (off <= bound[:, None]).all()


def test_a_format_the_chip_lacks_is_not_chosen(monkeypatch):
    def products_of(queries, documents, out):
        if queries.dtype != torch.float32:
            raise RuntimeError("not on this chip")
        return products(queries, documents, out)

    monkeypatch.setattr(codes, "products", products_of)
    assert fastest_format.__wrapped__("cpu") == ScanFormat("float32", "cpu")


def test_bytes_are_not_multiplied_where_their_sums_saturate(monkeypatch):
    def saturating(queries, documents, out):
        """As the kernels for AVX2: the one side without a sign, sums of two products in sixteen bits."""
        unsigned, signed = queries.to(torch.int32) + 128, documents.to(torch.int32)
        pairs = (unsigned[:, None] * signed[None]).unfold(2, 2, 2).sum(-1).clamp(-(2**15), 2**15 - 1)
        return pairs.sum(-1) - 128 * signed.sum(1)

    monkeypatch.setattr(codes, "products", saturating)
    assert not multiplies_bytes_exactly.__wrapped__()
    monkeypatch.setattr(codes, "multiplies_bytes_exactly", lambda: False)
    monkeypatch.setattr(codes, "_seconds", lambda work: 1.0)
    monkeypatch.setattr(codes, "products", products)
    assert fastest_format.__wrapped__("cpu").name != "int8"


@pytest.mark.skipif(not EXACT_BYTES, reason="sums of eight-bit products saturate on this chip")
def test_documents_shorter_than_a_step_are_within_the_bound():
    query = np.random.default_rng(4).standard_normal((1, 384)).astype(np.float32)
    query /= np.linalg.norm(query)
    longest = np.roll(query, 1)
    off, bound = errors(query, np.concatenate([query * 0.0058, longest]), "int8")
    assert (off <= bound[:, None]).all()
