"""The stage that encodes and searches: from queries and corpus to candidates, shard by shard."""

import time
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.corpus import binary_qrels
from minerkit.embeddings import Encoder, Vectors, embed_texts, load_encoder
from minerkit.errors import SourceError
from minerkit.evaluation import rank_documents, ranking_metrics
from minerkit.mining import SearchRequests, SplitQueries, find_exclusions, retrieve
from minerkit.pipeline.context import Context
from minerkit.pipeline.shards import query_shards
from minerkit.pipeline.stage import Stage, folder_hashes, sections
from minerkit.recipe import Recipe
from minerkit.runtime import device_note, release_memory, search_device
from minerkit.search import Plan, draw_sample, open_index, tune_search
from minerkit.storage import MARKERS, SPLITS, StageOutput, encode_row_group
from minerkit.text import Texts

__all__ = ["STAGE"]

#: Train queries whose retrieval is measured when the recipe holds out no dev queries.
MEASURED = 1000
NO_PAIRS = pl.DataFrame(schema={"query": pl.String, "positive": pl.String})


class _Inputs(NamedTuple):
    """What is searched: queries, documents (doc_id, split), qrels, and pairs that are never negatives."""

    queries: pl.DataFrame
    documents: pl.DataFrame
    qrels: pl.DataFrame
    excluded: pl.DataFrame


def _settings(recipe: Recipe) -> dict[str, Any]:
    found = sections(recipe, "encoder", "search", "mine")
    del found["mine"]["seed"]  # it draws among candidates that are there
    rest = {
        "exclude_group": recipe.excludes_group,
        "shared_documents": recipe.split.shared_documents,
        "min_relevance": recipe.source.min_relevance,
    }
    return {**found, **rest, "encoder_files": folder_hashes(recipe.encoder.model)}


def _search(context: Context, output: StageOutput) -> None:
    """Encode the texts and search the candidates of every query, each split in its own documents."""
    given = _inputs(context)
    if context.device != "auto":
        search_device(context.device)  # a device that is not there is found now, not after encoding
    texts = context.document_texts()
    encoder, started = _encoder(context, given, texts), time.monotonic()
    queries = embed_texts(encoder, given.queries["text"], "query", context.memory, context.reporter)
    documents = embed_texts(encoder, texts, "document", context.memory, context.reporter)
    encoded = time.monotonic()
    # What follows needs ids and splits; texts that are encoded are let go.
    given = given._replace(queries=given.queries.drop("text"))
    del texts
    release_memory()
    plan = _search_all(context, output, given, queries, documents)
    release_memory()
    retrieval = _measure(context, output, given, queries, documents)
    output.write(f"{MARKERS}/excluded.parquet", given.excluded)
    output.facts |= {
        "encoder": {kind: encoder.fingerprint(kind) for kind in ("query", "document")},
        "note": encoder.note,
        "search": plan.facts(),
        "seconds": {"encode": encoded - started, "search": time.monotonic() - encoded},
        "retrieval": retrieval,
    }


def _inputs(context: Context) -> _Inputs:
    """Read what ingest wrote, and list the pairs that are excluded by text or by group."""
    recipe, run = context.recipe, context.run
    queries, qrels = run.read("queries.parquet"), run.read("qrels.parquet")
    documents = run.read(f"{MARKERS}/documents.parquet").with_columns(pl.col("split").cast(pl.Enum(SPLITS)))
    negatives, count = recipe.mine.negatives or 1, int((documents["split"] == "train").sum())
    if count <= negatives:
        raise SourceError(
            f"mine.negatives={negatives} asks for more documents than there are: the corpus has {count} "
            "to train on, positives included; ask for fewer or add documents"
        )
    groups = run.read(f"{MARKERS}/groups.parquet") if recipe.excludes_group else None
    if groups is not None and groups.is_empty() and recipe.mine.exclude_group:
        raise SourceError(
            "mine.exclude_group=true, but the source names no groups; name their column in source.group"
        )
    keys, links = run.read(f"{MARKERS}/keys.parquet"), run.read(f"{MARKERS}/links.parquet")
    excluded = find_exclusions(keys, documents, qrels, links, groups, recipe.source.min_relevance)
    return _Inputs(queries, documents.drop("key"), binary_qrels(qrels, recipe), excluded)


def _encoder(context: Context, given: _Inputs, texts: Texts) -> Encoder:
    """Load the encoder, or make it from the texts of the run, all of them in memory."""
    spec, pairs, every = context.recipe.encoder, NO_PAIRS, NO_PAIRS["query"]
    trains = spec.model == "static"
    if trains or spec.model == "lsa":
        train = given.queries.filter(pl.col("split") == "train").select("query_id", query="text")
        relevant = given.qrels.filter(pl.col("relevance") > 0)
        documents = given.documents.select("doc_id", positive=texts.slice(0, len(texts)))
        pairs = relevant.join(train, on="query_id", maintain_order="left").join(
            documents, on="doc_id", maintain_order="left"
        )
        every = pl.concat([given.queries["text"], documents["positive"]])
    step = "Training static encoder" if trains else "Loading the encoder"
    with context.reporter.bar(step, len(pairs) if trains else 1) as advance:
        return load_encoder(spec, pairs.select("query", "positive"), every, context.device, advance)


def _search_all(
    context: Context, output: StageOutput, given: _Inputs, queries: Vectors, documents: Vectors
) -> Plan:
    """Search the candidates of all queries; what is made for it is gone from memory afterwards."""
    rules, present = context.recipe.mine, [split for split in SPLITS if split in given.queries["split"]]
    splits = {split: _split(split, context, given, queries, documents) for split in present}
    device = splits["train"].index.device
    if note := device_note(context.device, device):
        context.reporter.say(note)
    plan = _plan(context, output, splits["train"], documents.dim)
    searcher = plan.searcher(splits["train"].index)
    splits["train"] = replace(splits["train"], searcher=searcher, single_pass=plan.single_pass)
    for split in splits.values():
        if split.searcher in (None, split.index):
            split.index.prepare()
    parts = query_shards(given.queries)

    def searched(number: int) -> dict[str, pl.DataFrame]:
        part = parts[number]
        return {"candidates": retrieve(splits[part.split].subset(np.arange(part.start, part.stop)), rules)}

    with (
        context.reporter.bar("Searching", len(given.queries)) as advance,
        output.table("candidates.parquet") as append,
    ):
        found = output.shards("candidates", len(parts), searched, device)
        for part, shard in zip(parts, found, strict=True):
            there = splits[part.split]
            ids = {"query_id": there.query_ids[part.start : part.stop], "doc_id": there.doc_ids}
            append(encode_row_group("candidates", shard["candidates"], ids))
            advance(part.stop - part.start)
    return plan


def _split(name: str, context: Context, given: _Inputs, queries: Vectors, documents: Vectors) -> SplitQueries:
    """Bring the queries of a split together with the documents they are searched in."""
    recipe = context.recipe
    rows = _positions(given.queries["split"] == name)
    searched = SPLITS if recipe.split.shared_documents else [name]
    places = _positions(given.documents["split"].is_in(searched))
    approximate = recipe.search.mode == "ann"
    index = open_index(documents.subset(places), len(rows), context.device, context.memory, approximate)
    return SplitQueries.of(
        given.queries["query_id"].gather(rows),
        queries.subset(rows),
        given.documents["doc_id"].gather(places),
        index,
        given.qrels,
        given.excluded,
        recipe.mine,
    )


def _plan(context: Context, output: StageOutput, train: SplitQueries, dim: int) -> Plan:
    """Decide how to search, on a sample of the train queries; a stored plan is taken as it is."""
    with context.reporter.bar("Planning the search", 1) as advance:

        def planned(_: int) -> dict[str, pl.DataFrame]:
            count = len(train.needed)
            requests = SearchRequests.of(train.subset(draw_sample(count)), context.recipe.mine).requests
            return tune_search(train.index, requests, count, context.recipe.search).frames()

        plan = Plan.of(next(output.shards("plan", 1, planned)), dim)
        advance(1)
    release_memory()
    return plan


def _measure(
    context: Context, output: StageOutput, given: _Inputs, queries: Vectors, documents: Vectors
) -> dict[str, Any]:
    """Measure the encoder: on the dev queries, or on some train queries where there are none."""
    split = "dev" if (given.queries["split"] == "dev").any() else "train"
    rows = _positions(given.queries["split"] == split)
    if split == "train" and len(rows) > MEASURED:
        rows = np.sort(np.random.default_rng(0).choice(rows, MEASURED, replace=False))
    ids, index = (
        given.queries["query_id"].gather(rows),
        open_index(documents, len(rows), context.device, context.memory),
    )
    itself = given.excluded.filter(pl.col("reason") == "query_text")  # where documents are queries too
    with context.reporter.bar(f"Ranking ({split})", len(rows)) as advance:
        ranked = rank_documents(
            ids, queries.subset(rows), given.documents["doc_id"], index, itself, progress=advance
        )
    # What a model is evaluated on: the documents to rerank, and the order it has to beat.
    output.write(f"{MARKERS}/dev_candidates.parquet", ranked if split == "dev" else ranked.clear())
    return {"queries": f"{len(rows)} {split}", **ranking_metrics(ranked, given.qrels, len(rows))}


def _positions(chosen: pl.Series) -> npt.NDArray[np.int64]:
    return chosen.arg_true().to_numpy().astype(np.int64)


STAGE = Stage(
    name="search",
    version=6,
    settings=_settings,
    reads=(
        "corpus.parquet",
        "qrels.parquet",
        "queries.parquet",
        f"{MARKERS}/documents.parquet",
        f"{MARKERS}/groups.parquet",
        f"{MARKERS}/keys.parquet",
        f"{MARKERS}/links.parquet",
    ),
    writes=("candidates.parquet", f"{MARKERS}/dev_candidates.parquet", f"{MARKERS}/excluded.parquet"),
    perform=_search,
)
