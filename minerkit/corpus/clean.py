"""Clean raw entries: trim their texts, and reject those that cannot train anything, with the reason.

Entries are cleaned batch by batch. Decisions about all of them together (`deduplicate`) need only a few
numbers of each entry, the ledger; the texts wait in a file, and become tables batch by batch (`tables`).
"""

import polars as pl

from minerkit.corpus.function_words import function_word_share
from minerkit.recipe import Clean
from minerkit.text import match_key, normalise_text, trim_text

__all__ = ["LEDGER", "clean_entries"]

#: The normalised texts of an entry, as hashes of 128 bits.
QUERY, DOCUMENT = ["query_1", "query_2"], ["document_1", "document_2"]
#: The columns of a tidied entry that are enough to decide about it.
LEDGER = ["relevance", "reason", *QUERY, *DOCUMENT]


def clean_entries(entries: pl.DataFrame, rules: Clean) -> pl.DataFrame:
    """Trim the texts of entries, and find those that cannot train anything, whatever the others are.

    Args:
        entries: Columns query, document, relevance, query_group, group, source; query and relevance are null
            where a document is only there.
        rules: The recipe's `clean` section.

    Returns:
        The entries, in their order, texts trimmed, with the columns of `LEDGER`: reason is null unless a text
        is empty or short, the document is the query itself, or the query has no content of its own.
    """
    rows = entries.with_columns(trim_text(pl.col("query")), trim_text(pl.col("document"))).with_columns(
        query_key=normalise_text(pl.col("query")), document_key=normalise_text(pl.col("document"))
    )
    judged = pl.col("relevance").is_not_null()
    parts = [
        part.with_columns(reason(part, rules).cast(pl.Categorical).alias("reason"))
        for part, reason in (
            (rows.with_row_index("place").filter(judged), _pair_fault),
            (rows.with_row_index("place").filter(~judged), _document_fault),
        )
    ]
    hashes = [
        pl.col(f"{side}_key").hash(seed).alias(f"{side}_{seed}")
        for side in ("query", "document")
        for seed in (1, 2)
    ]
    return pl.concat(parts).sort("place").with_columns(hashes).drop("place", "query_key", "document_key")


def _pair_fault(pairs: pl.DataFrame, rules: Clean) -> pl.Expr:
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
    return reason


def _document_fault(_: pl.DataFrame, rules: Clean) -> pl.Expr:
    return (
        pl.when(pl.col("document").is_null())
        .then(pl.lit("empty document"))
        .when(pl.col("document_key").str.len_chars() < rules.min_chars)
        .then(pl.lit("document shorter than clean.min_chars"))
    )
