"""From entries and what was decided about them to queries, corpus, qrels and pairs."""

from typing import NamedTuple

import polars as pl

from minerkit.corpus.clean import LEDGER
from minerkit.corpus.deduplicate import Decisions
from minerkit.storage import fit_artefact

__all__ = ["Tables", "build_tables"]

#: Digits of an id, at least.
DIGITS = 7


class Tables(NamedTuple):
    """What some entries add to the corpus by id.

    queries (query_id, text, group) and corpus (doc_id, text, group) with what is new; qrels; pairs; the
    groups of queries and of documents (id, group), in which other entries' may repeat; and rejected rows.
    """

    queries: pl.DataFrame
    corpus: pl.DataFrame
    qrels: pl.DataFrame
    pairs: pl.DataFrame
    query_groups: pl.DataFrame
    doc_groups: pl.DataFrame
    rejected: pl.DataFrame


def build_tables(
    entries: pl.DataFrame, decisions: Decisions, first: int = 0, min_relevance: int = 1
) -> Tables:
    """Make tables of some entries.

    Args:
        entries: Tidied entries, with their texts.
        decisions: About all entries.
        first: The place of the first of these entries among all.
        min_relevance: The grade from which a document is a positive.

    Returns:
        The tables. The text of an id is the first spelling of each normalised text, its group the first
        group; an id's order as text is its order of appearance.
    """
    own = decisions.rows[first : first + len(entries)].with_columns(
        query_id=_id("q", "query_number", decisions.queries),
        doc_id=_id("d", "document_number", decisions.documents),
    )
    rows = pl.concat([entries.drop(LEDGER[1:], strict=False), own], how="horizontal")
    kept = rows.filter(pl.col("reason").is_null())
    judged = kept.filter(pl.col("relevance").is_not_null())
    text = pl.concat_str([pl.col("query"), pl.col("document")], separator=" | ", ignore_nulls=True)
    rejected = rows.drop_nulls("reason").select(
        pl.lit("clean").alias("stage"), "reason", "source", text.alias("text")
    )
    return Tables(
        judged.filter("new_query").select("query_id", text="query", group="query_group"),
        kept.filter("new_document").select("doc_id", text="document", group="group"),
        judged.select("query_id", "doc_id", "relevance"),
        judged.filter(pl.col("relevance") >= min_relevance).select("query", positive="document"),
        judged.select(id="query_id", group="query_group").drop_nulls("group").unique(maintain_order=True),
        kept.select(id="doc_id", group="group").drop_nulls("group").unique(maintain_order=True),
        fit_artefact("rejected", rejected),
    )


def _id(letter: str, number: str, count: int) -> pl.Expr:
    digits = max(DIGITS, len(str(count)))
    return pl.lit(letter) + pl.col(number).cast(pl.String).str.zfill(digits)
