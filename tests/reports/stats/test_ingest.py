import io

import polars as pl
from rich.console import Console

from minerkit.reports.stats.ingest import ingest_statistics
from minerkit.reports.terminal.ingest import render_ingest
from minerkit.storage.schema import ARTEFACT_COLUMNS, fit_artefact


def frame(name: str, *rows: tuple) -> pl.DataFrame:
    return fit_artefact(name, pl.DataFrame(rows, schema=list(ARTEFACT_COLUMNS[name]), orient="row"))


FRAMES = {
    "queries": frame("queries", ("q1", "a", "train", "g"), ("q2", "b", "dev", "h")),
    "corpus": frame("corpus", ("d1", "x", "g"), ("d2", "y", "h"), ("d3", "z", None)),
    "qrels": frame("qrels", ("q1", "d1", 2), ("q1", "d2", 0), ("q2", "d2", 2)),
    "pairs": frame("pairs", ("a", "x"), ("b", "y " * 400)),
    "rejected": frame(
        "rejected",
        ("read", "late", "f:1", None),
        ("clean", "[red]short", "f:2", None),
        ("clean", "[red]short", "f:3", None),
    ),
    "documents": pl.DataFrame({"doc_id": ["d1", "d2", "d3"], "split": ["train", "dev", "train"]}),
}


def test_everything_that_came_in_is_counted():
    account = ingest_statistics(FRAMES, {"rows": 9}, seed=12)
    counts = {key: value for key, value in account.items() if isinstance(value, int)}
    assert counts == {
        "rows": 9, "queries": 2, "documents": 3, "unjudged_documents": 1, "positives": 2,
        "judged_negatives": 1, "partly_relevant": 0, "groups": 2,
    }  # fmt: skip
    assert account["splits"]["dev"] == {"queries": 1, "documents": 1, "groups": 1}
    assert [(row["rows"], row["reason"], row["first"]) for row in account["rejected"]] == [
        (2, "[red]short", "f:2"),
        (1, "late", "f:1"),
    ]


def test_the_pairs_shown_depend_on_the_seed_alone():
    frames = {
        **FRAMES,
        "pairs": pl.DataFrame({"query": [f"q{i}" for i in range(50)], "positive": ["p"] * 50}),
    }
    shown = [
        [row["query"] for row in ingest_statistics(frames, {"rows": 9}, seed)["pairs"]] for seed in (1, 1, 2)
    ]
    assert shown[0] == shown[1] != shown[2]
    assert len(shown[0]) == 3


def test_the_account_is_set_without_markup_and_without_long_texts():
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(render_ingest(ingest_statistics(FRAMES, {"rows": 9}, 12), "runs/x"))
    text = console.export_text()
    assert "[red]short" in text
    assert "2 (1 train, 1 dev)" in text
    assert "judged negatives" in text and "partly relevant" not in text
    assert max(map(len, text.splitlines())) <= 310
    assert "runs/x/queries.parquet" in text


def test_queries_without_a_group_are_no_group():
    queries = frame("queries", ("q1", "a", "train", "g"), ("q2", "b", "train", None))
    found = ingest_statistics({**FRAMES, "queries": queries}, {"rows": 3}, 12)
    assert found["splits"]["train"]["groups"] == 1
