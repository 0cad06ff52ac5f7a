import numpy as np
import pytest

from minerkit.embeddings.vectors import Vectors
from minerkit.search import ExactIndex, Pairs, Request
from minerkit.search import ivf as lists
from minerkit.search.ivf import InvertedLists, cluster_documents
from minerkit.search.plan import recall


def topics(seed: int, n: int, dim: int = 48, count: int = 30) -> Vectors:
    """Unit vectors around some centres, which are the same for every seed."""
    centres = np.random.default_rng(0).standard_normal((count, dim))
    rng = np.random.default_rng(seed)
    rows = centres[rng.integers(0, count, n)] + rng.standard_normal((n, dim))
    return Vectors.of((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16))


@pytest.fixture(scope="module")
def index() -> ExactIndex:
    return ExactIndex(topics(1, 3000))


@pytest.fixture(scope="module")
def found(index):
    return cluster_documents(index.documents)


@pytest.fixture(scope="module")
def request_() -> Request:
    rng = np.random.default_rng(3)
    return Request(topics(2, 200), 10, Pairs.of(np.arange(200), rng.integers(0, 3000, 200)))


def test_every_document_is_in_the_list_of_its_nearest_centroid(index, found):
    documents = index.documents.take(0, 3000)
    scores = documents @ found.centroids.T
    best = scores[np.arange(3000), found.list_of]
    assert (scores.max(axis=1) - best < 0.01).all()  # rounding of the codes may decide
    assert np.allclose(np.linalg.norm(found.centroids, axis=1), 1, atol=1e-5)


def test_clusters_are_the_same_each_time(index, found):
    search_again = cluster_documents(index.documents)
    assert (search_again.list_of == found.list_of).all() and (search_again.centroids == found.centroids).all()


def test_with_all_lists_probed_the_result_is_exact(index, found, request_):
    hits, best = InvertedLists(index, found, len(found.centroids)).top(request_), index.top(request_)
    assert hits.documents.tolist() == best.documents.tolist()
    assert hits.scores.tolist() == best.scores.tolist()


def test_more_probes_find_more(index, found, request_):
    best = index.top(request_)
    shares = [recall(InvertedLists(index, found, probes).top(request_), best) for probes in (1, 8, 64)]
    assert 0 < shares[0] < shares[1] <= shares[2] <= 1
    assert shares[1] > 0.7


def test_blocked_documents_are_not_found(index, found, request_):
    free = InvertedLists(index, found, 64).top(Request(request_.queries, 10, Pairs.empty()))
    mask = Pairs.of(np.arange(200), free.documents[:, 0])
    hits = InvertedLists(index, found, 64).top(Request(request_.queries, 10, mask))
    assert not (hits.documents == free.documents[:, :1]).any()
    assert hits.documents[:, :9].tolist() == free.documents[:, 1:].tolist()


def test_the_result_does_not_depend_on_how_queries_go_together(index, found, request_, monkeypatch):
    whole = InvertedLists(index, found, 8).top(request_)
    monkeypatch.setattr(lists, "TILE", 17)
    parts = InvertedLists(index, found, 8).top(request_)
    assert parts.documents.tolist() == whole.documents.tolist()


def test_more_documents_than_a_query_has_room_for_are_no_error(request_):
    same = np.repeat(request_.queries.take(0, 1), 2000, axis=0).astype(np.float16)
    index = ExactIndex(Vectors.of(same))
    hits = InvertedLists(index, cluster_documents(index.documents), 50).top(
        Request(request_.queries, 5, Pairs.empty())
    )
    assert hits.documents.shape == (200, 5)
