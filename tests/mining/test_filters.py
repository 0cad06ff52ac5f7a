import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minerkit.mining.filters import filter_false_negatives, rank_window, round_trip, thresholds
from minerkit.recipe.recipe import Mine

NO_EXCLUSIONS = pl.DataFrame(schema={"query_id": pl.String, "doc_id": pl.String, "reason": pl.String})


def candidates(*rows: tuple) -> pl.DataFrame:
    """Rows of (query, document, relevance, rank, score), best first within each query."""
    frame = pl.DataFrame(rows, schema=["query_id", "doc_id", "relevance", "rank", "score"], orient="row")
    return frame.with_columns(
        pl.col("relevance", "rank").cast(pl.Int32),
        pl.col("score").cast(pl.Float32),
        source=pl.lit("dense"),
        rerank_score=pl.lit(None, pl.Float32),
    )


def reasons(frame: pl.DataFrame, excluded: pl.DataFrame = NO_EXCLUSIONS, **rules) -> dict[str, str | None]:
    mine = Mine.model_validate({"relative_margin": None, **rules})
    return dict(filter_false_negatives(frame, excluded, mine).select("doc_id", "reason").rows())


ONE_QUERY = candidates(
    ("q", "a", 0, 1, 0.9),
    ("q", "p", 1, 2, 0.8),
    ("q", "b", 0, 2, 0.8),
    ("q", "c", 0, 3, 0.76),
    ("q", "d", 0, 4, 0.3),
)


def test_without_rules_everything_is_eligible():
    assert set(reasons(ONE_QUERY).values()) == {None}


def test_absolute_margin_accepts_scores_up_to_the_positive_minus_the_margin():
    found = reasons(ONE_QUERY, absolute_margin=0.0)
    assert found == {"a": "absolute_margin", "b": None, "c": None, "d": None}


def test_relative_margin_is_a_share_of_the_positives_score():
    found = reasons(ONE_QUERY, relative_margin=0.05)
    assert found == {"a": "relative_margin", "b": "relative_margin", "c": None, "d": None}


def test_relative_margin_lowers_the_threshold_for_negative_scores_too():
    frame = candidates(("q", "p", 1, 1, -0.2), ("q", "a", 0, 1, -0.205), ("q", "b", 0, 2, -0.25))
    assert reasons(frame, relative_margin=0.05) == {"a": "relative_margin", "b": None}


def test_margins_are_measured_from_the_lowest_positive():
    frame = candidates(
        ("q", "p", 1, 1, 0.9), ("q", "a", 0, 1, 0.5), ("q", "r", 1, 2, 0.4), ("q", "b", 0, 2, 0.3)
    )
    assert reasons(frame, absolute_margin=0.0) == {"a": "absolute_margin", "b": None}


def test_max_and_min_score_bound_the_score():
    assert reasons(ONE_QUERY, max_score=0.8, min_score=0.5) == {
        "a": "max_score",
        "b": None,
        "c": None,
        "d": "min_score",
    }


def test_exclusions_come_first():
    excluded = pl.DataFrame({"query_id": ["q"], "doc_id": ["a"], "reason": ["near_duplicate"]})
    assert reasons(ONE_QUERY, excluded, absolute_margin=0.0)["a"] == "near_duplicate"


def test_the_window_of_the_rank_range_has_room_for_the_positives():
    # Full ranking: a, p, b, c, d. For a range of 2 the window is 2 + 1, and p is in it.
    found = reasons(ONE_QUERY, range_max=2, negatives=1)
    assert found == {"a": None, "b": None, "c": "rank_range", "d": "rank_range"}


def test_a_candidate_without_rank_is_outside_the_range():
    frame = candidates(("q", "a", 0, 1, 0.9), ("q", "p", 1, None, 0.8), ("q", "z", 0, None, 0.1))
    assert reasons(frame, range_max=5)["z"] == "rank_range"


def test_the_window_has_room_for_the_largest_number_of_positives():
    positives = pl.DataFrame({"query_id": ["q", "r", "r", "r", "s"]})
    assert rank_window(Mine.model_validate({"range_max": 100}), positives) == 103
    assert rank_window(Mine.model_validate({"range_max": 100}), positives.clear()) == 100
    assert rank_window(Mine.model_validate({}), positives) is None


@given(pos=st.floats(-1, 1), margin=st.floats(0, 1))
def test_thresholds_are_the_same_for_arrays_and_expressions(pos, margin):
    rules = Mine.model_validate({"absolute_margin": margin, "relative_margin": margin, "max_score": 0.3})
    arrays = thresholds(np.array([pos]), rules)
    frame = pl.DataFrame({"pos": [pos]})
    for name, expression in thresholds(pl.col("pos"), rules).items():
        assert frame.select(expression).item() == pytest.approx(float(arrays[name][0]), abs=2e-9)
    assert arrays["relative_margin"][0] <= pos + 1e-9


def test_documents_judged_irrelevant_are_subject_to_exclusions_only():
    frame = ONE_QUERY.with_columns(
        source=pl.when(pl.col("doc_id").is_in(["a", "b"])).then(pl.lit("judged")).otherwise(pl.lit("dense"))
    )
    excluded = pl.DataFrame([("q", "b", "positive_text")], schema=NO_EXCLUSIONS.schema, orient="row")
    found = reasons(frame, excluded, relative_margin=0.05, negatives=1, range_max=1)
    assert found == {"a": None, "b": "positive_text", "c": "rank_range", "d": "rank_range"}


def test_round_trip_finds_queries_without_a_positive_in_the_first_ranks():
    frame = candidates(
        ("q1", "a", 1, 5, 0.8), ("q1", "b", 1, 2, 0.9), ("q2", "a", 1, 3, 0.8), ("q3", "a", 1, None, 0.1),
        ("q3", "b", 0, 1, 0.9),
    )  # fmt: skip
    assert sorted(round_trip(frame, 2)["query_id"]) == ["q2", "q3"]
    assert sorted(round_trip(frame, 3)["query_id"]) == ["q3"]
    assert round_trip(frame, None).is_empty()


def ten_queries(seed: int) -> pl.DataFrame:
    """Candidates of ten queries with one to three positives each, in the order of the artefact."""
    rng = np.random.default_rng(seed)
    rows = []
    for query in range(10):
        scores = sorted(np.round(rng.uniform(0, 1, 8), 1), reverse=True)
        relevant = np.sort(rng.choice(8, rng.integers(1, 4), replace=False))
        graded = [(score, int(index in relevant)) for index, score in enumerate(scores)]
        rank = 0
        for index, (score, relevance) in enumerate(sorted(graded, reverse=True)):
            rank += 1 - relevance
            rows.append((f"q{query}", f"d{index}", relevance, max(1, rank), score))
    return candidates(*rows)


@given(seed=st.integers(0, 1000), cuts=st.lists(st.integers(0, 10), max_size=4))
def test_shards_are_filtered_like_the_whole_split(seed, cuts):
    frame = ten_queries(seed)
    excluded = frame.filter(pl.col("relevance") == 0).gather_every(7).select("query_id", "doc_id")
    excluded = excluded.with_columns(reason=pl.lit("near_duplicate"))
    rules = Mine.model_validate({"range_max": 3, "negatives": 1, "relative_margin": 0.1})
    window = rank_window(rules, frame.filter(pl.col("relevance") > 0))
    whole = filter_false_negatives(frame, excluded, rules)
    bounds = [0, *sorted(cuts), 10]
    shards = [
        frame.filter(pl.col("query_id").is_in([f"q{query}" for query in range(start, end)]))
        for start, end in itertools.pairwise(bounds)
    ]
    filtered = [filter_false_negatives(shard, excluded, rules, window) for shard in shards]
    assert pl.concat(filtered).equals(whole)


def test_a_shard_is_filtered_with_the_window_of_its_split():
    # Full ranking: a, p, b, c, d. Another query has three positives: the window of a range of 2 is 5.
    rules = Mine.model_validate({"relative_margin": None, "range_max": 2, "negatives": 1})
    filtered = filter_false_negatives(ONE_QUERY, NO_EXCLUSIONS, rules, 5)
    assert filtered["reason"].to_list() == [None] * 4
