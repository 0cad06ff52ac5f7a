"""From raw entries to queries, corpus and qrels; what is dropped comes back with its reason."""

from typing import NamedTuple

import polars as pl

from minerkit import schema
from minerkit.questions import function_word_share
from minerkit.recipe import Clean
from minerkit.text import cleaned, match_key, normalised

__all__ = ["Tables", "clean", "tables"]


class Tables(NamedTuple):
    """The corpus by id: queries, corpus (both with their first group), qrels, and every group of a text."""

    queries: pl.DataFrame
    corpus: pl.DataFrame
    qrels: pl.DataFrame
    groups: pl.DataFrame


def clean(entries: pl.DataFrame, rules: Clean, min_relevance: int = 1) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Drop entries that cannot train anything.

    Args:
        entries: Columns query, document, relevance, query_group, group, source; query and relevance are null
            where a document is only there.
        rules: The recipe's `clean` section.
        min_relevance: The grade from which a document is a positive.

    Returns:
        The entries kept, texts trimmed, in their order, with the columns query_key and document_key (the
        normalised texts); and the rejected rows (the artefact's columns). An entry is rejected for an empty
        or short text, for a document that is the query itself, for a query without content of its own or
        without a positive, and for standing in the input before; of two grades the higher one is kept.
    """
    tidy = entries.with_columns(cleaned(pl.col("query")), cleaned(pl.col("document")))
    keyed = tidy.with_columns(
        query_key=normalised(pl.col("query")), document_key=normalised(pl.col("document"))
    ).with_row_index("place")
    judged = pl.col("relevance").is_not_null()
    pairs, reasons = _judged(keyed.filter(judged), rules)
    without = pl.col("relevance").max().over("query_key") < min_relevance
    pairs, unanswered = _parted(pairs, pl.when(without).then(pl.lit("no positive for this query")))
    alone, twice = _there(keyed.filter(~judged), rules)
    kept = pl.concat([pairs, alone]).sort("place").drop("place")
    lost = pl.concat([reasons, unanswered, twice]).sort("place")
    text = pl.concat_str([pl.col("query"), pl.col("document")], separator=" | ", ignore_nulls=True)
    rejected = lost.select(pl.lit("clean").alias("stage"), "reason", "source", text.alias("text"))
    return kept, schema.fit("rejected", rejected)


def _judged(pairs: pl.DataFrame, rules: Clean) -> tuple[pl.DataFrame, pl.DataFrame]:
    reason: pl.Expr = (
        pl.when(pl.col("query").is_null())
        .then(pl.lit("empty query"))
        .when(pl.col("document").is_null())
        .then(pl.lit("empty positive"))
        .when(pl.col("query_key").str.len_chars() < rules.min_chars)
        .then(pl.lit("query shorter than clean.min_chars"))
        .when(pl.col("document_key").str.len_chars() < rules.min_chars)
        .then(pl.lit("positive shorter than clean.min_chars"))
        .when(match_key(pl.col("query")) == match_key(pl.col("document")))
        .then(pl.lit("positive repeats the query"))
    )
    if rules.max_function_words is not None:
        share = function_word_share(pairs["query"].fill_null(""))
        empty = pl.Series(share) > rules.max_function_words
        reason = pl.coalesce(reason, pl.when(empty).then(pl.lit("query without content of its own")))
    kept, dropped = _parted(pairs, reason)
    # The highest grade comes first, so that a repeat with a lower one is what is dropped.
    ranked = kept.sort("relevance", descending=True, maintain_order=True)
    again = ~pl.struct("query_key", "document_key").is_first_distinct()
    kept, repeats = _parted(ranked, pl.when(again).then(pl.lit("duplicate pair")))
    return kept.sort("place"), pl.concat([dropped, repeats])


def _there(documents: pl.DataFrame, rules: Clean) -> tuple[pl.DataFrame, pl.DataFrame]:
    reason = (
        pl.when(pl.col("document").is_null())
        .then(pl.lit("empty document"))
        .when(pl.col("document_key").str.len_chars() < rules.min_chars)
        .then(pl.lit("document shorter than clean.min_chars"))
        .when(~pl.col("document_key").is_first_distinct())
        .then(pl.lit("duplicate document"))
    )
    return _parted(documents, reason)


def _parted(rows: pl.DataFrame, reason: pl.Expr) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part rows into those without a reason and those with one."""
    judged = rows.with_columns(reason.alias("reason").cast(pl.String))
    return judged.filter(pl.col("reason").is_null()).drop("reason"), judged.drop_nulls("reason")


def tables(entries: pl.DataFrame) -> Tables:
    """Give every distinct text one id, in the order of first appearance.

    Args:
        entries: What `clean` keeps.

    Returns:
        queries (query_id, text, group), corpus (doc_id, text, group), qrels (query_id, doc_id, relevance),
        and groups (id, group: every group a query or document belongs to). The text is the first spelling
        of each normalised text, the group the first group.
    """
    judged = entries.filter(pl.col("relevance").is_not_null())
    queries = _numbered(judged, "query", "query_group", "query_id")
    corpus = _numbered(entries, "document", "group", "doc_id")
    asked = judged.join(queries.select("query_key", "query_id"), on="query_key", maintain_order="left")
    found = entries.join(corpus.select("document_key", "doc_id"), on="document_key", maintain_order="left")
    qrels = asked.join(
        corpus.select("document_key", "doc_id"), on="document_key", maintain_order="left"
    ).select("query_id", "doc_id", "relevance")
    groups = pl.concat(
        [asked.select(id="query_id", group="query_group"), found.select(id="doc_id", group="group")]
    )
    return Tables(
        queries.select("query_id", "text", "group"),
        corpus.select("doc_id", "text", "group"),
        qrels,
        groups.drop_nulls("group").unique(maintain_order=True),
    )


def _numbered(entries: pl.DataFrame, column: str, group: str, name: str) -> pl.DataFrame:
    """Keep the first spelling of each text, with an id whose order as text is its order of appearance."""
    key = f"{column}_key"
    distinct = entries.unique(key, keep="first", maintain_order=True).select(
        pl.col(column).alias("text"), key, pl.col(group).alias("group")
    )
    number = pl.int_range(1, len(distinct) + 1).cast(pl.String).str.zfill(max(7, len(str(len(distinct)))))
    return distinct.with_columns((name[0] + number).alias(name))
