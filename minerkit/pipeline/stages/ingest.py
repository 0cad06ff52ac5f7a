"""What each stage does: read what it needs from the run, compute, and write its artefacts."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from minerkit.corpus.clean import LEDGER, tidy
from minerkit.corpus.deduplicate import Decisions, decide
from minerkit.corpus.split import assign, linked_texts
from minerkit.corpus.tables import Tables, build_tables
from minerkit.errors import SourceError
from minerkit.pipeline.context import TEXTS, Work
from minerkit.sources.reader import fingerprint, read
from minerkit.storage.parquet import Parts, parquet_writer
from minerkit.storage.run_folder import MARKERS
from minerkit.storage.stage import Stage

__all__ = ["ingest"]


def ingest(work: Work, stage: Stage) -> None:
    """Read and clean the raw corpus, number its texts, hold out dev."""
    recipe, least = work.recipe, work.recipe.source.min_relevance
    entries = stage.scratch("entries.parquet")
    ledger, unreadable = _raw(work, stage, entries)
    stage.facts["entries"] = len(ledger)
    decisions = decide(ledger, least)
    del ledger  # what is not needed any more is let go: there may be millions of entries
    whole = _tables(stage, entries, decisions, least)
    del decisions
    rejected = pl.concat([unreadable, whole.rejected])
    if whole.queries.is_empty():
        counts = rejected["reason"].value_counts(sort=True).head(5).rows()
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in counts) or "documents only"
        place = recipe.source.path or recipe.source.hub
        raise SourceError(f"{place}: no query has a positive, in {stage.facts['rows']:,} rows ({reasons})")
    stage.facts["documents"] = stage.facts["entries"] - len(whole.rejected) - len(whole.qrels)
    corpus = stage.parts("corpus.parquet")

    def texts() -> Iterator[pl.Series]:
        yield whole.queries["text"]
        yield from (part["text"] for part in corpus.of("text"))

    count = len(whole.queries) + len(whole.corpus)
    with work.reporter.bar("Comparing texts", count) as advance:
        linked = linked_texts(texts, recipe.clean.near_duplicate, work.memory // TEXTS, entries.parent)
        advance(count)
    positives = whole.qrels.filter(pl.col("relevance") >= least)
    keyed = whole.queries.with_columns(linked.keys[: len(whole.queries)])
    groups = pl.concat([whole.query_groups, whole.doc_groups]).unique(maintain_order=True)
    queries, documents = assign(
        keyed,
        whole.corpus.with_columns(linked.keys[len(whole.queries) :]),
        positives,
        linked.links,
        groups,
        recipe.split,
    )
    held = int((queries["split"] == "dev").sum())
    if held < recipe.split.dev_queries:
        work.reporter.say(
            f"dev: {held:,} queries instead of {recipe.split.dev_queries:,}; the others share too many texts"
        )
    stage.write("queries.parquet", queries)
    stage.write("qrels.parquet", whole.qrels)
    stage.write(f"{MARKERS}/keys.parquet", keyed.select("query_id", "key"))
    stage.write(f"{MARKERS}/documents.parquet", documents.select("doc_id", "split", "key"))
    stage.write(f"{MARKERS}/links.parquet", linked.links)
    stage.write(f"{MARKERS}/groups.parquet", groups)
    stage.write(f"{MARKERS}/ingest.rejected.parquet", rejected)
    stage.facts["inputs"] = fingerprint(recipe.source)


def _tables(stage: Stage, entries: Path, decisions: Decisions, least: int) -> Tables:
    """Write corpus and pairs, part by part; give the tables without the texts of documents."""
    made: list[Tables] = []
    first = 0
    with stage.table("corpus.parquet") as add_corpus, stage.table("pairs.parquet") as add_pairs:
        for part in Parts(entries).of():
            found = build_tables(part, decisions, first, least)
            first += len(part)
            add_corpus(found.corpus)
            add_pairs(found.pairs)
            made.append(found._replace(corpus=found.corpus.select("doc_id"), pairs=found.pairs.clear()))
    return Tables(*(pl.concat(parts) for parts in zip(*made, strict=True)))


def _raw(work: Work, stage: Stage, entries: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read the raw corpus into a file of tidied entries: their ledger, and what cannot be an entry."""
    rows, bad, ledger, rejects = 0, 0, [], []
    with (
        work.reporter.bar("Reading raw rows", work.recipe.source.limit) as advance,
        parquet_writer(entries) as add,
    ):
        for batch in read(work.recipe.source):
            tidied = tidy(batch.entries, work.recipe.clean)
            add(tidied.drop(LEDGER[1:]))
            ledger.append(tidied.select(LEDGER))
            rejects.append(batch.rejected)
            rows += batch.rows
            bad += batch.bad
            advance(batch.rows)
            for note in batch.notes:
                work.reporter.say(note)
    stage.facts |= {"rows": rows, "bad": bad}
    return pl.concat(ledger), pl.concat(rejects)
