"""What each stage does: read what it needs from the run, compute, and write its artefacts."""

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.artefacts import MARKERS, Run, Stage
from minerkit.cache import EmbeddingCache
from minerkit.clean import clean, tables
from minerkit.encoders import Encoder, Kind, load_encoder
from minerkit.errors import SourceError
from minerkit.exclude import exclusions
from minerkit.filters import filter_false_negatives, round_trip
from minerkit.formats import format_examples
from minerkit.progress import Reporter
from minerkit.recipe import Recipe
from minerkit.recipes import recipe_yaml
from minerkit.retrieve import Collection, hit_rates, rankings, retrieve
from minerkit.samplers import pool_sizes, sample_negatives
from minerkit.search import search_device
from minerkit.sources import fingerprint, read
from minerkit.splits import assign, linked_texts
from minerkit.summary import run_stats
from minerkit.vectors import Vectors

__all__ = ["Work", "finish", "ingest", "search", "select", "write_examples"]

SPLITS = ("train", "dev")
REJECTED = ("stage", "reason", "source", "text")
#: Train queries whose retrieval is measured when the recipe holds out no dev queries.
MEASURED = 1000


@dataclass(frozen=True)
class Work:
    """What every stage is given: the recipe, the run, where models run, and where progress goes."""

    recipe: Recipe
    run: Run
    device: str
    reporter: Reporter


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


def search(work: Work, stage: Stage) -> None:
    """Encode the texts and search the candidates of every query, each split in its own documents."""
    recipe, run = work.recipe, work.run
    queries, corpus, qrels, splits = _collection(run)
    groups = run.read(f"{MARKERS}/groups.parquet") if recipe.excludes_group else None
    links = run.read(f"{MARKERS}/links.parquet")
    excluded = exclusions(queries, corpus, qrels, links, groups, recipe.source.min_relevance)
    qrels = _decided(qrels, recipe)
    _enough_documents(recipe, splits)
    placed = search_device(work.device)
    train = queries.filter(pl.col("split") == "train").select("query_id", query="text")
    relevant = qrels.filter(pl.col("relevance") > 0)
    pairs = relevant.join(train, on="query_id", maintain_order="left").join(
        corpus, on="doc_id", maintain_order="left"
    )
    texts = pl.concat([queries["text"], corpus["text"]])
    trains = recipe.encoder.model == "static"
    step = "Training static encoder" if trains else "Loading the encoder"
    with work.reporter.bar(step, len(pairs) if trains else 1) as advance:
        encoder = load_encoder(
            recipe.encoder, pairs.select("query", positive="text"), texts, work.device, advance
        )
    query_vectors = _embed(encoder, queries["text"], "query", work.reporter)
    doc_vectors = _embed(encoder, corpus["text"], "document", work.reporter)
    found = []
    for split in SPLITS:
        mine_q = (queries["split"] == split).arg_true().to_numpy().astype(np.int64)
        own = splits["split"].is_in(SPLITS if recipe.split.shared_documents else [split])
        mine_d = own.arg_true().to_numpy().astype(np.int64)
        if not len(mine_q):
            continue
        part = Collection(
            queries["query_id"].gather(mine_q), query_vectors.subset(mine_q),
            corpus["doc_id"].gather(mine_d), doc_vectors.subset(mine_d),
        )  # fmt: skip
        wanted = pool_sizes(_positives(part.query_ids, qrels)["positives"].to_numpy(), recipe.mine)
        with work.reporter.bar(f"Searching ({split})", len(mine_q)) as advance:
            found.append(retrieve(part, qrels, excluded, recipe.mine, wanted, placed, advance))
    split, measured = _measured(queries)
    part = Collection(
        queries["query_id"].gather(measured), query_vectors.subset(measured), corpus["doc_id"], doc_vectors
    )
    itself = excluded.filter(pl.col("reason") == "query_text")  # where documents are queries too
    with work.reporter.bar(f"Ranking ({split})", len(measured)) as advance:
        ranked = rankings(part, itself, device=placed, progress=advance)
    stage.write("candidates.parquet", pl.concat(found))
    stage.write(f"{MARKERS}/excluded.parquet", excluded)
    # What a model is evaluated on: the documents to rerank, and the order it has to beat.
    stage.write(f"{MARKERS}/dev_candidates.parquet", ranked if split == "dev" else ranked.clear())
    stage.facts |= {
        "encoder": {kind: encoder.fingerprint(kind) for kind in ("query", "document")},
        "note": encoder.note,
        "search": {"mode": "exact", "recall": 1.0},
        "retrieval": {"queries": f"{len(measured)} {split}", **hit_rates(ranked, qrels, len(measured))},
    }


def select(work: Work, stage: Stage) -> None:
    """Judge the candidates and draw the negatives."""
    recipe, run = work.recipe, work.run
    queries, _, qrels, _ = _collection(run)
    qrels = _decided(qrels, recipe)
    candidates, excluded = run.read("candidates.parquet"), run.read(f"{MARKERS}/excluded.parquet")
    missed = round_trip(candidates, recipe.mine.round_trip).select("query_id")
    judged, negatives, accounts = [], [], []
    for split in SPLITS:
        ids = queries.filter(pl.col("split") == split).join(missed, on="query_id", how="anti")["query_id"]
        mine_c = candidates.join(ids.to_frame(), on="query_id", how="semi", maintain_order="left")
        judged.append(filter_false_negatives(mine_c, excluded, recipe.mine))
        chosen, account = sample_negatives(judged[-1], _positives(ids, qrels), recipe.mine)
        negatives.append(chosen)
        accounts.append(account)
    lost = pl.concat(accounts).filter("dropped").join(queries, on="query_id", maintain_order="left")
    stage.write("judged.parquet", pl.concat(judged))
    stage.write("negatives.parquet", pl.concat(negatives))
    stage.write(f"{MARKERS}/accounts.parquet", pl.concat(accounts))
    depth = f"finds none of its positives among the first {recipe.mine.round_trip} documents"
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
    """Write the training rows."""
    recipe, run = work.recipe, work.run
    queries, corpus, _, _ = _collection(run)
    lost = run.read(f"{MARKERS}/select.rejected.parquet")["source"]
    kept = queries.filter(~pl.col("query_id").is_in(lost.implode()))
    positives = run.read("candidates.parquet").filter(pl.col("relevance") > 0)
    negatives = run.read("negatives.parquet")
    for split in SPLITS:
        rows = format_examples(
            kept.filter(pl.col("split") == split), corpus, positives, negatives,
            recipe.format, recipe.names, recipe.mine.negatives,
        )  # fmt: skip
        stage.write(f"{split}.parquet", rows)


def finish(work: Work, stage: Stage) -> None:
    """Account for everything: rejected rows, statistics, the resolved recipe."""
    run = work.run
    names = ["queries", "corpus", "qrels", "pairs", "candidates", "judged", "negatives", "train", "dev"]
    rejected = run.rejected(["ingest", "select"])
    frames = {name: run.read(f"{name}.parquet") for name in names}
    frames |= {"rejected": rejected, "accounts": run.read(f"{MARKERS}/accounts.parquet")}
    facts = {name: (run.marker(name) or {})["facts"] for name in ("ingest", "search")}
    stage.write("rejected.parquet", rejected)
    stage.write_text("recipe.yaml", recipe_yaml(work.recipe))
    stage.write_text("stats.json", json.dumps(run_stats(frames, facts), indent=1, ensure_ascii=False))


def _collection(run: Run) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    return (
        run.read("queries.parquet"),
        run.read("corpus.parquet"),
        run.read("qrels.parquet"),
        run.read(f"{MARKERS}/documents.parquet"),
    )


def _decided(qrels: pl.DataFrame, recipe: Recipe) -> pl.DataFrame:
    """Leave the judgements that say yes (above 0) or no (0); what lies between is neither."""
    grade = pl.col("relevance")
    return qrels.filter((grade >= recipe.source.min_relevance) | (grade == 0))


def _positives(ids: pl.Series, qrels: pl.DataFrame) -> pl.DataFrame:
    counts = (
        qrels.filter(pl.col("relevance") > 0)
        .group_by("query_id")
        .agg(pl.len().cast(pl.Int64).alias("positives"))
    )
    return ids.to_frame().join(counts, on="query_id", how="left", maintain_order="left").fill_null(0)


def _enough_documents(recipe: Recipe, splits: pl.DataFrame) -> None:
    negatives = recipe.mine.negatives or 1
    documents = int((splits["split"] == "train").sum())
    if documents <= negatives:
        raise SourceError(
            f"mine.negatives={negatives} asks for more documents than there are: the corpus has {documents} "
            "to train on, positives included; ask for fewer or add documents"
        )


def _embed(encoder: Encoder, texts: pl.Series, kind: Kind, reporter: Reporter) -> Vectors:
    with reporter.bar("Encoding queries" if kind == "query" else "Encoding documents", len(texts)) as advance:
        cache = EmbeddingCache(encoder.fingerprint(kind), encoder.dtype)
        return cache.embed(texts, lambda part, done: encoder.encode(part, kind, done), advance, reporter.say)


def _measured(queries: pl.DataFrame) -> tuple[str, npt.NDArray[np.int64]]:
    """Say which queries' retrieval is measured: all of dev, or some of train if there are none."""
    split = "dev" if (queries["split"] == "dev").any() else "train"
    rows = (queries["split"] == split).arg_true().to_numpy().astype(np.int64)
    if split == "train" and len(rows) > MEASURED:
        rows = np.sort(np.random.default_rng(0).choice(rows, MEASURED, replace=False))
    return split, rows
