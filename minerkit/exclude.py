"""Which documents may never be a query's negative, whatever they score: leaks are shut out by text."""

import polars as pl

from minerkit.text import match_key

__all__ = ["exclusions"]


def exclusions(
    queries: pl.DataFrame, corpus: pl.DataFrame, qrels: pl.DataFrame, links: pl.DataFrame
) -> pl.DataFrame:
    """List the unjudged documents that count as a query's positive, or as the query itself.

    Args:
        queries: query_id, text.
        corpus: doc_id, text.
        qrels: query_id, doc_id, relevance; relevance above 0 is a positive.
        links: left, right: match keys of near-duplicates, each pair once.

    Returns:
        query_id, doc_id, reason, each pair once: `positive_text` (a spelling variant of a positive),
        `near_duplicate` (of a positive), `query_text` (the query, or a near-duplicate of it).
    """
    query_key = queries.select("query_id", match_key(pl.col("text")).alias("key"))
    doc_key = corpus.select("doc_id", match_key(pl.col("text")).alias("key"))
    positives = qrels.filter(pl.col("relevance") > 0).select("query_id", "doc_id")
    positive_key = positives.join(doc_key, on="doc_id").select("query_id", "key").unique()
    near = pl.concat(
        [links.select(key="left", other="right"), links.select(key="right", other="left")], how="vertical"
    )

    def near_to(keys: pl.DataFrame) -> pl.DataFrame:
        return keys.join(near, on="key").select("query_id", pl.col("other").alias("key"))

    found = [
        (positive_key, "positive_text"),
        (near_to(positive_key), "near_duplicate"),
        (pl.concat([query_key, near_to(query_key)]), "query_text"),
    ]
    listed = pl.concat(
        keys.join(doc_key, on="key").select("query_id", "doc_id", pl.lit(reason).alias("reason"))
        for keys, reason in found
    )
    return (
        listed.join(positives, on=["query_id", "doc_id"], how="anti")
        .unique(["query_id", "doc_id"], keep="first", maintain_order=True)
        .sort("query_id", "doc_id")
    )
