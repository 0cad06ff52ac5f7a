"""Histograms and yields: which bin a value counts in, and whether the counts add up."""

import hypothesis.strategies as st
import polars as pl
from hypothesis import given

from minerkit.reports.stats.distributions import (
    MIN_BINS,
    compute_yield,
    count_verdicts,
    histograms,
    score_gaps,
)
from minerkit.storage.schema import fit_artefact


def frames(positives, negatives, judged=(), queries=2, rejected=(), dropped=()) -> dict[str, pl.DataFrame]:
    """Build a run's frames: positives (query, doc, score), negatives (query, doc, score, rank)."""

    def fitted(name, rows, columns):
        return fit_artefact(name, pl.DataFrame(list(rows), schema=columns, orient="row"))

    ids = [f"q{n}" for n in range(1, queries + 1)]
    candidates = [(q, d, 1, "dense", 1, s) for q, d, s in positives]
    columns = {"query_id": pl.String, "doc_id": pl.String, "relevance": pl.Int32, "source": pl.String,
           "rank": pl.Int32, "score": pl.Float32}  # fmt: skip
    scored = {name: dtype for name, dtype in columns.items() if name != "relevance"}
    refused = {(q, d) for q, d, _, reason in judged if reason is not None}
    drawn = fitted(
        "negatives",
        [(q, d, "dense", r, s, "backfill" if (q, d) in refused else "mined") for q, d, s, r in negatives],
        {**scored, "fill": pl.String},
    )
    filtered = fitted(
        "judged",
        [(q, d, "dense", 1, s, 0.9, reason) for q, d, s, reason in judged],
        {**scored, "pos_score": pl.Float32, "reason": pl.String},
    )
    return {
        "queries": fitted(
            "queries", [(q, "how long is it", "train") for q in ids], ["query_id", "text", "split"]
        ),
        "corpus": fitted("corpus", [(f"d{n}", "x" * 10 * n) for n in range(1, 6)], ["doc_id", "text"]),
        "qrels": fitted("qrels", [(q, d, 1) for q, d, _ in positives], ["query_id", "doc_id", "relevance"]),
        "positives": fitted("candidates", candidates, columns),
        "negatives": drawn,
        "verdicts": count_verdicts(filtered, drawn, "train"),
        "rejected": fitted(
            "rejected",
            [(stage, reason, "f:1", "") for stage, reason in rejected],
            {name: pl.String for name in ("stage", "reason", "source", "text")},
        ),
        "accounts": pl.DataFrame({"query_id": ids, "dropped": [q in dropped for q in ids]}),
        "train": pl.DataFrame({"label": [0] * len(negatives)}),
        "dev": pl.DataFrame({"label": []}),
    }


def histograms_of(rows):
    return histograms(rows, score_gaps(rows["positives"], rows["negatives"]), rows["corpus"].lazy())


def test_scores_of_both_series_share_one_scale():
    found = histograms_of(
        frames([("q1", "d1", 0.9), ("q2", "d2", 0.3)], [("q1", "d2", 0.3, 1), ("q2", "d3", -0.3, 2)])
    )
    scores = found["scores"]
    assert scores["step"] == 0.02
    assert scores["from"] == -0.3
    filled = {
        name: [index for index, count in enumerate(scores[name]) if count]
        for name in ("positives", "negatives")
    }
    # -0.3, 0.3 and 0.9 are edges: each opens its own bin, in spite of float32.
    assert filled == {"positives": [30, 60], "negatives": [0, 30]}


def test_a_gap_is_the_lowest_positive_minus_the_hardest_negative():
    found = histograms_of(
        frames(
            [("q1", "d1", 0.9), ("q1", "d4", 0.5), ("q2", "d2", 0.4)],
            [("q1", "d2", 0.3, 1), ("q1", "d3", 0.1, 4), ("q2", "d3", 0.4, None)],
        )
    )
    assert found["gaps"]["median"]["queries"] in (0.0, 0.2)
    assert sum(found["gaps"]["queries"]) == 2
    assert found["gaps"]["not_positive"] == 1
    assert found["ranks"] == {"1": 1, "2": 0, "3": 0, "4": 1, "unranked": 1}
    assert found["positives_per_query"] == {"1": 1, "2": 1}
    assert found["sources"] == [{"source": "dense", "fill": "mined", "negatives": 3}]


def test_lengths_above_the_last_edge_count_as_beyond():
    rows = frames([("q1", "d1", 0.9)] * 300, [("q1", "d2", 0.1, 1)])
    rows["corpus"] = pl.DataFrame({"doc_id": ["d1", "d2"], "text": ["x" * 30, "x" * 5000]})
    lengths = histograms_of(rows)["characters"]["documents"]
    assert (lengths["step"], lengths["positives"][30], lengths["beyond"]) == (
        1,
        300,
        {"positives": 0, "negatives": 1},
    )
    assert lengths["median"] == {"positives": 30, "negatives": 5000}


def test_a_run_without_negatives_has_empty_histograms():
    found = histograms_of(frames([("q1", "d1", 0.5)], []))
    assert found["gaps"] == {
        "from": 0.0,
        "step": 1.0,
        "queries": [],
        "median": {"queries": None},
        "not_positive": 0,
    }
    assert found["scores"]["negatives"] == [0]
    assert found["ranks"] == {"1": 0, "unranked": 0}


@given(st.lists(st.floats(-200, 200, width=32), min_size=1, max_size=60))
def test_every_score_counts_in_a_bin(scores):
    found = histograms_of(frames([("q1", "d1", score) for score in scores], [("q1", "d2", 0.25, 1)]))[
        "scores"
    ]
    assert sum(found["positives"]) == len(scores)
    assert sum(found["negatives"]) == 1
    assert len(found["positives"]) == len(found["negatives"]) <= 2.5 * MIN_BINS + 2


def test_counts_of_a_yield_add_up():
    rows = frames(
        [("q1", "d1", 0.9), ("q2", "d2", 0.8)],
        [("q1", "d2", 0.3, 1)],
        judged=[
            ("q1", "d2", 0.3, None),
            ("q1", "d3", 0.2, None),
            ("q1", "d4", 0.9, "relative_margin"),
            ("q2", "d4", 0.9, "relative_margin"),
            ("q2", "d5", 0.1, "rank_range"),
        ],
        rejected=[
            ("read", "not JSON"),
            ("clean", "duplicate pair"),
            ("clean", "duplicate pair"),
            ("mine", "only 0 of 1"),
        ],
        dropped=["q2"],
    )
    found = compute_yield(rows, {"rows": 5, "bad": 1, "entries": 4, "documents": 0})
    assert found["unreadable"] == {"not JSON": 1}
    assert found["readable_rows"] == 4
    assert found["unusable"] == {"duplicate pair": 2}
    assert found["pairs_read"] - sum(found["unusable"].values()) == found["pairs"] == 2
    assert (found["queries"], found["kept_queries"], found["dropped_queries"]) == (2, {"train": 1}, 1)
    assert (found["mined"], found["backfilled"], found["unused"]) == (1, 0, 1)
    assert found["refused"] == {"relative_margin": 2, "rank_range": 1}
    assert found["candidates"] == found["mined"] + found["unused"] + sum(found["refused"].values())
    assert (found["positives"], found["negatives"]) == (1, 1)


def test_a_refused_candidate_that_fills_a_query_counts_as_backfilled():
    rows = frames([("q1", "d1", 0.9)], [("q1", "d2", 0.3, 1)], judged=[("q1", "d2", 0.3, "rank_range")])
    found = compute_yield(rows, {"rows": 1, "bad": 0, "entries": 1, "documents": 0})
    assert (found["mined"], found["backfilled"], found["refused"]) == (0, 1, {})


def test_verdicts_count_each_reason_of_a_split_by_whether_the_document_was_taken():
    filtered = pl.DataFrame(
        [("q1", "d1", None), ("q1", "d2", None), ("q1", "d3", "min_score"), ("q2", "d1", "min_score"),
         ("q2", "d2", "min_score")],
        schema={"query_id": pl.String, "doc_id": pl.String, "reason": pl.String},
        orient="row",
    )  # fmt: skip
    negatives = pl.DataFrame(
        {"query_id": ["q1", "q2"], "doc_id": ["d2", "d1"], "fill": ["mined", "backfill"]}
    )
    assert count_verdicts(filtered, negatives, "dev").rows() == [
        ("dev", None, False, 1),
        ("dev", None, True, 1),
        ("dev", "min_score", False, 2),
        ("dev", "min_score", True, 1),
    ]


def test_verdicts_of_shards_give_the_yield_of_the_whole():
    filtered = [("q1", "d2", 0.3, None), ("q1", "d3", 0.2, "min_score"), ("q2", "d3", 0.2, "min_score")]
    rows = frames([("q1", "d1", 0.9), ("q2", "d2", 0.8)], [("q1", "d2", 0.3, 1)], judged=filtered)
    facts = {"rows": 1, "bad": 0, "entries": 1, "documents": 0}
    shards = [
        frames([], [("q1", "d2", 0.3, 1)][:size], judged=shard)["verdicts"]
        for shard, size in ((filtered[:2], 1), (filtered[2:], 0))
    ]
    assert compute_yield({**rows, "verdicts": pl.concat(shards)}, facts) == compute_yield(rows, facts)


def test_a_query_that_the_round_trip_drops_is_not_kept():
    rows = frames([("q1", "d1", 0.9), ("q2", "d2", 0.8), ("q3", "d3", 0.1)], [], queries=3, dropped=["q2"])
    rows["accounts"] = rows["accounts"].filter(pl.col("query_id") != "q3")
    found = compute_yield(rows, {"rows": 3, "bad": 0, "entries": 3, "documents": 0})
    assert (found["queries"], found["kept_queries"], found["dropped_queries"]) == (3, {"train": 1}, 2)
    assert found["positives"] == 1
