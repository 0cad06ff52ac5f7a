"""The stage that encodes and searches: from queries and corpus to candidates, shard by shard."""

import time
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.corpus.qrels import binary_qrels, count_positives
from minerkit.embeddings.cache import EmbeddingCache
from minerkit.embeddings.encoder import Encoder, Kind, load_encoder
from minerkit.embeddings.vectors import Vectors
from minerkit.errors import SourceError
from minerkit.mining.candidates import hit_rates, rankings, retrieve
from minerkit.mining.collection import Collection
from minerkit.mining.exclusions import find_exclusions
from minerkit.mining.filters import rank_window
from minerkit.mining.requests import Asked
from minerkit.mining.sampling import pool_sizes
from minerkit.pipeline.context import Inputs, Work, document_texts, inputs, shards
from minerkit.recipe.recipe import Mine, Recipe
from minerkit.runtime.devices import search_device
from minerkit.runtime.memory import trim
from minerkit.search import Index
from minerkit.search.plan import Plan, drawn, tuned
from minerkit.storage.parquet import encode_row_group
from minerkit.storage.run_folder import MARKERS
from minerkit.storage.schema import SPLITS
from minerkit.storage.stage import Stage
from minerkit.text.store import Texts

__all__ = ["search"]

#: Train queries whose retrieval is measured when the recipe holds out no dev queries.
MEASURED = 1000
#: The share of the memory that mapped embeddings of queries may take, and those of documents; of larger
#: tables rows are read.
MAPPED = 4
NO_PAIRS = pl.DataFrame(schema={"query": pl.String, "positive": pl.String})


def search(work: Work, stage: Stage) -> None:
    """Encode the texts and search the candidates of every query, each split in its own documents."""
    recipe, run = work.recipe, work.run
    given = inputs(run)
    groups = run.read(f"{MARKERS}/groups.parquet") if recipe.excludes_group else None
    if groups is not None and groups.is_empty() and recipe.mine.exclude_group:
        raise SourceError(
            "mine.exclude_group=true, but the source names no groups; name their column in source.group"
        )
    links = run.read(f"{MARKERS}/links.parquet")
    least = recipe.source.min_relevance
    keys = run.read(f"{MARKERS}/keys.parquet")
    excluded = find_exclusions(keys, given.documents, given.qrels, links, groups, least)
    given = given._replace(documents=given.documents.drop("key"), qrels=binary_qrels(given.qrels, recipe))
    _enough_documents(recipe, given.documents)
    placed = search_device(work.device)  # a device that is not there is found now, not after encoding
    texts = document_texts(work)
    encoder, started = _encoder(work, given, texts), time.monotonic()
    queries = _embed(encoder, given.queries["text"], "query", work)
    documents = _embed(encoder, texts, "document", work)
    encode_row_group = time.monotonic()
    # What follows needs ids and splits; texts that are encoded are let go.
    given = given._replace(queries=given.queries.drop("text"))
    del texts
    trim()
    plan = _search_all(work, stage, given, excluded, queries, documents, placed)
    trim()
    split, measured = _measured(given.queries)
    ids, index = given.queries["query_id"].gather(measured), Index(documents, placed, work.memory)
    everything = Collection(ids, queries.subset(measured), given.documents["doc_id"], index)
    itself = excluded.filter(pl.col("reason") == "query_text")  # where documents are queries too
    with work.reporter.bar(f"Ranking ({split})", len(measured)) as advance:
        ranked = rankings(everything, itself, progress=advance)
    stage.write(f"{MARKERS}/excluded.parquet", excluded)
    # What a model is evaluated on: the documents to rerank, and the order it has to beat.
    stage.write(f"{MARKERS}/dev_candidates.parquet", ranked if split == "dev" else ranked.clear())
    rates = hit_rates(ranked, given.qrels, len(measured))
    stage.facts |= {
        "encoder": {kind: encoder.fingerprint(kind) for kind in ("query", "document")},
        "note": encoder.note,
        "search": plan.facts(),
        "seconds": {"encode": encode_row_group - started, "search": time.monotonic() - encode_row_group},
        "retrieval": {"queries": f"{len(measured)} {split}", **rates},
    }


def _search_all(
    work: Work, stage: Stage, given: Inputs, excluded: pl.DataFrame, queries: Vectors, documents: Vectors,
    device: str,
) -> Plan:  # fmt: skip
    """Search the candidates of all queries; what is made for it is gone from memory afterwards."""
    sides = {
        split: _side(split, given, excluded, queries, documents, work, device)
        for split in SPLITS
        if split in given.queries["split"]
    }
    train, rules = sides["train"], work.recipe.mine
    with work.reporter.bar("Planning the search", 1) as advance:

        def planned(_: int) -> dict[str, pl.DataFrame]:
            count = len(train.wanted)
            asked = train.only(drawn(count)).asked(rules).requests
            return tuned(train.collection.index, asked, count, work.recipe.search).frames()

        plan = Plan.of(next(stage.pieces("plan", 1, planned)), documents.dim)
        advance(1)
    trim()
    first = plan.searcher(train.collection.index)
    sides["train"] = replace(train, collection=replace(train.collection, first=first, together=plan.together))
    parts = shards(given.queries)
    for side in sides.values():
        if side.collection.first in (None, side.collection.index):
            side.collection.index.prepare()

    def searched(number: int) -> dict[str, pl.DataFrame]:
        part = parts[number]
        own = sides[part.split].only(np.arange(part.start, part.stop))
        return {"candidates": own.candidates(rules)}

    with (
        work.reporter.bar("Searching", len(given.queries)) as advance,
        stage.table("candidates.parquet") as append,
    ):
        for part, piece in zip(parts, stage.pieces("candidates", len(parts), searched, device), strict=True):
            there = sides[part.split].collection
            ids = {"query_id": there.query_ids[part.start : part.stop], "doc_id": there.doc_ids}
            append(encode_row_group("candidates", piece["candidates"], ids))
            advance(part.stop - part.start)
    return plan


@dataclass(frozen=True)
class _Side:
    """A split: its queries and the documents they are searched in; pairs by position."""

    collection: Collection
    judged: pl.DataFrame
    shut: pl.DataFrame
    wanted: npt.NDArray[np.int64]
    places: int | None

    def only(self, rows: npt.NDArray[np.int64]) -> "_Side":
        """Keep the queries at some positions, ascending."""

        def own(pairs: pl.DataFrame) -> pl.DataFrame:
            low, high = (
                pairs["query_id"].search_sorted(int(edge), side="left") for edge in (rows[0], rows[-1] + 1)
            )
            part = pairs[low:high]
            ids = part["query_id"].to_numpy()
            at = np.searchsorted(rows, ids).astype(np.int32)
            return part.with_columns(query_id=pl.Series(at)).filter(pl.Series(rows[at] == ids))

        judged, shut = own(self.judged), own(self.shut)
        return replace(
            self, collection=self.collection.only(rows), judged=judged, shut=shut, wanted=self.wanted[rows]
        )

    def asked(self, rules: Mine) -> Asked:
        """Say what is asked for the candidates of the queries."""
        return Asked.of(self.collection, self.judged, self.shut, rules, self.wanted, self.places)

    def candidates(self, rules: Mine) -> pl.DataFrame:
        """Search the candidates of the queries."""
        return retrieve(self.collection, self.judged, self.shut, rules, self.wanted, self.places)


def _side(
    split: str, given: Inputs, excluded: pl.DataFrame, queries: Vectors, documents: Vectors, work: Work,
    device: str,
) -> _Side:  # fmt: skip
    mine, recipe = _rows(given.queries["split"] == split), work.recipe
    own = _rows(given.documents["split"].is_in(SPLITS if recipe.split.shared_documents else [split]))
    index = Index(documents.subset(own), device, work.memory)
    ids, doc_ids = given.queries["query_id"].gather(mine), given.documents["doc_id"].gather(own)
    collection = Collection(ids, queries.subset(mine), doc_ids, index)
    judged = collection.positions(given.qrels)
    wanted = pool_sizes(count_positives(ids, given.qrels)["positives"].to_numpy(), recipe.mine)
    places = rank_window(recipe.mine, judged.filter(pl.col("relevance") > 0))
    return _Side(collection, judged, collection.positions(excluded), wanted, places)


def _rows(chosen: pl.Series) -> npt.NDArray[np.int64]:
    return chosen.arg_true().to_numpy().astype(np.int64)


def _encoder(work: Work, given: Inputs, texts: Texts) -> Encoder:
    spec, pairs, every = work.recipe.encoder, NO_PAIRS, NO_PAIRS["query"]
    trains = spec.model == "static"
    if trains or spec.model == "lsa":  # made from the texts of the run, all of them in memory
        train = given.queries.filter(pl.col("split") == "train").select("query_id", query="text")
        relevant = given.qrels.filter(pl.col("relevance") > 0)
        documents = given.documents.select("doc_id", positive=texts.slice(0, len(texts)))
        pairs = relevant.join(train, on="query_id", maintain_order="left").join(
            documents, on="doc_id", maintain_order="left"
        )
        every = pl.concat([given.queries["text"], documents["positive"]])
    step = "Training static encoder" if trains else "Loading the encoder"
    with work.reporter.bar(step, len(pairs) if trains else 1) as advance:
        return load_encoder(spec, pairs.select("query", "positive"), every, work.device, advance)


def _embed(encoder: Encoder, texts: Texts, kind: Kind, work: Work) -> Vectors:
    title = "Encoding queries" if kind == "query" else "Encoding documents"
    with work.reporter.bar(title, len(texts)) as advance:
        cache = EmbeddingCache(encoder.fingerprint(kind), encoder.dtype)
        return cache.embed(
            texts,
            lambda part, done: encoder.encode(part, kind, done),
            advance,
            work.reporter.say,
            work.memory // MAPPED,
        )


def _enough_documents(recipe: Recipe, splits: pl.DataFrame) -> None:
    negatives = recipe.mine.negatives or 1
    documents = int((splits["split"] == "train").sum())
    if documents <= negatives:
        raise SourceError(
            f"mine.negatives={negatives} asks for more documents than there are: the corpus has {documents} "
            "to train on, positives included; ask for fewer or add documents"
        )


def _measured(queries: pl.DataFrame) -> tuple[str, npt.NDArray[np.int64]]:
    """Say which queries' retrieval is measured: all of dev, or some of train if there are none."""
    split = "dev" if (queries["split"] == "dev").any() else "train"
    rows = _rows(queries["split"] == split)
    if split == "train" and len(rows) > MEASURED:
        rows = np.sort(np.random.default_rng(0).choice(rows, MEASURED, replace=False))
    return split, rows
