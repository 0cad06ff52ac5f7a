"""Histograms and yields: what is counted, in which bar, and that it adds up."""

import hypothesis.strategies as st
import polars as pl
from hypothesis import given

from minerkit.reports.stats.distributions import BARS, count_verdicts, gaps, histograms, yields
from minerkit.storage.schema import fit_artefact


def frames(positives, negatives, judged=(), queries=2, rejected=(), dropped=()) -> dict[str, pl.DataFrame]:
    """Make a run's frames by hand: positives (query, doc, score), negatives (query, doc, score, rank)."""

    def fitted(name, rows, columns):
        return fit_artefact(name, pl.DataFrame(list(rows), schema=columns, orient="row"))

    ids = [f"q{n}" for n in range(1, queries + 1)]
    found = [(q, d, 1, "dense", 1, s) for q, d, s in positives]
    hit = {"query_id": pl.String, "doc_id": pl.String, "relevance": pl.Int32, "source": pl.String,
           "rank": pl.Int32, "score": pl.Float32}  # fmt: skip
    taken = {name: kind for name, kind in hit.items() if name != "relevance"}
    easier = {(q, d) for q, d, _, reason in judged if reason is not None}
    drawn = fitted(
        "negatives",
        [(q, d, "dense", r, s, "backfill" if (q, d) in easier else "mined") for q, d, s, r in negatives],
        {**taken, "fill": pl.String},
    )
    refused = fitted(
        "judged",
        [(q, d, "dense", 1, s, 0.9, reason) for q, d, s, reason in judged],
        {**taken, "pos_score": pl.Float32, "reason": pl.String},
    )
    return {
        "queries": fitted(
            "queries", [(q, "how long is it", "train") for q in ids], ["query_id", "text", "split"]
        ),
        "corpus": fitted("corpus", [(f"d{n}", "x" * 10 * n) for n in range(1, 6)], ["doc_id", "text"]),
        "qrels": fitted("qrels", [(q, d, 1) for q, d, _ in positives], ["query_id", "doc_id", "relevance"]),
        "positives": fitted("candidates", found, hit),
        "negatives": drawn,
        "verdicts": count_verdicts(refused, drawn, "train"),
        "rejected": fitted(
            "rejected",
            [(stage, reason, "f:1", "") for stage, reason in rejected],
            {name: pl.String for name in ("stage", "reason", "source", "text")},
        ),
        "accounts": pl.DataFrame({"query_id": ids, "dropped": [q in dropped for q in ids]}),
        "train": pl.DataFrame({"label": [0] * len(negatives)}),
        "dev": pl.DataFrame({"label": []}),
    }


def spread(rows):
    return histograms(rows, gaps(rows["positives"], rows["negatives"]), rows["corpus"].lazy())


def test_scores_of_both_series_share_one_scale():
    found = spread(
        frames([("q1", "d1", 0.9), ("q2", "d2", 0.3)], [("q1", "d2", 0.3, 1), ("q2", "d3", -0.3, 2)])
    )
    scores = found["scores"]
    assert scores["step"] == 0.02
    assert scores["from"] == -0.3
    low = {
        name: [place for place, count in enumerate(scores[name]) if count]
        for name in ("positives", "negatives")
    }
    # -0.3, 0.3 and 0.9 are edges: each opens its own bar, in spite of float32.
    assert low == {"positives": [30, 60], "negatives": [0, 30]}


def test_a_gap_is_the_lowest_positive_minus_the_hardest_negative():
    found = spread(
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
    lengths = spread(rows)["characters"]["documents"]
    assert (lengths["step"], lengths["positives"][30], lengths["beyond"]) == (
        1,
        300,
        {"positives": 0, "negatives": 1},
    )
    assert lengths["median"] == {"positives": 30, "negatives": 5000}


def test_a_run_without_negatives_has_empty_histograms():
    found = spread(frames([("q1", "d1", 0.5)], []))
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
def test_every_score_has_a_bar(scores):
    found = spread(frames([("q1", "d1", score) for score in scores], [("q1", "d2", 0.25, 1)]))["scores"]
    assert sum(found["positives"]) == len(scores)
    assert sum(found["negatives"]) == 1
    assert len(found["positives"]) == len(found["negatives"]) <= 2.5 * BARS + 2


def test_yields_add_up():
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
    found = yields(rows, {"rows": 5, "bad": 1, "entries": 4, "documents": 0})
    assert found["unreadable"] == {"not JSON": 1}
    assert found["readable_rows"] == 4
    assert found["unusable"] == {"duplicate pair": 2}
    assert found["pairs_read"] - sum(found["unusable"].values()) == found["pairs"] == 2
    assert (found["queries"], found["kept_queries"], found["dropped_queries"]) == (2, {"train": 1}, 1)
    assert (found["mined"], found["backfilled"], found["unused"]) == (1, 0, 1)
    assert found["refused"] == {"relative_margin": 2, "rank_range": 1}
    assert found["candidates"] == found["mined"] + found["unused"] + sum(found["refused"].values())
    assert (found["positives"], found["negatives"]) == (1, 1)


def test_a_refused_candidate_that_fills_up_a_query_counts_as_backfilled():
    rows = frames([("q1", "d1", 0.9)], [("q1", "d2", 0.3, 1)], judged=[("q1", "d2", 0.3, "rank_range")])
    found = yields(rows, {"rows": 1, "bad": 0, "entries": 1, "documents": 0})
    assert (found["mined"], found["backfilled"], found["refused"]) == (0, 1, {})


def test_verdicts_count_each_reason_of_a_split_by_whether_the_document_was_taken():
    judged = pl.DataFrame(
        [("q1", "d1", None), ("q1", "d2", None), ("q1", "d3", "min_score"), ("q2", "d1", "min_score"),
         ("q2", "d2", "min_score")],
        schema={"query_id": pl.String, "doc_id": pl.String, "reason": pl.String},
        orient="row",
    )  # fmt: skip
    negatives = pl.DataFrame(
        {"query_id": ["q1", "q2"], "doc_id": ["d2", "d1"], "fill": ["mined", "backfill"]}
    )
    assert count_verdicts(judged, negatives, "dev").rows() == [
        ("dev", None, False, 1),
        ("dev", None, True, 1),
        ("dev", "min_score", False, 2),
        ("dev", "min_score", True, 1),
    ]


def test_yields_of_verdicts_in_parts_are_those_of_the_whole():
    refused = [("q1", "d2", 0.3, None), ("q1", "d3", 0.2, "min_score"), ("q2", "d3", 0.2, "min_score")]
    rows = frames([("q1", "d1", 0.9), ("q2", "d2", 0.8)], [("q1", "d2", 0.3, 1)], judged=refused)
    facts = {"rows": 1, "bad": 0, "entries": 1, "documents": 0}
    parts = [
        frames([], [("q1", "d2", 0.3, 1)][:size], judged=part)["verdicts"]
        for part, size in ((refused[:2], 1), (refused[2:], 0))
    ]
    assert yields({**rows, "verdicts": pl.concat(parts)}, facts) == yields(rows, facts)


def test_a_query_that_the_round_trip_drops_is_not_kept():
    rows = frames([("q1", "d1", 0.9), ("q2", "d2", 0.8), ("q3", "d3", 0.1)], [], queries=3, dropped=["q2"])
    rows["accounts"] = rows["accounts"].filter(pl.col("query_id") != "q3")
    found = yields(rows, {"rows": 3, "bad": 0, "entries": 3, "documents": 0})
    assert (found["queries"], found["kept_queries"], found["dropped_queries"]) == (3, {"train": 1}, 2)
    assert found["positives"] == 1
