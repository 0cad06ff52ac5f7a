import polars as pl

from minerkit.corpus.qrels import binary_qrels, count_positives
from minerkit.recipe.recipe import Recipe


def test_a_grade_between_yes_and_no_is_left_out():
    recipe = Recipe.model_validate({"name": "t", "source": {"path": "x", "min_relevance": 2}})
    qrels = pl.DataFrame({"relevance": [0, 1, 2, 3]})
    assert binary_qrels(qrels, recipe)["relevance"].to_list() == [0, 2, 3]


def test_positives_are_counted_for_every_query_in_its_order():
    qrels = pl.DataFrame({"query_id": ["b", "a", "b", "a", "x"], "relevance": [1, 0, 2, 0, 1]})
    found = count_positives(pl.Series("query_id", ["c", "b", "a"]), qrels)
    assert found.rows() == [("c", 0), ("b", 2), ("a", 0)]
    assert found["positives"].dtype == pl.Int64
