import numpy as np
import polars as pl
import pytest

from minerkit.embeddings.vectors import Vectors
from minerkit.mining.collection import Collection
from minerkit.mining.requests import Asked
from minerkit.recipe.recipe import Mine
from minerkit.search import Index

SHUT = {"query_id": [1], "doc_id": [0], "reason": ["near_duplicate"]}


@pytest.fixture
def collection() -> Collection:
    """Three queries along the first axes, and documents that score 0.8, 0.6 and 0 with one of them."""
    documents = np.array([[0.8, 0.6, 0], [0.6, 0, 0.8], [0, 0.8, 0.6], [0, 0, 1]], np.float32)
    ids = pl.Series(["a", "b", "c"]), pl.Series(["d0", "d1", "d2", "d3"])
    return Collection(ids[0], Vectors.of(np.eye(3, dtype=np.float32)), ids[1], Index(Vectors.of(documents)))


def asked(collection: Collection, rules: dict, wanted: list[int]) -> Asked:
    judged = pl.DataFrame({"query_id": [0, 0, 1, 2], "doc_id": [0, 1, 2, 3], "relevance": [1, 1, 1, 1]})
    none = pl.DataFrame({"query_id": [2], "doc_id": [1], "relevance": [0]})
    spec = Mine.model_validate({"relative_margin": 0.5, "keep": 3, **rules})
    return Asked.of(collection, pl.concat([judged, none]), pl.DataFrame(SHUT), spec, np.array(wanted))


def test_positives_are_scored_and_left_out_of_the_ranking(collection):
    found = asked(collection, {}, [1, 1, 1])
    assert found.positives["score"].to_list() == pytest.approx([0.8, 0.6, 0.8, 1.0])
    assert found.best.k == 3 and found.best.ceilings is None
    assert list(zip(found.best.blocked.queries, found.best.blocked.documents, strict=True)) == [
        (0, 0), (0, 1), (1, 2), (2, 3),
    ]  # fmt: skip


def test_a_ceiling_is_the_lowest_threshold_below_the_worst_positive(collection):
    assert asked(collection, {}, [1, 1, 1]).below.ceilings.tolist() == pytest.approx([0.3, 0.4, 0.5])
    capped = asked(collection, {"max_score": 0.35}, [1, 1, 1])
    assert capped.below.ceilings.tolist() == pytest.approx([0.3, 0.35, 0.35])


def test_what_is_shut_out_is_not_looked_for_below_the_ceilings(collection):
    below = asked(collection, {}, [1, 1, 1]).below
    assert (1, 0) in set(zip(below.blocked.queries, below.blocked.documents, strict=True))


def test_as_many_are_looked_for_as_most_queries_want(collection):
    found = asked(collection, {}, [5, 7, 30])
    assert found.below.k == 8 and found.sizes.tolist() == [8, 8, 32]
    assert asked(collection, {}, [0, 0, 3]).below.k == 1


@pytest.mark.parametrize(
    ("rules", "fills"),
    [
        ({}, True),
        ({"range_max": 5, "shortfall": "keep"}, False),
        ({"range_max": 5, "shortfall": "backfill"}, True),
    ],
)
def test_within_a_range_nothing_is_looked_for_below_unless_it_fills_up(collection, rules, fills):
    found = asked(collection, rules, [1, 1, 1])
    assert found.fills is fills and len(found.requests) == 1 + fills
    assert found.places == (7 if rules else None)  # room for the two positives of the first query
