"""From raw pairs to queries, corpus and qrels; what is dropped comes back with its reason."""

import polars as pl

from minerkit import schema
from minerkit.recipe import Clean
from minerkit.text import cleaned, match_key, normalised

__all__ = ["clean", "tables"]


def clean(pairs: pl.DataFrame, rules: Clean) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Drop pairs that cannot train anything.

    Args:
        pairs: Columns query, positive, source.
        rules: The recipe's `clean` section.

    Returns:
        The pairs kept, texts trimmed, in their order; and the rejected rows (the artefact's columns).
        A pair is rejected for an empty or short text, for a positive that is the query itself, and for
        standing in the input before.
    """
    tidy = pairs.with_columns(cleaned(pl.col("query")), cleaned(pl.col("positive")))
    keys = tidy.with_columns(
        query_key=normalised(pl.col("query")),
        positive_key=normalised(pl.col("positive")),
        same=match_key(pl.col("query")) == match_key(pl.col("positive")),
    )
    reason = (
        pl.when(pl.col("query").is_null())
        .then(pl.lit("empty query"))
        .when(pl.col("positive").is_null())
        .then(pl.lit("empty positive"))
        .when(pl.col("query_key").str.len_chars() < rules.min_chars)
        .then(pl.lit("query shorter than clean.min_chars"))
        .when(pl.col("positive_key").str.len_chars() < rules.min_chars)
        .then(pl.lit("positive shorter than clean.min_chars"))
        .when(pl.col("same"))
        .then(pl.lit("positive repeats the query"))
        .when(~pl.struct("query_key", "positive_key").is_first_distinct())
        .then(pl.lit("duplicate pair"))
    )
    judged = keys.with_columns(reason=reason)
    kept = judged.filter(pl.col("reason").is_null()).select("query", "positive", "source")
    rejected = judged.filter(pl.col("reason").is_not_null()).select(
        pl.lit("clean").alias("stage"),
        "reason",
        "source",
        pl.concat_str([pl.col("query"), pl.col("positive")], separator=" | ", ignore_nulls=True).alias(
            "text"
        ),
    )
    return kept, schema.fit("rejected", rejected)


def tables(pairs: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Give every distinct text one id, in the order of first appearance.

    Args:
        pairs: Columns query, positive; distinct, without nulls.

    Returns:
        queries (query_id, text), corpus (doc_id, text) and qrels (query_id, doc_id, relevance), where the
        text is the first spelling of each normalised text.
    """
    keyed = pairs.select(
        "query",
        "positive",
        query_key=normalised(pl.col("query")),
        positive_key=normalised(pl.col("positive")),
    )
    queries = _numbered(keyed, "query", "q")
    corpus = _numbered(keyed, "positive", "d")
    qrels = (
        keyed.join(queries.select("query_key", "query_id"), on="query_key", maintain_order="left")
        .join(corpus.select("positive_key", "doc_id"), on="positive_key", maintain_order="left")
        .select("query_id", "doc_id", pl.lit(1, dtype=pl.Int32).alias("relevance"))
    )
    return (
        queries.select("query_id", pl.col("query").alias("text")),
        corpus.select("doc_id", pl.col("positive").alias("text")),
        qrels,
    )


def _numbered(keyed: pl.DataFrame, column: str, letter: str) -> pl.DataFrame:
    """Keep the first spelling of each text, with an id whose order as text is its order of appearance."""
    key, name = f"{column}_key", "query_id" if letter == "q" else "doc_id"
    distinct = keyed.unique(key, keep="first", maintain_order=True).select(column, key)
    number = pl.int_range(1, len(distinct) + 1).cast(pl.String).str.zfill(max(7, len(str(len(distinct)))))
    return distinct.with_columns((letter + number).alias(name))
