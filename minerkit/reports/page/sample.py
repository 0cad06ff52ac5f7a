"""Which queries the page lets one look through, and what it shows of each."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from minerkit.search import exact_score

__all__ = ["sample_examples"]

#: Rejected candidates shown of a query, the best-scored ones; beyond them one of each further reason.
REJECTED = 4
#: Bytes of text a page may hold, and the lengths texts are cut at to keep to it.
BUDGET = 2_000_000
CUTS = (2000, 1000, 700, 500, 400, 300, 240, 180, 120)
#: Of the queries shown, one in so many is there to show a reason.
PER_REASON = 20


def sample_examples(
    frames: Mapping[str, pl.DataFrame], negatives: int | None, examples: int, seed: int
) -> dict[str, Any]:
    """Choose queries and gather what the page shows of them.

    Half of the queries are drawn at random; some are there because one of their candidates was rejected for
    a reason that is seldom seen, or because they were left short or dropped; the rest have the smallest gaps.

    Args:
        frames: The artefacts by name.
        negatives: How many negatives a query should have, where the recipe says it.
        examples: How many queries to choose at most.
        seed: Seed of the draw.

    Returns:
        A JSON-ready mapping: `cut` (the length texts are cut at, in characters), `documents` (id, text, and
        the whole length where it is cut) and `queries`, whose hits name documents by their place.
    """
    queries = _gaps(frames).with_columns(fate=_fate(frames, negatives))
    chosen = _chosen(queries, frames["judged"], examples, seed)
    ids = chosen.select("query_id")
    hits = {
        "positives": _best_first(frames["candidates"].filter(pl.col("relevance") > 0), ids),
        "negatives": _best_first(frames["negatives"], ids),
        "rejected": _best_first(frames["judged"].filter(pl.col("reason").is_not_null()), ids),
    }
    totals = dict(hits["rejected"].group_by("query_id").len().rows())
    place = pl.int_range(pl.len()).over("query_id")
    hits["rejected"] = hits["rejected"].filter(
        (place < REJECTED) | pl.struct("query_id", "reason").is_first_distinct()
    )
    shown = pl.concat([part["doc_id"] for part in hits.values()]).unique().to_frame()
    documents = frames["corpus"].join(shown, on="doc_id", how="semi").sort("doc_id")
    cut = _cut([documents["text"], chosen["text"]])
    number = {doc_id: place for place, doc_id in enumerate(documents["doc_id"])}
    columns = {
        "positives": ["doc_id", "score", "rank"],
        "negatives": ["doc_id", "score", "rank", "source", "fill"],
        "rejected": ["doc_id", "score", "rank", "reason"],
    }
    listed = {name: _by_query(part, columns[name], number) for name, part in hits.items()}
    return {
        "cut": cut,
        "documents": [
            [doc_id, *_shortened(text, cut)] for doc_id, text in documents["doc_id", "text"].rows()
        ],
        "queries": [
            {
                "id": query_id,
                "split": split,
                "text": _shortened(text, cut)[0],
                "drawn": drawn,
                "gap": gap,
                "fate": fate,
                **{name: part.get(query_id, []) for name, part in listed.items()},
                "hidden": totals.get(query_id, 0) - len(listed["rejected"].get(query_id, [])),
            }
            for query_id, text, split, gap, fate, drawn in chosen.rows()
        ],
    }


def _gaps(frames: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Give every query the gap between its lowest positive and its hardest negative."""
    positives = frames["candidates"].filter(pl.col("relevance") > 0).group_by("query_id")
    negatives = frames["negatives"].group_by("query_id")
    return (
        frames["queries"]
        .select("query_id", "text", "split")
        .join(
            positives.agg(low=exact_score(pl.col("score").min())),
            "query_id",
            how="left",
            maintain_order="left",
        )
        .join(
            negatives.agg(high=exact_score(pl.col("score").max())),
            "query_id",
            how="left",
            maintain_order="left",
        )
        .with_columns(gap=(pl.col("low") - pl.col("high")).round(6))
        .drop("low", "high")
    )


def _fate(frames: Mapping[str, pl.DataFrame], negatives: int | None) -> pl.Expr:
    """Describe what is wrong with a query: dropped, or short of negatives; otherwise null."""
    dropped = frames["rejected"].filter(pl.col("stage") == "mine")["source"]
    filled = frames["negatives"]["query_id"].value_counts().filter(pl.col("count") >= (negatives or 0))
    # An exact ratio leaves no query short that it does not drop, and may want no negatives of one.
    short = ~pl.col("query_id").is_in(filled["query_id"].implode()) & (negatives is not None)
    return (
        pl.when(pl.col("query_id").is_in(dropped.implode()))
        .then(pl.lit("dropped"))
        .when(short)
        .then(pl.lit("short"))
    )


def _chosen(queries: pl.DataFrame, judged: pl.DataFrame, examples: int, seed: int) -> pl.DataFrame:
    """Choose queries and say in `drawn` why; they stay in their order."""
    if len(queries) <= examples:
        return queries.with_columns(drawn=pl.lit("all"))
    shuffled = queries["query_id"].gather(np.random.default_rng(seed).permutation(len(queries)))
    picked = dict.fromkeys(shuffled.head(examples // 2), "random")
    reasons = judged.filter(pl.col("reason").is_not_null()).select("reason", "query_id").unique()
    fates = queries.filter(pl.col("fate").is_not_null()).select("fate", "query_id")
    kinds = pl.concat([reasons, fates.rename({"fate": "reason"})])
    for (_,), part in sorted(kinds.group_by("reason")):
        ids = shuffled.filter(shuffled.is_in(part["query_id"].implode()) & ~shuffled.is_in(list(picked)))
        room = min(examples // PER_REASON, examples - len(picked))
        picked |= dict.fromkeys(ids.head(room), "reason")
    rest = queries.filter(~pl.col("query_id").is_in(list(picked))).sort("gap", nulls_last=True)
    picked |= dict.fromkeys(rest["query_id"].head(examples - len(picked)), "gap")
    drawn = pl.DataFrame({"query_id": list(picked), "drawn": list(picked.values())})
    return queries.join(drawn, on="query_id", maintain_order="left")


def _best_first(hits: pl.DataFrame, queries: pl.DataFrame) -> pl.DataFrame:
    kept = hits.join(queries, on="query_id", how="semi").with_columns(exact_score(pl.col("score")))
    return kept.sort(["query_id", "score", "doc_id"], descending=[False, True, False])


def _by_query(
    hits: pl.DataFrame, columns: list[str], number: Mapping[str, int]
) -> dict[str, list[list[Any]]]:
    found: dict[str, list[list[Any]]] = {}
    for query_id, doc_id, *values in hits.select("query_id", *columns).iter_rows():
        found.setdefault(query_id, []).append([number[doc_id], *values])
    return found


def _cut(texts: list[pl.Series]) -> int:
    """Choose the length at which texts are cut: the largest that keeps within the budget."""
    everything = pl.concat(texts)
    for cut in CUTS:
        if (everything.str.slice(0, cut).str.len_bytes().sum() or 0) <= BUDGET:
            return cut
    return CUTS[-1]


def _shortened(text: str, cut: int) -> list[Any]:
    return [text] if len(text) <= cut else [text[:cut].rstrip() + "…", len(text)]
