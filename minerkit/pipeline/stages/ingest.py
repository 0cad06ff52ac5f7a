"""The stage that turns the raw corpus into queries, corpus, qrels and pairs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from minerkit.corpus import (
    LEDGER,
    Decisions,
    Tables,
    assign_splits,
    build_tables,
    clean_entries,
    decide_entries,
    link_texts,
)
from minerkit.errors import SourceError
from minerkit.pipeline.context import TEXT_SHARE, Context
from minerkit.pipeline.stage import Stage, sections
from minerkit.recipe import Recipe
from minerkit.sources import fingerprint, read
from minerkit.storage import MARKERS, RowGroups, StageOutput, parquet_writer

__all__ = ["STAGE"]


def _settings(recipe: Recipe) -> dict[str, Any]:
    return {**sections(recipe, "source", "clean", "split"), "inputs": fingerprint(recipe.source)}


def _ingest(context: Context, output: StageOutput) -> None:
    """Read and clean the raw corpus, number its texts, hold out dev."""
    recipe, least = context.recipe, context.recipe.source.min_relevance
    entries = output.scratch("entries.parquet")
    ledger, unreadable = _read_raw(context, output, entries)
    output.facts["entries"] = len(ledger)
    decisions = decide_entries(ledger, least)
    del ledger  # what is not needed any more is let go: there may be millions of entries
    whole = _write_tables(output, entries, decisions, least)
    del decisions
    rejected = pl.concat([unreadable, whole.rejected])
    if whole.queries.is_empty():
        raise _no_query(recipe, rejected, output.facts["rows"])
    output.facts["documents"] = output.facts["entries"] - len(whole.rejected) - len(whole.qrels)
    groups = pl.concat([whole.query_groups, whole.doc_groups]).unique(maintain_order=True)
    keyed, documents = _split(context, output, whole, groups)
    output.write("qrels.parquet", whole.qrels)
    output.write(f"{MARKERS}/keys.parquet", keyed.select("query_id", "key"))
    output.write(f"{MARKERS}/documents.parquet", documents.select("doc_id", "split", "key"))
    output.write(f"{MARKERS}/groups.parquet", groups)
    output.write(f"{MARKERS}/ingest.rejected.parquet", rejected)
    output.facts["inputs"] = fingerprint(recipe.source)


def _read_raw(context: Context, output: StageOutput, entries: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read the raw corpus into a file of tidied entries: their ledger, and what cannot be an entry."""
    source, rows, bad, ledger, rejects = context.recipe.source, 0, 0, [], []
    with context.reporter.bar("Reading raw rows", source.limit) as advance, parquet_writer(entries) as add:
        for batch in read(source):
            tidied = clean_entries(batch.entries, context.recipe.clean)
            add(tidied.drop(LEDGER[1:]))
            ledger.append(tidied.select(LEDGER))
            rejects.append(batch.rejected)
            rows += batch.rows
            bad += batch.bad
            advance(batch.rows)
            for note in batch.notes:
                context.reporter.say(note)
    output.facts |= {"rows": rows, "bad": bad}
    return pl.concat(ledger), pl.concat(rejects)


def _write_tables(output: StageOutput, entries: Path, decisions: Decisions, least: int) -> Tables:
    """Write corpus and pairs, part by part; give the tables without the texts of documents."""
    made: list[Tables] = []
    first = 0
    with output.table("corpus.parquet") as add_corpus, output.table("pairs.parquet") as add_pairs:
        for part in RowGroups(entries).of():
            found = build_tables(part, decisions, first, least)
            first += len(part)
            add_corpus(found.corpus)
            add_pairs(found.pairs)
            made.append(found._replace(corpus=found.corpus.select("doc_id"), pairs=found.pairs.clear()))
    return Tables(*(pl.concat(parts) for parts in zip(*made, strict=True)))


def _split(
    context: Context, output: StageOutput, whole: Tables, groups: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Send queries and documents to train or dev; give both with the number of their texts."""
    recipe, corpus = context.recipe, output.row_groups("corpus.parquet")

    def texts() -> Iterator[pl.Series]:
        yield whole.queries["text"]
        yield from (part["text"] for part in corpus.of("text"))

    count, folder = len(whole.queries) + len(whole.corpus), output.scratch("keys").parent
    with context.reporter.bar("Comparing texts", count) as advance:
        linked = link_texts(texts(), recipe.clean.near_duplicate, context.memory // TEXT_SHARE, folder)
        advance(count)
    keyed = whole.queries.with_columns(linked.keys[: len(whole.queries)])
    queries, documents = assign_splits(
        keyed,
        whole.corpus.with_columns(linked.keys[len(whole.queries) :]),
        whole.qrels.filter(pl.col("relevance") >= recipe.source.min_relevance),
        linked.links,
        groups,
        recipe.split,
    )
    held = int((queries["split"] == "dev").sum())
    if held < recipe.split.dev_queries:
        context.reporter.say(
            f"dev: {held:,} queries instead of {recipe.split.dev_queries:,}; the others share too many texts"
        )
    output.write("queries.parquet", queries)
    output.write(f"{MARKERS}/links.parquet", linked.links)
    return keyed, documents


def _no_query(recipe: Recipe, rejected: pl.DataFrame, rows: int) -> SourceError:
    """Explain why nothing of the corpus can be used."""
    counts = rejected["reason"].value_counts(sort=True).head(5).rows()
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in counts) or "documents only"
    place = recipe.source.path or recipe.source.hub
    return SourceError(f"{place}: no query has a positive, in {rows:,} rows ({reasons})")


STAGE = Stage(
    name="ingest",
    version=4,
    settings=_settings,
    reads=(),
    writes=(
        "corpus.parquet",
        "pairs.parquet",
        "qrels.parquet",
        "queries.parquet",
        f"{MARKERS}/documents.parquet",
        f"{MARKERS}/groups.parquet",
        f"{MARKERS}/ingest.rejected.parquet",
        f"{MARKERS}/keys.parquet",
        f"{MARKERS}/links.parquet",
    ),
    perform=_ingest,
)
