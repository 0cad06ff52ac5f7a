"""Candidates for every query: the best documents, and below them as many eligible ones as are wanted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit import schema
from minerkit.filters import BACKFILLABLE, filter_false_negatives, thresholds, window
from minerkit.recipe import Mine
from minerkit.search import Hits, Index, Limits, Pairs, Request, exact_scores, pair_scores
from minerkit.search.lists import Lists
from minerkit.vectors import Vectors

__all__ = ["Collection", "hit_rates", "rankings", "retrieve"]

IntArray = npt.NDArray[np.int64]
#: Documents a query whose retrieval is measured gets.
DEPTH = 100


@dataclass(frozen=True)
class Collection:
    """Queries with their vectors, and an index of documents; both ids ascend, so that ties rank by id."""

    query_ids: pl.Series
    queries: Vectors
    doc_ids: pl.Series
    index: Index
    #: Does the first search of all queries; None: the index.
    first: Index | Lists | None = None

    def positions(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """Give rows (query_id, doc_id, ...) by position; rows of other splits are left out."""
        queries = pl.DataFrame({"query_id": self.query_ids, "q": np.arange(len(self.query_ids))})
        documents = pl.DataFrame({"doc_id": self.doc_ids, "d": np.arange(len(self.doc_ids))})
        found = pairs.join(queries, on="query_id").join(documents, on="doc_id").drop("query_id", "doc_id")
        return found.rename({"q": "query_id", "d": "doc_id"}).sort("query_id", "doc_id")

    def part(self, start: int, stop: int) -> "Collection":
        """Keep some of the queries."""
        rows = np.arange(start, stop)
        return replace(self, query_ids=self.query_ids[start:stop], queries=self.queries.subset(rows))


def retrieve(
    collection: Collection,
    judged: pl.DataFrame,
    shut: pl.DataFrame,
    rules: Mine,
    wanted: IntArray,
    places: int | None = None,
) -> pl.DataFrame:
    """Search the candidates of every query.

    Each query gets its positives, its `keep` best other documents, those judged irrelevant (marked so), and
    then as many eligible documents as are wanted, however far down they are: queries that the rules leave
    short are searched again, within the rank range where there is one, then below their own ceiling.

    Args:
        collection: n queries and the documents they are searched in.
        judged: query_id, doc_id (both as `Collection.positions` gives them), relevance, above 0 for
            positives: every query has one among the documents.
        shut: query_id, doc_id (by position), reason: documents that are never a query's negative.
        rules: The recipe's `mine` section.
        wanted: int64 of shape (n,): eligible documents each query should get.
        places: What `minerkit.filters.window` gives, where this is a part of a larger collection.

    Returns:
        The candidates artefact, by query, best first. Rank counts the query's places with its positives taken
        out, from 1; it is null for documents found by a search below the ceiling, and for positives below all
        ranked ones.
    """
    index = collection.index
    relevant = judged.filter(pl.col("relevance") > 0)
    places = places or window(rules, relevant)
    positives, blocked = _pairs([relevant]), _pairs([relevant, shut])
    scores = pair_scores(
        collection.queries.subset(positives.queries), index.documents.subset(positives.documents)
    )
    scored = relevant.with_columns(pl.Series("score", scores), pl.lit(None, dtype=pl.Int64).alias("rank"))

    def search(rows: IntArray, k: int, without: Pairs, ceilings: Limits = None) -> pl.DataFrame:
        asked = Request(collection.queries.subset(rows), k, without.only(rows), ceilings)
        return _frame(rows, index.top(asked))

    def short(*fillable: str) -> IntArray:
        """Find the queries with fewer usable candidates than wanted."""
        usable = filter_false_negatives(found, shut, rules, places).filter(
            pl.col("reason").is_null() | pl.col("reason").is_in(fillable)
        )
        have = np.bincount(usable["query_id"].to_numpy(), minlength=len(wanted))
        return np.flatnonzero(have < wanted)

    best = (collection.first or index).top(Request(collection.queries, rules.keep, positives))
    found = _ranked([scored, _frame(np.arange(len(wanted)), best)])
    if rules.judged:
        found = _with_judged(found, collection, judged.filter(pl.col("relevance") == 0))
    if places is not None and places > rules.keep and len(rows := short()):
        found = _usable(found, search(rows, places, positives), shut, rules, places)
    if places is None or rules.shortfall == "backfill":
        rows = short(*BACKFILLABLE)
        reference = scored.group_by("query_id").agg(pl.col("score").min()).sort("query_id")["score"]
        ceilings = _ceilings(exact_scores(reference.to_numpy()), rules)
        sizes = 2 ** np.ceil(np.log2(wanted[rows])).astype(np.int64)  # few sizes, so few searches
        for size in np.unique(sizes):
            part = rows[sizes == size]
            hits = search(part, int(size), blocked, ceilings[part])
            found = _with(found, hits.with_columns(pl.lit(None, dtype=pl.Int64).alias("rank")))
    collection.queries.release()
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
    progress: Callable[[int], object] = id,
) -> pl.DataFrame:
    """Rank the documents of a collection for each of its queries; positives are retrieved or they are not.

    Args:
        collection: Some queries, and all documents.
        without: query_id, doc_id: documents a query is not to find.
        depth: How many documents are retrieved per query.
        progress: Called with the number of queries done, each time some are.

    Returns:
        query_id, doc_id, rank (from 1), score; in the order of the queries, best first.
    """
    left_out = _pairs([collection.positions(without)])
    hits = collection.index.top(Request(collection.queries, depth, left_out), progress)
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
    # Sorted, so that the sum of fractions is the same to the last digit every time.
    first = np.sort(best.group_by("query_id").agg(pl.col("rank").min())["rank"].to_numpy())
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


def _ordered(found: pl.DataFrame) -> pl.DataFrame:
    """Sort candidates by query, best first; positives before others of the same score."""
    return found.sort(["query_id", "score", "relevance", "doc_id"], descending=[False, True, True, False])


def _ranked(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Put positives among the candidates, and give each the rank it would have among them."""
    found = pl.concat([frame.select("query_id", "doc_id", "relevance", "rank", "score") for frame in frames])
    found = _ordered(found.with_columns(pl.lit(None, dtype=pl.String).alias("source")))
    before = pl.col("rank").is_not_null().cum_sum().over("query_id")
    ranked = pl.col("rank").is_not_null().sum().over("query_id")
    place = pl.when(before < ranked).then(before + 1)
    return found.with_columns(pl.coalesce("rank", place).cast(pl.Int64))


def _with_judged(found: pl.DataFrame, collection: Collection, judged: pl.DataFrame) -> pl.DataFrame:
    """Add the documents judged irrelevant, wherever they rank, and mark them so."""
    pairs = ["query_id", "doc_id"]
    if judged.is_empty():
        return found
    scores = pair_scores(
        collection.queries.subset(judged["query_id"].to_numpy()),
        collection.index.documents.subset(judged["doc_id"].to_numpy()),
    )
    rows = judged.select(*pairs, "relevance").with_columns(pl.Series("score", scores, dtype=pl.Float32))
    rows = rows.join(found.select(*pairs, "rank"), on=pairs, how="left", maintain_order="left")
    rows = rows.with_columns(pl.lit("judged").alias("source"))
    return _ordered(pl.concat([found.join(rows, on=pairs, how="anti"), rows.select(found.columns)]))


def _with(found: pl.DataFrame, more: pl.DataFrame) -> pl.DataFrame:
    """Add what is not there yet."""
    fresh = more.join(found, on=["query_id", "doc_id"], how="anti")
    return _ordered(pl.concat([found, fresh], how="diagonal_relaxed")) if len(fresh) else found


def _usable(
    found: pl.DataFrame, deeper: pl.DataFrame, shut: pl.DataFrame, rules: Mine, places: int
) -> pl.DataFrame:
    """Add what a deeper search found and the rules accept."""
    accepted = filter_false_negatives(_with(found, deeper), shut, rules, places)
    accepted = accepted.filter(pl.col("reason").is_null())
    return _with(found, deeper.join(accepted, on=["query_id", "doc_id"], how="semi"))
