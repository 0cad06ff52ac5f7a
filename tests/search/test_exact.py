import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minerkit.embeddings.vectors import Vectors
from minerkit.search import ExactIndex, Hits, Pairs, Request, scan
from minerkit.search import exact as search
from minerkit.search import quantised_documents as coded
from minerkit.search import rescore as found
from minerkit.search.quantise import ScanFormat, multiplies_bytes_exactly

NAMES = [*(["int8"] if multiplies_bytes_exactly() else []), "bfloat16", "float32"]


@pytest.fixture(params=NAMES)
def form(request, monkeypatch) -> str:
    """Makes the scan use a format, whatever is fastest here."""
    monkeypatch.setattr(search, "fastest_format", lambda device: ScanFormat(request.param, device))
    return request.param


def unit(rng: np.random.Generator, n: int, dim: int, kind: str = "float16") -> np.ndarray:
    rows = rng.standard_normal((n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(kind)


def top(queries, documents, k, excluded=None, ceilings=None, memory=1 << 30) -> Hits:
    index = ExactIndex(Vectors.of(documents), memory=memory)
    return index.top(Request(Vectors.of(queries), k, excluded or Pairs.empty(), ceilings))


def brute_force(queries, documents, k, excluded=(), ceilings=None) -> tuple[list, list]:
    """Rank everything in float64: score to six decimals, then position; give documents and scores."""
    exact = np.round(queries.astype(np.float64) @ documents.astype(np.float64).T, 6) + 0.0
    mask = np.zeros(exact.shape, bool)
    for row, document in excluded:
        mask[row, document] = True
    if ceilings is not None:
        mask |= exact > ceilings[:, None]
    exact[mask] = -np.inf
    order = np.argsort(-exact, axis=1, kind="stable")[:, : min(k, len(documents))]
    best = np.take_along_axis(exact, order, axis=1)
    return np.where(best > -np.inf, order, -1).tolist(), best.astype(np.float32).tolist()


def same(hits: Hits, expected: tuple[list, list]) -> bool:
    return (hits.documents.tolist(), hits.scores.tolist()) == expected


def some_pairs(rng: np.random.Generator, n: int, m: int, count: int) -> tuple[set, Pairs]:
    excluded = {
        (int(q), int(d)) for q, d in zip(rng.integers(0, n, count), rng.integers(0, m, count), strict=True)
    }
    return excluded, Pairs.of(*(np.array(column) for column in zip(*excluded, strict=True)))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 12),
    m=st.integers(1, 60),
    k=st.integers(1, 70),
    levels=st.sampled_from([0, 2, 5]),
    capped=st.booleans(),
    kind=st.sampled_from(["float16", "float32"]),
)
def test_top_equals_brute_force_with_ties_blocks_and_ceilings(name, seed, n, m, k, levels, capped, kind):
    rng = np.random.default_rng(seed)
    queries, documents = unit(rng, n, 8, kind), unit(rng, m, 8, kind)
    if levels:  # few distinct values: many exact ties
        queries, documents = (np.round(rows * levels) / levels for rows in (queries, documents))
        queries, documents = queries.astype(kind), documents.astype(kind)
    excluded, pairs = some_pairs(rng, n, m, 9)
    ceilings = rng.uniform(-0.5, 0.8, n) if capped else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "fastest_format", lambda device: ScanFormat(name, device))
        hits = top(queries, documents, k, pairs, ceilings)
    assert same(hits, brute_force(queries, documents, k, excluded, ceilings))


@pytest.mark.parametrize("kind", ["float16", "float32"])
@pytest.mark.parametrize("dim", [2, 3, 16, 17, 64, 384])
def test_top_of_larger_collections_equals_brute_force(form, dim, kind):
    rng = np.random.default_rng(dim)
    queries, documents = unit(rng, 300, dim, kind), unit(rng, 5000, dim, kind)
    documents[100:200] = queries[:100]
    assert same(top(queries, documents, 10), brute_force(queries, documents, 10))


def test_nothing_depends_on_format_sizes_memory_or_threads(monkeypatch):
    rng = np.random.default_rng(1)
    queries, documents = unit(rng, 90, 32), unit(rng, 700, 32)
    documents[50:350] = documents[0]  # 300 equal documents
    documents[400:420] = 0
    queries[5] = documents[0]
    excluded, pairs = some_pairs(rng, 90, 700, 3000)
    ceilings = np.round(rng.uniform(0.1, 0.5, 90), 3)
    expected = brute_force(queries, documents, 20, excluded, ceilings)
    threads = torch.get_num_threads()
    sizes = {"standard": {}, "small": {"CHUNK": 128, "TILE": 16}, "odd": {"CHUNK": 150, "TILE": 37}}
    try:
        for name, size, asked, memory, pool in itertools.product(
            NAMES, sizes, (256, 7), (1 << 30, 8), (1, 2)
        ):
            torch.set_num_threads(pool)
            monkeypatch.setattr(search, "fastest_format", lambda device, name=name: ScanFormat(name, device))
            monkeypatch.setattr(search, "TILE", asked)
            monkeypatch.setattr(search, "MOST_QUERIES", 3 * asked)
            with monkeypatch.context() as patch:
                for constant, value in sizes[size].items():
                    patch.setattr(coded, constant, value)
                patch.setattr(scan, "PRODUCTS", scan.PRODUCTS if size == "standard" else 100)
                patch.setattr(found, "PAIRS_AT_ONCE", found.PAIRS_AT_ONCE if size == "standard" else 50)
                hits = top(queries, documents, 20, pairs, ceilings, memory)
            assert same(hits, expected), (name, size, asked, memory, pool)
    finally:
        torch.set_num_threads(threads)


def test_more_documents_than_there_are_groups_in_a_tile_are_found(form, monkeypatch):
    monkeypatch.setattr(coded, "CHUNK", 256)
    monkeypatch.setattr(coded, "TILE", 32)
    rng = np.random.default_rng(2)
    queries, documents = unit(rng, 20, 24), unit(rng, 600, 24)
    assert same(top(queries, documents, 100), brute_force(queries, documents, 100))


def test_more_documents_than_there_are_are_all(form):
    rng = np.random.default_rng(3)
    queries, documents = unit(rng, 5, 24), unit(rng, 30, 24)
    hits = top(queries, documents, 50)
    assert hits.documents.shape == (5, 30)
    assert same(hits, brute_force(queries, documents, 50))


def test_many_equal_documents_rank_by_position(form):
    documents = np.repeat(unit(np.random.default_rng(4), 2, 8), 300, axis=0)
    hits = top(documents[:1], documents, 5)
    assert hits.documents[0].tolist() == [0, 1, 2, 3, 4]


def test_equal_documents_spread_over_tiles_of_other_scales_rank_by_position(form, monkeypatch):
    monkeypatch.setattr(coded, "TILE", 16)
    monkeypatch.setattr(coded, "CHUNK", 64)
    rng = np.random.default_rng(5)
    documents = unit(rng, 400, 16)
    documents[::2] = documents[0]
    queries = np.vstack([documents[:1], unit(rng, 9, 16)])
    assert same(top(queries, documents, 10), brute_force(queries, documents, 10))


def test_zero_vectors_rank_by_position(form):
    documents = np.zeros((300, 4), np.float16)
    hits = top(documents[:1], documents, 3)
    assert hits.documents[0].tolist() == [0, 1, 2]
    assert hits.scores[0].tolist() == [0.0, 0.0, 0.0]


def test_a_query_that_is_zero_finds_the_first_documents(form):
    documents = unit(np.random.default_rng(6), 500, 16)
    hits = top(np.zeros((1, 16), np.float16), documents, 4)
    assert hits.documents.tolist() == [[0, 1, 2, 3]]


def test_vectors_of_any_length_are_ranked(form):
    rng = np.random.default_rng(7)
    queries, documents = unit(rng, 50, 64, "float32"), unit(rng, 3000, 64, "float32")
    documents *= rng.uniform(0.1, 8, (3000, 1)).astype(np.float32)
    queries *= rng.uniform(0.1, 3, (50, 1)).astype(np.float32)
    assert same(top(queries, documents, 10), brute_force(queries, documents, 10))


def test_vectors_with_dimensions_that_stand_out_are_ranked(form):
    rng = np.random.default_rng(8)
    rows = rng.standard_normal((2050, 128))
    rows[:, :2] = rows[:, :2] * 0.2 + 20
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
    assert same(top(rows[:50], rows[50:], 10), brute_force(rows[:50], rows[50:], 10))


def test_a_ceiling_is_met_exactly(form):
    documents = np.array([[0.5, 0], [0.500001, 0], [0.499999, 0]], np.float32)
    hits = top(np.array([[1, 0]], np.float32), documents, 3, None, np.array([0.5]))
    assert hits.documents[0].tolist() == [0, 2, -1]
    assert hits.scores[0].tolist() == [0.5, np.float32(0.499999), -np.inf]


def test_ceilings_among_crowded_scores_are_met_exactly(form):
    """Hundreds of documents lie within rounding of the ceiling, more than a query has room for."""
    rng = np.random.default_rng(9)
    grid = np.arange(2000) * 1e-6 + 0.3
    documents = np.zeros((2000, 4), np.float32)
    documents[:, 0] = rng.permutation(grid)
    documents[:, 1] = np.sqrt(1 - documents[:, 0] ** 2)
    queries = np.tile(np.array([[1, 0, 0, 0]], np.float32), (5, 1))
    ceilings = np.array([0.3, 0.3005, 0.301, 0.301999, 0.25])
    assert same(top(queries, documents, 7, None, ceilings), brute_force(queries, documents, 7, (), ceilings))


def test_a_ceiling_of_infinity_is_none(form):
    rng = np.random.default_rng(10)
    queries, documents = unit(rng, 6, 16), unit(rng, 100, 16)
    assert same(top(queries, documents, 5, None, np.full(6, np.inf)), brute_force(queries, documents, 5))


def test_all_documents_of_a_query_may_be_blocked(form):
    rng = np.random.default_rng(11)
    queries, documents = unit(rng, 3, 16), unit(rng, 200, 16)
    pairs = Pairs.of(np.repeat([0, 2], 200), np.tile(np.arange(200), 2))
    hits = top(queries, documents, 3, pairs)
    assert hits.documents[[0, 2]].tolist() == [[-1] * 3] * 2
    assert hits.scores[0].tolist() == [-np.inf] * 3
    assert hits.documents[1].tolist() == brute_force(queries, documents, 3)[0][1]


def test_blocked_pairs_in_numbers_are_never_found(form):
    rng = np.random.default_rng(12)
    queries, documents = unit(rng, 40, 16), unit(rng, 1000, 16)
    excluded, pairs = some_pairs(rng, 40, 1000, 20_000)
    assert same(top(queries, documents, 30, pairs), brute_force(queries, documents, 30, excluded))


def test_queries_that_are_many_go_over_the_documents_in_turns(form, monkeypatch):
    monkeypatch.setattr(search, "TILE", 4)
    rng = np.random.default_rng(13)
    queries, documents = unit(rng, 50, 16), unit(rng, 100, 16)
    steps: list[int] = []
    index = ExactIndex(Vectors.of(documents), memory=4)
    hits = index.top(Request(Vectors.of(queries), 3, Pairs.empty()), steps.append)
    assert same(hits, brute_force(queries, documents, 3))
    assert sum(steps) == 50


def test_queries_whose_best_documents_lie_together_are_searched_again(form, monkeypatch):
    """The first documents are no sample of all: they hold all of the best, and a guess from them is wrong."""
    monkeypatch.setattr(coded, "RUN", 2000)
    monkeypatch.setattr(coded, "CHUNK", 128)
    monkeypatch.setattr(coded, "TILE", 64)
    rng = np.random.default_rng(21)
    queries, documents = unit(rng, 30, 16), unit(rng, 2000, 16)
    near = queries[0] + 0.05 * unit(rng, 128, 16)
    documents[:128] = near / np.linalg.norm(near, axis=1, keepdims=True)
    search_again: list[tuple[bool, int]] = []
    scan = ExactIndex._scan

    def spied(self, requests, form, optimistic):
        search_again.append((optimistic, len(requests[0])))
        return scan(self, requests, form, optimistic)

    monkeypatch.setattr(ExactIndex, "_scan", spied)
    assert same(top(queries, documents, 40), brute_force(queries, documents, 40))
    assert search_again[0] == (True, 30) and search_again[1][0] is False and 1 <= search_again[1][1] < 30


def test_a_crowd_below_a_ceiling_is_told_apart(form, monkeypatch):
    """More score about the ceiling than there is room for: eight bits cannot tell which are below."""
    monkeypatch.setattr("minerkit.search.scan.SLOTS_BELOW_CEILING", 20)
    rng = np.random.default_rng(22)
    queries, documents = unit(rng, 6, 48, "float32"), unit(rng, 900, 48, "float32")
    documents[:500] = queries[0] + 0.0005 * unit(rng, 500, 48, "float32") * np.sqrt(48)
    documents = documents.astype("float16")
    queries = queries.astype("float16")
    exact = np.round(queries.astype(np.float64) @ documents.astype(np.float64).T, 6)
    ceilings = np.median(exact[:, :500], axis=1)
    found = top(queries, documents, 5, ceilings=ceilings)
    assert same(found, brute_force(queries, documents, 5, ceilings=ceilings))


def test_an_index_is_searched_again_and_again(form):
    rng = np.random.default_rng(14)
    documents = unit(rng, 900, 16)
    index = ExactIndex(Vectors.of(documents), memory=8)
    for k in (3, 200, 1):
        queries = unit(rng, 20, 16)
        found = index.top(Request(Vectors.of(queries), k, Pairs.empty()))
        assert same(found, brute_force(queries, documents, k))


def test_codes_that_were_let_go_are_made_again(form):
    rng = np.random.default_rng(23)
    queries, documents = unit(rng, 20, 24), unit(rng, 300, 24)
    index, asked = ExactIndex(Vectors.of(documents)), Request(Vectors.of(queries), 5, Pairs.empty())
    index.prepare()
    index.drop_codes()
    assert not index._quantised
    sure = ScanFormat("float32", "cpu")
    assert same(
        index.search_again(asked, ScanFormat(form, "cpu"), optimistic=False),
        brute_force(queries, documents, 5),
    )
    assert list(index._quantised) == [] if form == "float32" else list(index._quantised) == [sure]
    assert same(index.top(asked), brute_force(queries, documents, 5))


def test_codes_that_exceed_the_memory_lie_on_disk(monkeypatch):
    documents = unit(np.random.default_rng(15), 300, 16)
    codes = coded.QuantisedDocuments.shuffled(Vectors.of(documents), ScanFormat("int8", "cpu"), 100)
    assert codes._file is not None and not codes._held and not codes.held
    assert sum(len(chunk.matrix) for chunk in codes.chunks()) == 300


def test_documents_in_float32_are_read_again_and_not_kept():
    rows = unit(np.random.default_rng(15), 300, 24)
    codes = coded.QuantisedDocuments.shuffled(Vectors.of(rows), ScanFormat("int8", "cpu"), 1 << 20)
    plain = codes.in_float32()
    assert codes.held and not plain.held and not plain._held
    found = np.concatenate([chunk.matrix.numpy().copy() for chunk in plain.chunks()])
    assert np.array_equal(found, rows[plain.order].astype(np.float32))
    assert plain.longest == codes.longest and plain.scale == 1


@given(
    seed=st.integers(0, 1000),
    k=st.integers(1, 30),
    few=st.integers(1, 12),
    memory=st.sampled_from([8, 1 << 30]),
)
@settings(max_examples=25)
def test_several_requests_are_answered_by_one_scan(seed, k, few, memory):
    rng = np.random.default_rng(seed)
    queries, documents = unit(rng, 40, 24), unit(rng, 300, 24)
    excluded, pairs = some_pairs(rng, 40, 300, 60)
    ceilings = rng.uniform(-0.2, 0.6, 40)
    asked = Vectors.of(queries)
    index = ExactIndex(Vectors.of(documents), memory=memory)
    found = index.search(Request(asked, k, Pairs.empty()), Request(asked, few, pairs, ceilings))
    rows = np.flatnonzero(rng.random(40) < 0.3)
    assert same(found[0].top(np.arange(40)), brute_force(queries, documents, k))
    best, scores = brute_force(queries, documents, few, excluded, ceilings)
    assert same(found[1].top(rows), ([best[row] for row in rows], [scores[row] for row in rows]))


def test_codes_are_the_same_from_disk_and_from_memory(form, monkeypatch):
    monkeypatch.setattr(coded, "CHUNK", 64)
    monkeypatch.setattr(coded, "TILE", 10)
    documents = Vectors.of(unit(np.random.default_rng(16), 300, 16))
    kept, spooled = (
        coded.QuantisedDocuments.shuffled(documents, ScanFormat(form, "cpu"), room) for room in (1 << 20, 1)
    )
    for one, other in zip(kept.chunks(), spooled.chunks(), strict=True):
        assert torch.equal(one.matrix, other.matrix)
        assert one.scales.tolist() == other.scales.tolist()


def test_every_document_is_in_one_chunk_and_one_tile(monkeypatch):
    monkeypatch.setattr(coded, "CHUNK", 64)
    monkeypatch.setattr(coded, "TILE", 10)
    rows = np.random.default_rng(17).permutation(300)
    documents = Vectors(unit(np.random.default_rng(18), 300, 16), rows)
    codes = coded.QuantisedDocuments.shuffled(documents, ScanFormat("float32", "cpu"), 1)
    tiles = [tile for chunk in codes.chunks() for tile in chunk.tiles()]
    assert [number for number, *_ in tiles] == list(range(len(tiles)))
    starts = [start for _, start, *_ in tiles]
    sizes = [len(matrix) for _, _, matrix, _ in tiles]
    assert starts == [0, *np.cumsum(sizes)[:-1]] and sum(sizes) == 300
    assert sorted(codes.order.tolist()) == list(range(300))
    assert codes.order[codes.column].tolist() == list(range(300))


def test_no_queries_find_nothing(form):
    documents = unit(np.random.default_rng(19), 30, 16)
    assert top(documents[:0], documents, 5).documents.shape == (0, 5)


def test_no_documents_are_not_found(form):
    queries = unit(np.random.default_rng(20), 4, 16)
    assert top(queries, queries[:0], 5).documents.shape == (4, 0)


@given(seed=st.integers(0, 1000))
def test_pairs_of_some_queries_are_renumbered(seed):
    rng = np.random.default_rng(seed)
    queries, documents = rng.integers(0, 8, 30), rng.integers(0, 100, 30)
    rows = np.flatnonzero(rng.random(8) < 0.5)
    found = Pairs.of(queries, documents).subset(rows)
    expected = sorted((list(rows).index(q), d) for q, d in zip(queries, documents, strict=True) if q in rows)
    assert list(zip(found.queries.tolist(), found.documents.tolist(), strict=True)) == expected


def test_pairs_are_added():
    found = Pairs.of(np.array([3, 1]), np.array([0, 5])) + Pairs.of(np.array([1]), np.array([2]))
    assert (found.queries.tolist(), found.documents.tolist()) == ([1, 1, 3], [2, 5, 0])
