import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from minerkit.recipe.recipe import Mine
from tests.mining.test_candidates import NO_EXCLUSIONS, random_split, with_pairs


def test_pairs_of_other_queries_or_documents_are_left_out():
    queries, qrels, _ = random_split(1, 3, 5)
    pairs = [("q002", "d004", "x"), ("q001", "d000", "y"), ("q001", "d777", "z"), ("q999", "d000", "w")]
    excluded = pl.DataFrame(pairs, schema=NO_EXCLUSIONS.schema, orient="row")
    split = with_pairs(queries, qrels, excluded)
    assert split.excluded.select("query_id", "doc_id", "reason").rows() == [(1, 0, "y"), (2, 4, "x")]


def test_every_query_needs_candidates_for_its_negatives():
    queries, qrels, _ = random_split(2, 4, 9)
    split = with_pairs(queries, qrels, rules=Mine(negatives=3))
    assert split.needed.tolist() == [3] * 4 and split.window is None


def test_the_window_makes_room_for_the_positives_of_any_query():
    queries, qrels, _ = random_split(2, 4, 9)
    rules = Mine.model_validate({"range_max": 7, "shortfall": "keep"})
    assert with_pairs(queries, qrels, rules=rules).window == 7 + qrels.group_by("query_id").len()["len"].max()


@given(seed=st.integers(0, 500), chosen=st.sets(st.integers(0, 11)))
def test_a_subset_keeps_the_pairs_of_its_queries(seed, chosen):
    queries, qrels, _ = random_split(seed, 12, 20)
    positions = np.array(sorted(chosen), np.int64)
    subset = queries.subset(positions)
    query_ids = [f"q{position:03}" for position in positions]
    expected = qrels.filter(pl.col("query_id").is_in(query_ids)).select("query_id", "doc_id")
    assert subset.to_ids(subset.qrels).select("query_id", "doc_id").rows() == expected.rows()
    assert subset.query_ids.to_list() == query_ids
    assert len(subset.query_vectors) == len(subset.needed) == len(positions)
