from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from minerkit.embeddings.vectors import Vectors
from minerkit.mining.requests import SearchRequests
from minerkit.mining.split_queries import SplitQueries
from minerkit.recipe.recipe import Mine
from minerkit.search import ExactIndex


def made(rules: dict, wanted: list[int]) -> tuple[SplitQueries, SearchRequests]:
    """Three queries along the first axes, and documents that score 0.8, 0.6 and 0 with one of them."""
    documents = np.array([[0.8, 0.6, 0], [0.6, 0, 0.8], [0, 0.8, 0.6], [0, 0, 1]], np.float32)
    pairs = [("a", "d0", 1), ("a", "d1", 1), ("b", "d2", 1), ("c", "d3", 1), ("c", "d1", 0)]
    qrels = pl.DataFrame(pairs, schema=["query_id", "doc_id", "relevance"], orient="row")
    excluded = pl.DataFrame({"query_id": ["b"], "doc_id": ["d0"], "reason": ["near_duplicate"]})
    spec = Mine.model_validate({"relative_margin": 0.5, "keep": 3, **rules})
    queries = SplitQueries.of(
        pl.Series(["a", "b", "c"]),
        Vectors.of(np.eye(3, dtype=np.float32)),
        pl.Series(["d0", "d1", "d2", "d3"]),
        ExactIndex(Vectors.of(documents)),
        qrels,
        excluded,
        spec,
    )
    queries = replace(queries, wanted=np.array(wanted))
    return queries, SearchRequests.of(queries, spec)


def requests(rules: dict, wanted: list[int]) -> SearchRequests:
    return made(rules, wanted)[1]


def test_positives_are_scored_and_left_out_of_the_ranking():
    found = requests({}, [1, 1, 1])
    assert found.positives["score"].to_list() == pytest.approx([0.8, 0.6, 0.8, 1.0])
    assert found.best.k == 3 and found.best.ceilings is None
    assert list(zip(found.best.excluded.queries, found.best.excluded.documents, strict=True)) == [
        (0, 0), (0, 1), (1, 2), (2, 3),
    ]  # fmt: skip


def test_a_ceiling_is_the_lowest_threshold_below_the_worst_positive():
    assert requests({}, [1, 1, 1]).below.ceilings.tolist() == pytest.approx([0.3, 0.4, 0.5])
    capped = requests({"max_score": 0.35}, [1, 1, 1])
    assert capped.below.ceilings.tolist() == pytest.approx([0.3, 0.35, 0.35])


def test_what_is_excluded_is_not_looked_for_below_the_ceilings():
    below = requests({}, [1, 1, 1]).below
    assert (1, 0) in set(zip(below.excluded.queries, below.excluded.documents, strict=True))


def test_as_many_are_looked_for_as_most_queries_want():
    found = requests({}, [5, 7, 30])
    assert found.below.k == 8 and found.sizes.tolist() == [8, 8, 32]
    assert requests({}, [0, 0, 3]).below.k == 1


@pytest.mark.parametrize(
    ("rules", "fills"),
    [
        ({}, True),
        ({"range_max": 5, "shortfall": "keep"}, False),
        ({"range_max": 5, "shortfall": "backfill"}, True),
    ],
)
def test_within_a_range_nothing_is_looked_for_below_unless_it_fills_up(rules, fills):
    queries, found = made(rules, [1, 1, 1])
    assert found.fills is fills and len(found.every) == 1 + fills
    assert queries.window == (7 if rules else None)  # room for the two positives of the first query
