"""Candidates for every query: the best documents, and below them as many eligible ones as are wanted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit import schema
from minerkit.filters import BACKFILLABLE, filter_false_negatives, thresholds, window
from minerkit.recipe import Mine
from minerkit.search import Hits, Pairs, exact_scores, pair_scores, top
from minerkit.vectors import Vectors

__all__ = ["Collection", "hit_rates", "rankings", "retrieve"]

IntArray = npt.NDArray[np.int64]
CHUNK = 16384
#: Documents a query whose retrieval is measured gets.
DEPTH = 100


@dataclass(frozen=True)
class Collection:
    """Queries and documents with their vectors; `doc_ids` ascend, so that ties rank by id."""

    query_ids: pl.Series
    queries: Vectors
    doc_ids: pl.Series
    documents: Vectors

    def positions(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """Give rows (query_id, doc_id, ...) by position; rows of other splits are left out."""
        queries = pl.DataFrame({"query_id": self.query_ids, "q": np.arange(len(self.query_ids))})
        documents = pl.DataFrame({"doc_id": self.doc_ids, "d": np.arange(len(self.doc_ids))})
        found = pairs.join(queries, on="query_id").join(documents, on="doc_id").drop("query_id", "doc_id")
        return found.rename({"q": "query_id", "d": "doc_id"}).sort("query_id", "doc_id")

    def scores(self, pairs: Pairs) -> npt.NDArray[np.float32]:
        """Score pairs one by one."""
        parts = [np.empty(0, np.float32)]
        for start in range(0, len(pairs.queries), CHUNK):
            part = slice(start, start + CHUNK)
            queries = self.queries.subset(pairs.queries[part])
            documents = self.documents.subset(pairs.documents[part])
            parts.append(pair_scores(queries.take(0, CHUNK), documents.take(0, CHUNK)[:, None, :])[:, 0])
        return np.concatenate(parts)


def retrieve(
    collection: Collection,
    qrels: pl.DataFrame,
    excluded: pl.DataFrame,
    rules: Mine,
    wanted: IntArray,
    device: str = "cpu",
    progress: Callable[[int], object] = id,
) -> pl.DataFrame:
    """Search the candidates of every query.

    Each query gets its positives, its `keep` best other documents, those judged irrelevant (marked so), and
    then as many eligible documents as are wanted, however far down they are: queries that the rules leave
    short are searched again, within the rank range where there is one, then below their own ceiling.

    Args:
        collection: n queries and the documents they are searched in.
        qrels: query_id, doc_id, relevance, above 0 for positives: every query has one among the documents.
        excluded: query_id, doc_id, reason: documents that are never a query's negative.
        rules: The recipe's `mine` section.
        wanted: int64 of shape (n,): eligible documents each query should get.
        device: A torch device.
        progress: Called with the number of queries done, each time some are.

    Returns:
        The candidates artefact. Rank counts the query's places with its positives taken out, from 1; it is
        null for documents found by a search below the ceiling, and for positives below all ranked ones.
    """
    judged = collection.positions(qrels)
    relevant = judged.filter(pl.col("relevance") > 0)
    shut = collection.positions(excluded)
    positives, blocked = _pairs([relevant]), _pairs([relevant, shut])
    scored = relevant.with_columns(
        pl.Series("score", collection.scores(positives)), pl.lit(None, dtype=pl.Int64).alias("rank")
    )

    def search(
        rows: IntArray, k: int, without: Pairs, ceilings: npt.NDArray[np.float64] | None = None
    ) -> Hits:
        queries = collection.queries.subset(rows)
        report = progress if len(rows) == len(collection.queries) else id
        return top(queries, collection.documents, k, without.only(rows), ceilings, device, report)

    def short(*fillable: str) -> IntArray:
        """Find the queries with fewer usable candidates than wanted."""
        usable = filter_false_negatives(found, shut, rules).filter(
            pl.col("reason").is_null() | pl.col("reason").is_in(fillable)
        )
        have = np.bincount(usable["query_id"].to_numpy(), minlength=len(wanted))
        return np.flatnonzero(have < wanted)

    everyone = np.arange(len(collection.queries))
    found = _ranked([scored, _frame(everyone, search(everyone, rules.keep, positives))])
    if rules.judged:
        found = _with_judged(found, collection, judged.filter(pl.col("relevance") == 0))
    places = window(rules, int(relevant["query_id"].value_counts()["count"].max()))  # type: ignore[arg-type]
    if places is not None and places > rules.keep and len(rows := short()):
        found = _usable(found, _frame(rows, search(rows, places, positives)), shut, rules)
    if places is None or rules.shortfall == "backfill":
        rows = short(*BACKFILLABLE)
        reference = scored.group_by("query_id").agg(pl.col("score").min()).sort("query_id")["score"]
        ceilings = _ceilings(exact_scores(reference.to_numpy()), rules)
        sizes = 2 ** np.ceil(np.log2(wanted[rows])).astype(np.int64)  # few sizes, so few searches
        for size in np.unique(sizes):
            part = rows[sizes == size]
            hits = _frame(part, search(part, int(size), blocked, ceilings[part]))
            found = pl.concat(
                [found, hits.with_columns(pl.lit(None, dtype=pl.Int64).alias("rank"))], how="diagonal_relaxed"
            )
    found = found.unique(["query_id", "doc_id"], keep="first", maintain_order=True)
    found = found.sort(["query_id", "score", "doc_id"], descending=[False, True, False])
    return schema.fit(
        "candidates",
        found.with_columns(
            collection.query_ids.gather(found["query_id"]).alias("query_id"),
            collection.doc_ids.gather(found["doc_id"]).alias("doc_id"),
            pl.col("source").fill_null("dense"),
        ),
    )


def rankings(
    collection: Collection,
    without: pl.DataFrame,
    depth: int = DEPTH,
    device: str = "cpu",
    progress: Callable[[int], object] = id,
) -> pl.DataFrame:
    """Rank the documents of a collection for each of its queries; positives are retrieved or they are not.

    Args:
        collection: Some queries, and all documents.
        without: query_id, doc_id: documents a query is not to find.
        depth: How many documents are retrieved per query.
        device: A torch device.
        progress: Called with the number of queries done, each time some are.

    Returns:
        query_id, doc_id, rank (from 1), score; in the order of the queries, best first.
    """
    left_out = _pairs([collection.positions(without)])
    hits = top(collection.queries, collection.documents, depth, left_out, None, device, progress)
    found = _frame(np.arange(len(hits.documents)), hits)
    return found.select(
        collection.query_ids.gather(found["query_id"]).alias("query_id"),
        collection.doc_ids.gather(found["doc_id"]).alias("doc_id"),
        pl.col("rank").cast(pl.Int32),
        "score",
    )


def hit_rates(
    ranked: pl.DataFrame, qrels: pl.DataFrame, queries: int, depth: int = DEPTH
) -> dict[str, float]:
    """Measure how well rankings find positives.

    Args:
        ranked: query_id, doc_id, rank.
        qrels: query_id, doc_id, relevance.
        queries: How many queries were ranked for.
        depth: How many documents were retrieved per query.

    Returns:
        accuracy@1, @10 and @depth (a positive is among the first so many) and mrr@10, each in 0..1.
    """
    relevant = qrels.filter(pl.col("relevance") > 0)
    best = ranked.join(relevant, on=["query_id", "doc_id"], how="semi")
    first = best.group_by("query_id").agg(pl.col("rank").min())["rank"].to_numpy()
    rates = {f"accuracy@{k}": float((first <= k).sum() / queries) for k in (1, 10, depth)}
    return {**rates, "mrr@10": float(np.where(first <= 10, 1 / first, 0).sum() / queries)}


def _pairs(frames: Sequence[pl.DataFrame]) -> Pairs:
    both = pl.concat([frame.select("query_id", "doc_id") for frame in frames])
    return Pairs.of(both["query_id"].to_numpy(), both["doc_id"].to_numpy())


def _ceilings(reference: npt.NDArray[np.float64], rules: Mine) -> npt.NDArray[np.float64]:
    ceilings = np.full(len(reference), np.inf)
    for highest in thresholds(reference, rules).values():
        ceilings = np.minimum(ceilings, highest)
    return ceilings


def _frame(rows: IntArray, hits: Hits) -> pl.DataFrame:
    """List hits as unjudged candidates, by position."""
    k = hits.documents.shape[1]
    frame = pl.DataFrame(
        {
            "query_id": np.repeat(rows, k),
            "doc_id": hits.documents.ravel(),
            "relevance": np.zeros(len(rows) * k, np.int32),
            "rank": np.tile(np.arange(1, k + 1), len(rows)),
            "score": hits.scores.ravel(),
        }
    )
    return frame.filter(pl.col("doc_id") >= 0)


def _ranked(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Put positives among the candidates, and give each the rank it would have among them."""
    found = pl.concat([frame.select("query_id", "doc_id", "relevance", "rank", "score") for frame in frames])
    found = found.with_columns(pl.lit(None, dtype=pl.String).alias("source"))
    found = found.sort(["query_id", "score", "relevance", "doc_id"], descending=[False, True, True, False])
    before = pl.col("rank").is_not_null().cum_sum().over("query_id")
    ranked = pl.col("rank").is_not_null().sum().over("query_id")
    place = pl.when(before < ranked).then(before + 1)
    return found.with_columns(pl.coalesce("rank", place).cast(pl.Int64))


def _with_judged(found: pl.DataFrame, collection: Collection, judged: pl.DataFrame) -> pl.DataFrame:
    """Add the documents judged irrelevant, wherever they rank, and mark them so."""
    pairs = ["query_id", "doc_id"]
    scores = collection.scores(Pairs(*(judged[key].to_numpy() for key in pairs)))
    rows = judged.select(*pairs, "relevance").with_columns(pl.Series("score", scores, dtype=pl.Float32))
    rows = rows.join(found.select(*pairs, "rank"), on=pairs, how="left", maintain_order="left")
    rows = rows.with_columns(pl.lit("judged").alias("source"))
    return pl.concat(
        [found.join(rows, on=pairs, how="anti", maintain_order="left"), rows.select(found.columns)]
    )


def _usable(found: pl.DataFrame, deeper: pl.DataFrame, shut: pl.DataFrame, rules: Mine) -> pl.DataFrame:
    """Add what a deeper search found and the rules accept."""
    both = pl.concat([found, deeper], how="diagonal").unique(
        ["query_id", "doc_id"], keep="first", maintain_order=True
    )
    accepted = filter_false_negatives(both, shut, rules).filter(pl.col("reason").is_null())
    deeper = deeper.join(accepted, on=["query_id", "doc_id"], how="semi")
    return pl.concat([found, deeper], how="diagonal").unique(
        ["query_id", "doc_id"], keep="first", maintain_order=True
    )
