"""The statistics of a run, computed again in plain Python."""

import statistics

import polars as pl
import pytest

from minerkit.reports.stats.distributions import score_gaps
from minerkit.reports.stats.run_statistics import run_details, score_quantiles, split_statistics
from minerkit.storage.run_folder import load


@pytest.fixture(scope="module")
def run(sample_run):
    return load(sample_run)


@pytest.fixture(scope="module")
def stats(run):
    return run.read_json("stats.json")


def test_candidates_by_rule_add_up(stats, run):
    split_of = dict(run.read("queries.parquet").select("query_id", "split").rows())
    judged = run.read("judged.parquet").rows(named=True)
    for split, found in stats["rules"].items():
        reasons = [row["reason"] for row in judged if split_of[row["query_id"]] == split]
        assert found["candidates"] == len(reasons) == found["eligible"] + sum(found["refused"].values())
        assert found["refused"] == {reason: reasons.count(reason) for reason in set(reasons) - {None}}
        assert found["refused"] == stats["splits"][split]["skipped"]
        assert found["chosen"] == stats["splits"][split]["negatives"]


def test_documents_per_query_are_counted(stats, run):
    split_of = dict(run.read("queries.parquet").select("query_id", "split").rows())
    negatives = run.read("negatives.parquet")["query_id"].to_list()
    for split, found in stats["per_query"].items():
        counts = [negatives.count(query) for query, query_split in split_of.items() if query_split == split]
        assert (found["negatives"]["0%"], found["negatives"]["100%"]) == (min(counts), max(counts))
        assert found["negatives"]["mean"] == pytest.approx(statistics.fmean(counts), abs=1e-4)
        assert found["positives"]["mean"] == pytest.approx(
            stats["splits"][split]["positives"] / len(counts), abs=1e-4
        )


def test_texts_are_those_of_queries_and_corpus(stats, run):
    for name, file in (("queries", "queries"), ("documents", "corpus")):
        texts = run.read(f"{file}.parquet")["text"].to_list()
        found = stats["texts"][name]
        assert found["distinct"] == len(set(texts))
        lengths = [len(text) for text in texts]
        assert (found["characters"]["0%"], found["characters"]["100%"]) == (min(lengths), max(lengths))
        assert found["scripts"] == {"Latin": 1.0}


def test_subsets_have_the_rows_and_columns_of_their_files(stats, run):
    for name, found in stats["subsets"].items():
        frame = run.read(f"{name}.parquet")
        assert (found["size"], found["columns"]) == (len(frame), frame.columns)


def frames(**changed: pl.DataFrame) -> dict[str, pl.DataFrame]:
    return {
        "queries": pl.DataFrame(
            {"query_id": ["q1", "q2"], "text": ["What is it?", "who"], "split": ["train", "dev"]}
        ),
        "corpus": pl.DataFrame({"doc_id": ["d1", "d2", "d3"], "text": ["a", "b", "ａ"]}),
        "positives": pl.DataFrame(
            {"query_id": ["q1", "q2"], "doc_id": ["d1", "d2"], "relevance": [1, 1], "score": [0.9, 0.8]}
        ),
        "negatives": pl.DataFrame(
            {"query_id": ["q1", "q1", "q2"], "doc_id": ["d3", "d2", "d1"], "score": [0.7, 0.5, 0.1]}
        ),
        "qrels": pl.DataFrame({"query_id": ["q1", "q2"], "doc_id": ["d1", "d2"], "relevance": [1, 1]}),
        "pairs": pl.DataFrame({"query": ["What is it?"], "positive": ["a"]}),
        "verdicts": pl.DataFrame(
            [
                ("train", None, True, 2),
                ("train", None, False, 4),
                ("train", "min_score", True, 1),
                ("train", "min_score", False, 3),
                ("dev", "min_score", False, 5),
            ],
            schema={"split": str, "reason": str, "taken": bool, "documents": int},
            orient="row",
        ),
        "accounts": pl.DataFrame(
            {"query_id": ["q1", "q2"], "found": [2, 1], "wanted": [2, 2], "dropped": [False, False]}
        ),
        **changed,
    }


def details(**changed: pl.DataFrame):
    rows = frames(**changed)
    return run_details(rows, {name: rows[name].lazy() for name in ("corpus", "pairs")})


def test_a_text_in_both_splits_is_counted_after_normalisation():
    # Dev uses "b" and "a"; train uses "a", "b" and the full-width "ａ", which is the same text as "a".
    assert details()["overlap"] == {"queries": 0, "documents": 2}
    queries = pl.DataFrame({"query_id": ["q1", "q2"], "text": ["who", "ｗｈｏ"], "split": ["train", "dev"]})
    assert details(queries=queries)["overlap"]["queries"] == 1


def test_the_gap_is_between_the_lowest_positive_and_the_hardest_negative():
    rows = frames()
    found = score_quantiles(rows, score_gaps(rows["positives"], rows["negatives"]))["gap"]
    assert (found["0%"], found["100%"]) == (pytest.approx(0.2), pytest.approx(0.7))


def test_a_dropped_query_does_not_count_in_documents_per_query():
    accounts = frames()["accounts"].with_columns(dropped=pl.Series([False, True]))
    assert details(accounts=accounts)["per_query"]["dev"] == {"positives": {}, "negatives": {}}


def test_a_run_without_dev_has_one_split():
    queries = frames()["queries"].with_columns(split=pl.lit("train"))
    found = details(queries=queries)
    assert list(found["rules"]) == list(found["per_query"]) == ["train"]
    assert found["overlap"] == {"queries": 0, "documents": 0}


def test_numbers_that_occur_twice_are_equal(stats):
    histograms, found = stats["histograms"], stats["scores"]
    assert histograms["gaps"]["median"]["queries"] == found["gap"]["50%"]
    for name in ("positives", "negatives"):
        assert histograms["scores"]["median"][name] == found[name]["50%"]
    assert stats["yield"]["candidates"] == sum(split["candidates"] for split in stats["rules"].values())
    assert stats["yield"]["queries"] == stats["subsets"]["queries"]["size"]
    assert stats["yield"]["rows"] == sum(split["rows"] for split in stats["splits"].values()) > 0


def test_rules_count_the_verdicts_of_their_split():
    rules = details()["rules"]
    assert rules["train"] == {"candidates": 10, "refused": {"min_score": 4}, "eligible": 6, "chosen": 3}
    assert rules["dev"] == {"candidates": 5, "refused": {"min_score": 5}, "eligible": 0, "chosen": 0}


def test_backfilled_candidates_do_not_count_as_skipped():
    rows = frames()
    train = rows["verdicts"].filter(pl.col("split") == "train")
    found = split_statistics(rows["accounts"], train, rows["positives"])
    assert found["skipped"] == {"min_score": 3}
    assert (found["mined"], found["backfilled"]) == (2, 1)
