"""Pairs that are never negatives, whatever they score: the document is the query's positive or its text."""

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
    """List the documents that are excluded as negatives of each query.

    Args:
        queries: query_id, key: the match key of the text, which equal texts share, queries and documents
            alike.
        documents: doc_id, key.
        qrels: query_id, doc_id, relevance.
        links: left, right: keys of near-duplicates, each pair once.
        groups: id (of a query or document), group; None: documents of the query's group are not excluded.
        min_relevance: The grade from which a document is a positive.

    Returns:
        query_id, doc_id, reason, each pair once, without the positives, sorted. The reason is the first that
        applies: `positive_text` (a spelling variant of a positive), `near_duplicate` (of a positive),
        `query_text` (the query, or a near-duplicate of it), `partly_relevant` (graded above 0, but below
        `min_relevance`), `same_group`.
    """
    query_keys = queries.select("query_id", "key")
    positives = qrels.filter(pl.col("relevance") >= min_relevance).select("query_id", "doc_id")
    positive_keys = positives.join(documents, on="doc_id").select("query_id", "key").unique()
    near_duplicates = pl.concat(
        [links.select(key="left", other="right"), links.select(key="right", other="left")], how="vertical"
    )

    def near_duplicates_of(keys: pl.DataFrame) -> pl.DataFrame:
        return keys.join(near_duplicates, on="key").select("query_id", pl.col("other").alias("key"))

    excluded_keys = [
        (positive_keys, "positive_text"),
        (near_duplicates_of(positive_keys), "near_duplicate"),
        (pl.concat([query_keys, near_duplicates_of(query_keys)]), "query_text"),
    ]
    excluded_pairs = [(keys.join(documents, on="key"), reason) for keys, reason in excluded_keys]
    partly_relevant = qrels.filter(pl.col("relevance").is_between(1, min_relevance - 1))
    excluded_pairs.append((partly_relevant, "partly_relevant"))
    if groups is not None:
        excluded_pairs.append((_pairs_of_one_group(queries, groups), "same_group"))
    listed = pl.concat(
        pairs.select("query_id", "doc_id", pl.lit(reason).alias("reason")) for pairs, reason in excluded_pairs
    )
    return (
        listed.join(positives, on=["query_id", "doc_id"], how="anti")
        .unique(["query_id", "doc_id"], keep="first", maintain_order=True)
        .sort("query_id", "doc_id")
    )


def _pairs_of_one_group(queries: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    """Pair each query with the documents of its groups: query_id, doc_id, group."""
    query_groups = groups.join(queries, left_on="id", right_on="query_id", how="semi")
    doc_groups = groups.join(queries, left_on="id", right_on="query_id", how="anti")
    return query_groups.rename({"id": "query_id"}).join(doc_groups.rename({"id": "doc_id"}), on="group")
