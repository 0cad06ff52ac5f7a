"""Turn queries, positives and negatives into training rows: exactly the columns a loss takes."""

import polars as pl

from minerkit.recipe import Format

__all__ = ["format_examples"]


LABELS = {"int": pl.Int64, "float": pl.Float32}


def format_examples(
    queries: pl.DataFrame,
    corpus: pl.DataFrame,
    positives: pl.DataFrame,
    negatives: pl.DataFrame,
    shape: Format,
    names: tuple[str, str] = ("query", "positive"),
    width: int | None = None,
) -> pl.DataFrame:
    """Write training rows, in the order of the queries; for each, positives before negatives.

    Args:
        queries: query_id, text; the queries to write.
        corpus: doc_id, text.
        positives: query_id, doc_id, score.
        negatives: query_id, doc_id, score; hardest first within a query.
        shape: The recipe's `format` section.
        names: What the query and the document columns are called.
        width: Negatives of an n-tuple; default the largest number any query has.

    Returns:
        pair: query, positive. triplet: query, positive, negative; a row for each combination. n-tuple:
        query, positive, negative_1..n; only queries with all n. labeled-pair: query, document, label (int64
        or float32). labeled-list: query, documents, labels; a row per positive that has negatives. With
        scores, labels become `score` or `scores`, and triplets and n-tuples get `scores`, positive first.
    """
    texts = corpus.select("doc_id", "text")
    order = queries.select("query_id", pl.col("text").alias("query")).with_row_index("order")
    positive = _documents(positives, order, texts, "positive")
    negative = _documents(negatives, order, texts, "negative")
    # The names come last: a source may call its columns text, score or order.
    rows = _rows(positive, negative, shape, width)
    return rows.rename(dict(zip(("query", "positive"), names, strict=True)))


def _rows(positive: pl.DataFrame, negative: pl.DataFrame, shape: Format, width: int | None) -> pl.DataFrame:
    """Write training rows with the document in the column positive."""
    head = ["query", "positive"]
    if shape.type == "pair":
        scores = [pl.col("positive_score").alias("score")] if shape.scores else []
        return positive.select(*head, *scores)
    if shape.type == "labeled-pair":
        return _labeled_pairs(positive, negative, shape)
    # Every positive of a query meets all negatives of the query.
    rows = positive.join(
        negative.drop("order", "query"), on="query_id", how="inner", maintain_order="left_right"
    )
    if shape.type == "triplet":
        scores = [_scores("positive_score", "negative_score")] if shape.scores else []
        return rows.select(*head, "negative", *scores)
    lists = rows.group_by("order", "positive_id", maintain_order=True).agg(
        pl.col("query", "positive", "positive_score").first(), pl.col("negative", "negative_score")
    )
    if shape.type == "labeled-list":
        kind = LABELS[shape.labels]
        ones = pl.concat_list(
            pl.lit(1, dtype=kind), pl.col("negative_score").list.eval(pl.element().cast(kind) * 0)
        )
        marks = _scores("positive_score", "negative_score") if shape.scores else ones.alias("labels")
        return lists.select("query", pl.concat_list("positive", "negative"), marks)
    width = width or int(lists["negative"].list.len().to_numpy().max(initial=0))
    full = lists.filter(pl.col("negative").list.len() == width)
    columns = [pl.col("negative").list.get(i).alias(f"negative_{i + 1}") for i in range(width)]
    scores = [_scores("positive_score", "negative_score")] if shape.scores else []
    return full.select(*head, *columns, *scores)


def _documents(pairs: pl.DataFrame, order: pl.DataFrame, texts: pl.DataFrame, role: str) -> pl.DataFrame:
    """Look up texts; sort by query, keeping each query's own order."""
    # Left joins are much faster than those that keep only what is on both sides, in order.
    return (
        pairs.select("query_id", "doc_id", "score")
        .join(order, on="query_id", how="left", maintain_order="left")
        .drop_nulls("order")
        .join(texts, on="doc_id", how="left", maintain_order="left")
        .sort("order", maintain_order=True)
        .rename({"text": role, "score": f"{role}_score", "doc_id": f"{role}_id"})
    )


def _labeled_pairs(positive: pl.DataFrame, negative: pl.DataFrame, shape: Format) -> pl.DataFrame:
    parts = [
        frame.select(
            "order",
            "query",
            pl.col(role).alias("positive"),
            pl.lit(label, dtype=LABELS[shape.labels]).alias("label"),
            pl.col(f"{role}_score").alias("score"),
        )
        for frame, role, label in ((positive, "positive", 1), (negative, "negative", 0))
    ]
    rows = pl.concat(parts).sort("order", "label", descending=[False, True], maintain_order=True)
    return rows.select("query", "positive", "score" if shape.scores else "label")


def _scores(first: str, rest: str) -> pl.Expr:
    return pl.concat_list(pl.col(first), pl.col(rest)).alias("scores")
