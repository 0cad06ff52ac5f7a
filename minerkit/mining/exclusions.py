"""Documents that are never a query's negative, whatever they score: leaks are excluded by their text."""

import polars as pl

__all__ = ["find_exclusions"]


def find_exclusions(
    queries: pl.DataFrame,
    documents: pl.DataFrame,
    qrels: pl.DataFrame,
    links: pl.DataFrame,
    groups: pl.DataFrame | None = None,
    min_relevance: int = 1,
) -> pl.DataFrame:
    """List the documents that count as a query's positive, or as the query itself.

    Args:
        queries: query_id, key: the same for texts that count as equal, whether queries or documents.
        documents: doc_id, key.
        qrels: query_id, doc_id, relevance.
        links: left, right: keys of near-duplicates, each pair once.
        groups: id (of a query or document), group; None: documents of the query's group are not excluded.
        min_relevance: The grade from which a document is a positive.

    Returns:
        query_id, doc_id, reason, each pair once, positives left out: `positive_text` (a spelling variant of a
        positive), `near_duplicate` (of a positive), `query_text` (the query, or a near-duplicate of it),
        `partly_relevant` (graded above 0, but no positive), `same_group`.
    """
    query_key = queries.select("query_id", "key")
    positives = qrels.filter(pl.col("relevance") >= min_relevance).select("query_id", "doc_id")
    positive_key = positives.join(documents, on="doc_id").select("query_id", "key").unique()
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
    partly = qrels.filter(pl.col("relevance").is_between(1, min_relevance - 1))
    pairs = [
        *((keys.join(documents, on="key"), reason) for keys, reason in found),
        (partly, "partly_relevant"),
    ]
    if groups is not None:
        grouped = groups.join(queries, left_on="id", right_on="query_id", how="semi").rename(
            {"id": "query_id"}
        )
        there = groups.join(queries, left_on="id", right_on="query_id", how="anti").rename({"id": "doc_id"})
        pairs.append((grouped.join(there, on="group"), "same_group"))
    listed = pl.concat(
        frame.select("query_id", "doc_id", pl.lit(reason).alias("reason")) for frame, reason in pairs
    )
    return (
        listed.join(positives, on=["query_id", "doc_id"], how="anti")
        .unique(["query_id", "doc_id"], keep="first", maintain_order=True)
        .sort("query_id", "doc_id")
    )
