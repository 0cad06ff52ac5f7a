from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from minerkit.embeddings.vectors import Vectors
from minerkit.mining.requests import SearchRequests
from minerkit.mining.split_queries import SplitQueries
from minerkit.recipe.recipe import Mine
from minerkit.search import ExactIndex


def split_and_requests(rules: dict, needed: list[int]) -> tuple[SplitQueries, SearchRequests]:
    """Three queries along the first axes, and documents that score 0.8, 0.6 and 0 with one of them."""
    documents = np.array([[0.8, 0.6, 0], [0.6, 0, 0.8], [0, 0.8, 0.6], [0, 0, 1]], np.float32)
    pairs = [("a", "d0", 1), ("a", "d1", 1), ("b", "d2", 1), ("c", "d3", 1), ("c", "d1", 0)]
    qrels = pl.DataFrame(pairs, schema=["query_id", "doc_id", "relevance"], orient="row")
    excluded = pl.DataFrame({"query_id": ["b"], "doc_id": ["d0"], "reason": ["near_duplicate"]})
    mine = Mine.model_validate({"relative_margin": 0.5, "keep": 3, **rules})
    queries = SplitQueries.of(
        pl.Series(["a", "b", "c"]),
        Vectors.of(np.eye(3, dtype=np.float32)),
        pl.Series(["d0", "d1", "d2", "d3"]),
        ExactIndex(Vectors.of(documents)),
        qrels,
        excluded,
        mine,
    )
    queries = replace(queries, needed=np.array(needed))
    return queries, SearchRequests.of(queries, mine)


def requests(rules: dict, needed: list[int]) -> SearchRequests:
    return split_and_requests(rules, needed)[1]


def test_positives_are_scored_and_left_out_of_the_ranking():
    found = requests({}, [1, 1, 1])
    assert found.positives["score"].to_list() == pytest.approx([0.8, 0.6, 0.8, 1.0])
    assert found.best.k == 3 and found.best.ceilings is None
    assert list(zip(found.best.excluded.queries, found.best.excluded.documents, strict=True)) == [
        (0, 0), (0, 1), (1, 2), (2, 3),
    ]  # fmt: skip


def test_a_ceiling_is_the_lowest_threshold_for_the_lowest_positive():
    assert requests({}, [1, 1, 1]).below_ceiling.ceilings.tolist() == pytest.approx([0.3, 0.4, 0.5])
    capped = requests({"max_score": 0.35}, [1, 1, 1])
    assert capped.below_ceiling.ceilings.tolist() == pytest.approx([0.3, 0.35, 0.35])


def test_excluded_pairs_are_not_searched_below_the_ceilings():
    excluded = requests({}, [1, 1, 1]).below_ceiling.excluded
    assert (1, 0) in set(zip(excluded.queries, excluded.documents, strict=True))


def test_the_request_below_the_ceilings_is_for_as_many_as_most_queries_need():
    found = requests({}, [5, 7, 30])
    assert found.below_ceiling.k == 8 and found.limits.tolist() == [8, 8, 32]
    assert requests({}, [0, 0, 3]).below_ceiling.k == 1


@pytest.mark.parametrize(
    ("rules", "searches_below"),
    [
        ({}, True),
        ({"range_max": 5, "shortfall": "keep"}, False),
        ({"range_max": 5, "shortfall": "backfill"}, True),
    ],
)
def test_with_a_rank_range_queries_are_searched_below_it_only_to_backfill(rules, searches_below):
    queries, found = split_and_requests(rules, [1, 1, 1])
    assert found.searches_below is searches_below and len(found.requests) == 1 + searches_below
    assert queries.window == (7 if rules else None)  # room for the two positives of the first query
