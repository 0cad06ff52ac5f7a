"""What each stage does: read what it needs from the run, compute, and write its artefacts."""

import json

import polars as pl

from minerkit.artefacts import MARKERS, Run
from minerkit.clean import clean, tables
from minerkit.distributions import verdicts
from minerkit.errors import SourceError
from minerkit.filters import filter_false_negatives, round_trip, window
from minerkit.formats import format_examples
from minerkit.recipes import recipe_yaml
from minerkit.samplers import line_up, share_out
from minerkit.sources import fingerprint, read
from minerkit.splits import assign, linked_texts
from minerkit.staging import Stage
from minerkit.summary import run_stats
from minerkit.threads import ahead
from minerkit.work import SPLITS, Shard, Work, decided, inputs, positives, shards

__all__ = ["finish", "ingest", "select", "write_examples"]

REJECTED = ("stage", "reason", "source", "text")


def ingest(work: Work, stage: Stage) -> None:
    """Read and clean the raw corpus, number its texts, hold out dev."""
    recipe = work.recipe
    raw, rejected = _raw(work, stage)
    kept, dropped = clean(raw, recipe.clean, recipe.source.min_relevance)
    stage.facts["entries"] = len(raw)
    del raw  # what is not needed any more is let go: there may be millions of texts
    rejected = pl.concat([rejected, dropped])
    if kept["query"].null_count() == len(kept):
        counts = rejected["reason"].value_counts(sort=True).head(5).rows()
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in counts) or "documents only"
        place = recipe.source.path or recipe.source.hub
        raise SourceError(f"{place}: no query has a positive, in {stage.facts['rows']:,} rows ({reasons})")
    queries, corpus, qrels, groups = tables(kept)
    stage.facts["documents"] = len(kept) - len(qrels)
    pairs = kept.filter(pl.col("relevance") >= recipe.source.min_relevance).select(
        "query", positive="document"
    )
    del kept
    with work.reporter.bar("Comparing texts", len(queries) + len(corpus)) as advance:
        links = linked_texts(queries, corpus, recipe.clean.near_duplicate)
        advance(len(queries) + len(corpus))
    positives = qrels.filter(pl.col("relevance") >= recipe.source.min_relevance)
    queries, corpus = assign(queries, corpus, positives, links, groups, recipe.split)
    held = int((queries["split"] == "dev").sum())
    if held < recipe.split.dev_queries:
        work.reporter.say(
            f"dev: {held:,} queries instead of {recipe.split.dev_queries:,}; the others share too many texts"
        )
    stage.write("queries.parquet", queries)
    stage.write("corpus.parquet", corpus.drop("split"))
    stage.write("qrels.parquet", qrels)
    stage.write("pairs.parquet", pairs)
    stage.write(f"{MARKERS}/documents.parquet", corpus.select("doc_id", "split"))
    stage.write(f"{MARKERS}/links.parquet", links)
    stage.write(f"{MARKERS}/groups.parquet", groups)
    stage.write(f"{MARKERS}/ingest.rejected.parquet", rejected)
    stage.facts["inputs"] = fingerprint(recipe.source)


def _raw(work: Work, stage: Stage) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read the raw corpus: its entries, and what cannot be one."""
    rows, bad, parts, rejects = 0, 0, [], []
    with work.reporter.bar("Reading raw rows", work.recipe.source.limit) as advance:
        for batch in read(work.recipe.source):
            rows += batch.rows
            bad += batch.bad
            parts.append(batch.entries)
            rejects.append(batch.rejected)
            advance(batch.rows)
            for note in batch.notes:
                work.reporter.say(note)
    stage.facts |= {"rows": rows, "bad": bad}
    return pl.concat(parts), pl.concat(rejects)


def select(work: Work, stage: Stage) -> None:
    """Judge the candidates and draw the negatives, shard by shard."""
    recipe, rules = work.recipe, work.recipe.mine
    given = inputs(work.run)
    qrels = decided(given.qrels, recipe)
    excluded = work.run.read(f"{MARKERS}/excluded.parquet")
    counts_of = {
        split: positives(given.queries.filter(pl.col("split") == split)["query_id"], qrels)
        for split in SPLITS
    }
    relevant = qrels.filter(pl.col("relevance") > 0)
    places = {
        split: window(rules, relevant.join(own, on="query_id", how="semi"))
        for split, own in counts_of.items()
    }

    def judged(shard: Shard) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        own = counts_of[shard.split][shard.start : shard.stop]
        candidates = work.run.between("candidates.parquet", own["query_id"])
        lost = round_trip(candidates, rules.round_trip).select("query_id")
        if len(lost):
            own = own.join(lost, on="query_id", how="anti", maintain_order="left")
            candidates = candidates.join(own, on="query_id", how="semi", maintain_order="left")
        shut = excluded.join(own, on="query_id", how="semi")
        rows = filter_false_negatives(candidates, shut, rules, places[shard.split])
        return rows, *line_up(rows, own, rules), lost

    accounts, counts, missed = [], [], []
    before, parts = dict.fromkeys(SPLITS, 0), shards(given.queries)
    with stage.table("judged.parquet") as add_judged, stage.table("negatives.parquet") as add_negatives:
        for shard, (rows, chosen, found, lost) in zip(parts, ahead(judged, parts), strict=True):
            negatives, account = share_out(chosen, found, rules, before[shard.split])
            before[shard.split] += int(found.filter(~pl.col("dropped"))["positives"].sum())
            add_judged(rows)
            add_negatives(negatives)
            accounts.append(account)
            counts.append(verdicts(rows, negatives, shard.split))
            missed.append(lost)
    account = pl.concat(accounts)
    lost = account.filter("dropped").join(given.queries, on="query_id", maintain_order="left")
    stage.write(f"{MARKERS}/accounts.parquet", account)
    stage.write(f"{MARKERS}/verdicts.parquet", pl.concat(counts))
    depth = f"finds none of its positives among the first {rules.round_trip} documents"
    reasons = [
        lost.select(
            "query_id",
            pl.format("{} of {}: {}", "found", "wanted", "text").alias("text"),
            reason=pl.lit("too few negatives"),
        ),
        pl.concat(missed).join(given.queries, on="query_id").select("query_id", "text", reason=pl.lit(depth)),
    ]
    rejected = pl.concat(reasons).sort("query_id").rename({"query_id": "source"})
    stage.write(
        f"{MARKERS}/select.rejected.parquet", rejected.with_columns(stage=pl.lit("mine")).select(REJECTED)
    )


def write_examples(work: Work, stage: Stage) -> None:
    """Write the training rows, shard by shard."""
    recipe, run, given = work.recipe, work.run, inputs(work.run)
    lost = run.read(f"{MARKERS}/select.rejected.parquet")["source"]
    width = recipe.mine.negatives or _most_negatives(run)

    def formatted(shard: Shard) -> pl.DataFrame:
        own = given.queries.filter(pl.col("split") == shard.split)[shard.start : shard.stop]
        return _examples(work, own.filter(~pl.col("query_id").is_in(lost.implode())), given.corpus, width)

    with stage.table("train.parquet") as add_train, stage.table("dev.parquet") as add_dev:
        add = {"train": add_train, "dev": add_dev}
        for split in SPLITS:  # a split without rows has columns all the same
            add[split](_examples(work, given.queries.clear(), given.corpus, width))
        parts = shards(given.queries)
        for shard, rows in zip(parts, ahead(formatted, parts), strict=True):
            add[shard.split](rows)


def _most_negatives(run: Run) -> int:
    counts = run.scan("negatives.parquet").group_by("query_id").len()
    return int(counts.select(pl.col("len").max().fill_null(0)).collect(engine="streaming").item())


def _examples(work: Work, queries: pl.DataFrame, corpus: pl.DataFrame, width: int) -> pl.DataFrame:
    relevant = work.run.between("candidates.parquet", queries["query_id"], pl.col("relevance") > 0)
    negatives = work.run.between("negatives.parquet", queries["query_id"])
    shape, names = work.recipe.format, work.recipe.names
    return format_examples(queries, corpus, relevant, negatives, shape, names, width)


def finish(work: Work, stage: Stage) -> None:
    """Account for everything: rejected rows, statistics, the resolved recipe."""
    run = work.run
    rejected = run.rejected(["ingest", "select"])
    names = ("queries", "corpus", "qrels", "pairs", "negatives")
    frames = {name: run.read(f"{name}.parquet") for name in names}
    # Positives are all that statistics need of the candidates, and counts all that they need of the judged.
    frames["positives"] = run.between("candidates.parquet", None, pl.col("relevance") > 0)
    frames |= {name: run.read(f"{MARKERS}/{name}.parquet") for name in ("accounts", "verdicts")}
    frames["rejected"] = rejected
    rows = {split: run.scan(f"{split}.parquet") for split in SPLITS}
    facts = {name: (run.marker(name) or {})["facts"] for name in ("ingest", "search")}
    stage.write("rejected.parquet", rejected)
    stage.write_text("recipe.yaml", recipe_yaml(work.recipe))
    stage.write_text("stats.json", json.dumps(run_stats(frames, rows, facts), indent=1, ensure_ascii=False))
