import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from minerkit.recipe.recipe import Mine
from tests.mining.test_candidates import NOTHING, split_queries, world


def test_pairs_of_other_splits_are_left_out():
    queries, qrels, _ = world(1, 3, 5)
    pairs = [("q002", "d004", "x"), ("q001", "d000", "y"), ("q001", "d777", "z"), ("q999", "d000", "w")]
    excluded = pl.DataFrame(pairs, schema=NOTHING.schema, orient="row")
    made = split_queries(
        queries.query_ids, queries.queries, queries.doc_ids, queries.index.documents, qrels, excluded
    )
    assert made.excluded.select("query_id", "doc_id", "reason").rows() == [(1, 0, "y"), (2, 4, "x")]


def test_every_query_wants_its_negatives():
    queries, qrels, _ = world(2, 4, 9)
    vectors = queries.queries, queries.index.documents
    made = split_queries(
        queries.query_ids, vectors[0], queries.doc_ids, vectors[1], qrels, rules=Mine(negatives=3)
    )
    assert made.wanted.tolist() == [3] * 4 and made.window is None


def test_the_window_makes_room_for_the_positives_of_any_query():
    queries, qrels, _ = world(2, 4, 9)
    rules = Mine.model_validate({"range_max": 7, "shortfall": "keep"})
    vectors = queries.queries, queries.index.documents
    made = split_queries(queries.query_ids, vectors[0], queries.doc_ids, vectors[1], qrels, rules=rules)
    assert made.window == 7 + qrels.group_by("query_id").len()["len"].max()


@given(seed=st.integers(0, 500), chosen=st.sets(st.integers(0, 11)))
def test_a_subset_keeps_the_pairs_of_its_queries(seed, chosen):
    queries, qrels, _ = world(seed, 12, 20)
    rows = np.array(sorted(chosen), np.int64)
    part = queries.subset(rows)
    own = qrels.filter(pl.col("query_id").is_in([f"q{row:03}" for row in rows]))
    assert (
        part.to_ids(part.judged).select("query_id", "doc_id").rows()
        == own.select("query_id", "doc_id").rows()
    )
    assert part.query_ids.to_list() == [f"q{row:03}" for row in rows]
    assert len(part.queries) == len(part.wanted) == len(rows)
