"""The stats.json of a small run that was never mined: counted, by the function that counts real ones."""

import copy
import functools
from typing import Any

import polars as pl

from minerkit.reports.stats.run_statistics import run_stats
from minerkit.storage.schema import fit_artefact

#: Query, split, lowest positive score, and the scores of its negatives.
QUERIES = [
    ("q1", "train", 0.9, (0.7, 0.5)),
    ("q2", "train", 0.8, (0.6, 0.4)),
    ("q3", "train", 0.7, (0.65, 0.3)),
    ("q4", "dev", 0.6, (0.2, 0.1)),
]


def made_stats(**changes: Any) -> dict[str, Any]:
    """Count a run of four queries, each with a positive and two negatives.

    Args:
        changes: Values by path, keys joined by two underscores; `__` at the end of none.

    Returns:
        A stats.json, with the values changed.
    """
    found = copy.deepcopy(_stats(("train", "dev")))
    for path, value in changes.items():
        *parents, last = path.split("__")
        target = found
        for part in parents:
            target = target[part]
        target[last] = value
    return found


def without_dev() -> dict[str, Any]:
    """Count the same run with its dev query left out."""
    return copy.deepcopy(_stats(("train",)))


@functools.cache
def _stats(splits: tuple[str, ...]) -> dict[str, Any]:
    queries = [query for query in QUERIES if query[1] in splits]

    def fitted(name: str, rows: list[Any], columns: list[str]) -> pl.DataFrame:
        return fit_artefact(name, pl.DataFrame(rows, schema=columns, orient="row"))

    positives = [(query, f"d{query}", 1, "dense", 1, score) for query, _, score, _ in queries]
    negatives = [
        (query, f"d{query}{place}", "dense", place, score, "mined")
        for query, _, _, scores in queries
        for place, score in enumerate(scores, 1)
    ]
    documents = sorted({row[1] for row in (*positives, *negatives)})
    frames = {
        "queries": fitted(
            "queries", [(q, f"what is {q}?", s) for q, s, *_ in queries], ["query_id", "text", "split"]
        ),
        "corpus": fitted("corpus", [(doc, f"It is {doc}.") for doc in documents], ["doc_id", "text"]),
        "qrels": fitted("qrels", [row[:3] for row in positives], ["query_id", "doc_id", "relevance"]),
        "positives": fitted(
            "candidates", positives, ["query_id", "doc_id", "relevance", "source", "rank", "score"]
        ),
        "negatives": fitted(
            "negatives", negatives, ["query_id", "doc_id", "source", "rank", "score", "fill"]
        ),
        "rejected": fitted(
            "rejected", [("clean", "duplicate pair", "f:3", "x")], ["stage", "reason", "source", "text"]
        ),
        "accounts": pl.DataFrame(
            [(q, 2, 2, False) for q, *_ in queries], ["query_id", "found", "wanted", "dropped"], orient="row"
        ),
        "verdicts": pl.DataFrame(
            [
                row
                for split in dict.fromkeys(query[1] for query in queries)
                for count in [2 * sum(query[1] == split for query in queries)]
                for row in ((split, None, True, count), (split, "relative_margin", False, 3))
            ],
            {"split": pl.String, "reason": pl.String, "taken": pl.Boolean, "documents": pl.Int64},
            orient="row",
        ),
    }
    text_of = dict(frames["corpus"].select("doc_id", "text").rows())
    rows = {"train": [], "dev": []}
    for query, split, _, scores in queries:
        asked = f"what is {query}?"
        hits = [(f"d{query}", 1), *((f"d{query}{place}", 0) for place in range(1, len(scores) + 1))]
        rows[split] += [(asked, text_of[doc], label) for doc, label in hits]
    files = {
        split: pl.LazyFrame(part, {"query": pl.String, "answer": pl.String, "label": pl.Int64}, orient="row")
        for split, part in rows.items()
    }
    pairs = [(f"what is {query}?", f"It is d{query}.") for query, *_ in queries]
    files |= {
        "corpus": frames["corpus"].lazy(),
        "pairs": pl.LazyFrame(pairs, ["query", "positive"], orient="row"),
    }
    facts = {
        "ingest": {"rows": len(queries) + 1, "entries": len(queries) + 1, "bad": 0, "documents": 0},
        "search": {
            "retrieval": {"queries": f"{len(queries)} {queries[-1][1]}", "accuracy@10": 1.0},
            "search": {"mode": "exact", "recall": 1.0},
            "note": "",
        },
    }
    return run_stats(frames, files, facts)
