"""What each stage does: read what it needs from the run, compute, and write its artefacts."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from minerkit.corpus.clean import LEDGER, Decisions, Tables, decide, tables, tidy
from minerkit.corpus.split import assign, linked_texts
from minerkit.errors import SourceError
from minerkit.mining.examples import format_examples
from minerkit.mining.filters import filter_false_negatives, round_trip, window
from minerkit.mining.positions import named, placed
from minerkit.mining.sampling import line_up, share_out
from minerkit.pipeline.context import SPLITS, TEXTS, Shard, Work, decided, document_texts, positives, shards
from minerkit.recipe.load import recipe_yaml
from minerkit.reports.stats.distributions import verdicts
from minerkit.reports.stats.run_statistics import run_stats
from minerkit.runtime.threads import ahead
from minerkit.sources.reader import fingerprint, read
from minerkit.storage import schema
from minerkit.storage.parquet import Parts, encoded, writing
from minerkit.storage.run_folder import MARKERS, Run
from minerkit.storage.stage import Stage

__all__ = ["finish", "ingest", "select", "write_examples"]

#: The place of a row, from 0.
PLACE = pl.int_range(pl.len(), dtype=pl.Int32)
REJECTED = ("stage", "reason", "source", "text")


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
            found = tables(part, decisions, first, least)
            first += len(part)
            add_corpus(found.corpus)
            add_pairs(found.pairs)
            made.append(found._replace(corpus=found.corpus.select("doc_id"), pairs=found.pairs.clear()))
    return Tables(*(pl.concat(parts) for parts in zip(*made, strict=True)))


def _raw(work: Work, stage: Stage, entries: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read the raw corpus into a file of tidied entries: their ledger, and what cannot be an entry."""
    rows, bad, ledger, rejects = 0, 0, [], []
    with work.reporter.bar("Reading raw rows", work.recipe.source.limit) as advance, writing(entries) as add:
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


class _Judged(NamedTuple):
    """A shard whose candidates are judged: what `line_up` gives, and the lost queries, all by position."""

    split: str
    ids: dict[str, pl.Series]
    rows: pl.DataFrame
    chosen: pl.DataFrame
    accounts: pl.DataFrame
    lost: pl.DataFrame


def select(work: Work, stage: Stage) -> None:
    """Judge the candidates and draw the negatives, shard by shard."""
    recipe, rules = work.recipe, work.recipe.mine
    queries, qrels = work.run.read("queries.parquet"), decided(work.run.read("qrels.parquet"), recipe)
    excluded = work.run.read(f"{MARKERS}/excluded.parquet")
    counts_of = {
        split: positives(queries.filter(pl.col("split") == split)["query_id"], qrels) for split in SPLITS
    }
    relevant = qrels.filter(pl.col("relevance") > 0)
    places = {
        split: window(rules, relevant.join(own, on="query_id", how="semi"))
        for split, own in counts_of.items()
    }

    found = work.run.parts("candidates.parquet")

    def judged(shard: Shard) -> _Judged:
        candidates, ids = found.coded(shard.number, "query_id", "doc_id")
        own = counts_of[shard.split][shard.start : shard.stop]
        shut = placed(excluded.join(own, on="query_id", how="semi"), ids)
        own = placed(own, {"query_id": ids["query_id"]})
        lost = round_trip(candidates, rules.round_trip).select("query_id")
        if len(lost):
            own = own.join(lost, on="query_id", how="anti", maintain_order="left")
            candidates = candidates.join(own, on="query_id", how="semi", maintain_order="left")
        rows = filter_false_negatives(candidates, shut, rules, places[shard.split])
        return _Judged(shard.split, ids, rows, *line_up(rows, own, rules, ids), lost)

    def in_turn() -> Iterator[tuple[_Judged, int]]:
        """Tell each shard how many positives were kept before it: its share of the ratio begins there."""
        before = dict.fromkeys(SPLITS, 0)
        for part in ahead(judged, shards(queries)):
            yield part, before[part.split]
            before[part.split] += int(part.accounts.filter(~pl.col("dropped"))["positives"].sum())

    def drawn(turn: tuple[_Judged, int]) -> tuple[Any, Any, tuple[pl.DataFrame, ...]]:
        part, before = turn
        negatives, account = share_out(part.chosen, part.accounts, rules, before)
        counts = verdicts(part.rows, negatives, part.split)
        told = named(account, part.ids), counts, named(part.lost, part.ids)
        return encoded("judged", part.rows, part.ids), encoded("negatives", negatives, part.ids), told

    tellings = []
    with stage.table("judged.parquet") as add_judged, stage.table("negatives.parquet") as add_negatives:
        for rows, negatives, told in ahead(drawn, in_turn()):
            add_judged(rows)
            add_negatives(negatives)
            tellings.append(told)
    account, counts, missed = (pl.concat(parts) for parts in zip(*tellings, strict=True))
    lost = account.filter("dropped").join(queries, on="query_id", maintain_order="left")
    stage.write(f"{MARKERS}/accounts.parquet", account)
    stage.write(f"{MARKERS}/verdicts.parquet", counts)
    depth = f"finds none of its positives among the first {rules.round_trip} documents"
    reasons = [
        lost.select(
            "query_id",
            pl.format("{} of {}: {}", "found", "wanted", "text").alias("text"),
            reason=pl.lit("too few negatives"),
        ),
        missed.join(queries, on="query_id").select("query_id", "text", reason=pl.lit(depth)),
    ]
    rejected = pl.concat(reasons).sort("query_id").rename({"query_id": "source"})
    stage.write(
        f"{MARKERS}/select.rejected.parquet", rejected.with_columns(stage=pl.lit("mine")).select(REJECTED)
    )


def write_examples(work: Work, stage: Stage) -> None:
    """Write the training rows, shard by shard."""
    recipe, run, queries = work.recipe, work.run, work.run.read("queries.parquet")
    lost = run.read(f"{MARKERS}/select.rejected.parquet")["source"]
    width = recipe.mine.negatives or _most_negatives(run)

    ids = run.scan(f"{MARKERS}/documents.parquet").select("doc_id").collect()["doc_id"]
    texts, candidates = document_texts(work), run.parts("candidates.parquet")

    def rows(split: str, own: pl.DataFrame, relevant: pl.DataFrame) -> Any:
        negatives = run.between("negatives.parquet", own["query_id"])
        used = pl.concat([relevant["doc_id"], negatives["doc_id"]]).unique().sort()
        corpus = used.to_frame("doc_id").with_columns(text=PLACE)
        made = format_examples(
            own.with_columns(text=PLACE), corpus, relevant, negatives, recipe.format, recipe.names, width
        )
        # Texts, which stand in many rows, are positions until they are written.
        documents = texts.gather(ids.search_sorted(used))
        kinds = made.schema.items()
        written = {name: documents for name, kind in kinds if kind in (pl.Int32, pl.List(pl.Int32))}
        return encoded(split, made, written | {recipe.names[0]: own["text"]})

    def formatted(shard: Shard) -> Any:
        own = queries.filter(pl.col("split") == shard.split)[shard.start : shard.stop]
        own = own.filter(~pl.col("query_id").is_in(lost.implode()))
        relevant = candidates.one(shard.number, "query_id", "doc_id", "score", where=pl.col("relevance") > 0)
        return rows(shard.split, own, relevant.join(own, on="query_id", how="semi", maintain_order="left"))

    with stage.table("train.parquet") as add_train, stage.table("dev.parquet") as add_dev:
        add = {"train": add_train, "dev": add_dev}
        for split in SPLITS:  # a split without rows has columns all the same
            add[split](rows(split, queries.clear(), schema.empty("candidates")))
        parts = shards(queries)
        for shard, made in zip(parts, ahead(formatted, parts), strict=True):
            add[shard.split](made)


def _most_negatives(run: Run) -> int:
    counts = run.scan("negatives.parquet").group_by("query_id").len()
    return int(counts.select(pl.col("len").max().fill_null(0)).collect(engine="streaming").item())


def finish(work: Work, stage: Stage) -> None:
    """Account for everything: rejected rows, statistics, the resolved recipe."""
    run = work.run
    rejected = run.rejected(["ingest", "select"])
    frames = {name: run.read(f"{name}.parquet") for name in ("queries", "qrels", "negatives")}
    frames["corpus"] = run.scan(f"{MARKERS}/documents.parquet").select("doc_id").collect()
    # Positives are all that statistics need of the candidates, and counts all that they need of the judged.
    frames["positives"] = run.between("candidates.parquet", None, pl.col("relevance") > 0)
    frames |= {name: run.read(f"{MARKERS}/{name}.parquet") for name in ("accounts", "verdicts")}
    frames["rejected"] = rejected
    files = {name: run.scan(f"{name}.parquet") for name in ("corpus", "pairs", *SPLITS)}
    facts = {name: (run.marker(name) or {})["facts"] for name in ("ingest", "search")}
    stage.write("rejected.parquet", rejected)
    stage.write_text("recipe.yaml", recipe_yaml(work.recipe))
    stage.write_text("stats.json", json.dumps(run_stats(frames, files, facts), indent=1, ensure_ascii=False))
