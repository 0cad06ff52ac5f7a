"""Format queries, positives and negatives as training rows with exactly the columns that a loss takes."""

import polars as pl

from minerkit.recipe import Format

__all__ = ["format_examples"]

LABEL_TYPES = {"int": pl.Int64, "float": pl.Float32}


def format_examples(
    queries: pl.DataFrame,
    corpus: pl.DataFrame,
    positives: pl.DataFrame,
    negatives: pl.DataFrame,
    shape: Format,
    names: tuple[str, str] = ("query", "positive"),
    width: int | None = None,
) -> pl.DataFrame:
    """Format training rows in the order of the queries; a query's positives precede its negatives.

    Args:
        queries: query_id, text: the queries to write.
        corpus: doc_id, text.
        positives: query_id, doc_id, score.
        negatives: query_id, doc_id, score; hardest first within a query.
        shape: The recipe's `format` section.
        names: The names of the query column and the document column.
        width: The number of negatives in an n-tuple; default: the largest number of any query.

    Returns:
        The columns depend on the format:

        - pair: query, positive.
        - triplet: query, positive, negative; a row for each combination.
        - n-tuple: query, positive, negative_1 to negative_n; queries with other than n negatives are left
          out.
        - labeled-pair: query, document, label (int64 or float32).
        - labeled-list: query, documents, labels; a row for each positive of a query with negatives.

        With scores, labels become `score` or `scores`; triplets and n-tuples get `scores`, the positive's
        first.

    Example:
        >>> import minerkit
        >>> import polars as pl
        >>> rows = minerkit.format_examples(
        ...     queries=pl.DataFrame({"query_id": ["q1"], "text": ["what is tea"]}),
        ...     corpus=pl.DataFrame({"doc_id": ["d1", "d2"], "text": ["Tea is a drink.", "Coffee is, too."]}),
        ...     positives=pl.DataFrame({"query_id": ["q1"], "doc_id": ["d1"], "score": [0.8]}),
        ...     negatives=pl.DataFrame({"query_id": ["q1"], "doc_id": ["d2"], "score": [0.5]}),
        ...     shape=minerkit.Format(type="triplet"),
        ... )
        >>> rows.rows(named=True)
        [{'query': 'what is tea', 'positive': 'Tea is a drink.', 'negative': 'Coffee is, too.'}]
    """
    texts = corpus.select("doc_id", "text")
    query_texts = queries.select("query_id", pl.col("text").alias("query")).with_row_index("order")
    positive = _add_texts(positives, query_texts, texts, "positive")
    negative = _add_texts(negatives, query_texts, texts, "negative")
    # Columns get their own names last: a source may call them text, score or order.
    rows = _rows(positive, negative, shape, width)
    return rows.rename(dict(zip(("query", "positive"), names, strict=True)))


def _add_texts(
    pairs: pl.DataFrame, query_texts: pl.DataFrame, texts: pl.DataFrame, role: str
) -> pl.DataFrame:
    """Look up the texts of pairs, and sort by query; the order within a query stays."""
    # Left joins that keep the order are much faster than inner ones.
    return (
        pairs.select("query_id", "doc_id", "score")
        .join(query_texts, on="query_id", how="left", maintain_order="left")
        .drop_nulls("order")
        .join(texts, on="doc_id", how="left", maintain_order="left")
        .sort("order", maintain_order=True)
        .rename({"text": role, "score": f"{role}_score", "doc_id": f"{role}_id"})
    )


def _rows(positive: pl.DataFrame, negative: pl.DataFrame, format: Format, width: int | None) -> pl.DataFrame:
    """Format training rows with documents in the column positive."""
    if format.type == "pair":
        scores = [pl.col("positive_score").alias("score")] if format.scores else []
        return positive.select("query", "positive", *scores)
    if format.type == "labeled-pair":
        return _labeled_pairs(positive, negative, format)
    # Combine every positive of a query with all its negatives.
    combinations = positive.join(
        negative.drop("order", "query"), on="query_id", how="inner", maintain_order="left_right"
    )
    scores = [_concat_lists("positive_score", "negative_score", "scores")] if format.scores else []
    if format.type == "triplet":
        return combinations.select("query", "positive", "negative", *scores)
    lists = combinations.group_by("order", "positive_id", maintain_order=True).agg(
        pl.col("query", "positive", "positive_score").first(), pl.col("negative", "negative_score")
    )
    if format.type == "labeled-list":
        documents = _concat_lists("positive", "negative", "positive")
        return lists.select("query", documents, *(scores or [_labels(format)]))
    width = width or int(lists["negative"].list.len().to_numpy().max(initial=0))
    full = lists.filter(pl.col("negative").list.len() == width)
    negatives = [pl.col("negative").list.get(i).alias(f"negative_{i + 1}") for i in range(width)]
    return full.select("query", "positive", *negatives, *scores)


def _labeled_pairs(positive: pl.DataFrame, negative: pl.DataFrame, format: Format) -> pl.DataFrame:
    labeled = [
        frame.select(
            "order",
            "query",
            pl.col(role).alias("positive"),
            pl.lit(label, dtype=LABEL_TYPES[format.labels]).alias("label"),
            pl.col(f"{role}_score").alias("score"),
        )
        for frame, role, label in ((positive, "positive", 1), (negative, "negative", 0))
    ]
    rows = pl.concat(labeled).sort("order", "label", descending=[False, True], maintain_order=True)
    return rows.select("query", "positive", "score" if format.scores else "label")


def _labels(format: Format) -> pl.Expr:
    """Return the labels of a list: 1 for the positive, then 0 for each negative."""
    dtype = LABEL_TYPES[format.labels]
    zeros = pl.col("negative_score").list.eval(pl.element().cast(dtype) * 0)
    return pl.concat_list(pl.lit(1, dtype=dtype), zeros).alias("labels")


def _concat_lists(first: str, rest: str, name: str) -> pl.Expr:
    return pl.concat_list(pl.col(first), pl.col(rest)).alias(name)
