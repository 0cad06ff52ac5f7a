"""The statistics of an ingest: counts of raw, kept and rejected rows with reasons, and example pairs."""

from collections.abc import Mapping
from typing import Any

import polars as pl

__all__ = ["ingest_statistics"]

#: Number of example pairs.
EXAMPLE_PAIRS = 3


def ingest_statistics(
    frames: Mapping[str, pl.DataFrame], facts: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    """Count what an ingest read, kept and rejected.

    Args:
        frames: The artefacts queries, corpus (without its texts), qrels, pairs and rejected, and `documents`
            (doc_id, split).
        facts: The facts that the stage ingest recorded.
        seed: Seed for drawing the example pairs.

    Returns:
        A JSON-ready mapping: counts of rows, queries, documents, positives and groups; `splits` (counts per
        split); `rejected` (rows per reason, most frequent first); `pairs` (random examples).
    """
    queries, qrels, pairs = frames["queries"], frames["qrels"], frames["pairs"]
    groups = pl.concat([queries["group"], frames["corpus"]["group"]])
    reasons = (
        frames["rejected"]
        .group_by("stage", "reason", maintain_order=True)
        .agg(pl.len().alias("rows"), pl.col("source").first().alias("first"))
        .sort("rows", descending=True, maintain_order=True)
    )
    splits = {
        split: {
            "queries": int((queries["split"] == split).sum()),
            "documents": int((frames["documents"]["split"] == split).sum()),
            "groups": queries.filter(pl.col("split") == split)["group"].drop_nulls().n_unique(),
        }
        for split in ("train", "dev")
    }
    return {
        "rows": facts["rows"],
        "queries": len(queries),
        "documents": len(frames["corpus"]),
        "unjudged_documents": len(frames["corpus"].join(qrels, on="doc_id", how="anti")),
        "positives": len(pairs),
        "judged_negatives": int((qrels["relevance"] == 0).sum()),
        "partly_relevant": len(qrels) - len(pairs) - int((qrels["relevance"] == 0).sum()),
        "groups": groups.drop_nulls().n_unique(),
        "splits": splits,
        "rejected": reasons.rows(named=True),
        "pairs": pairs.sample(min(EXAMPLE_PAIRS, len(pairs)), seed=seed, shuffle=True).rows(named=True),
    }
