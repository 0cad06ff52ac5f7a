"""Candidates for every query: the best documents, and below them as many eligible ones as are wanted."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.mining.collection import Collection
from minerkit.mining.filters import filter_false_negatives
from minerkit.mining.requests import Asked
from minerkit.recipe.recipe import Mine
from minerkit.search import Hits, Pairs, Request, pair_scores

__all__ = ["hit_rates", "rankings", "retrieve"]

IntArray = npt.NDArray[np.int64]
#: Documents a query whose retrieval is measured gets.
DEPTH = 100
PAIR = ("query_id", "doc_id")
#: Where candidates come from, as a byte each: retrieval, or people's judgement.
SOURCES = pl.Enum(["dense", "judged"])


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
        places: What `minerkit.mining.filters.rank_window` gives, where this is a part of a larger collection.

    Returns:
        The candidates artefact with pairs by position (`Collection.named` names them), without scores of a
        reranker; by query, best first. Rank counts the query's places with its positives taken out, from 1;
        it is null for documents found by a search below the ceiling, and for positives below all ranked ones.
    """
    index, first = collection.index, collection.first or collection.index
    asked = Asked.of(collection, judged, shut, rules, wanted, places)
    places = asked.places

    def search(rows: IntArray, request: Request, k: int) -> pl.DataFrame:
        return _frame(rows, index.top(replace(request.only(rows), k=k)))

    def short(usable: pl.DataFrame) -> IntArray:
        """Find the queries with fewer usable candidates than wanted."""
        return np.flatnonzero(np.bincount(usable["query_id"].to_numpy(), minlength=len(wanted)) < wanted)

    ranked, *below = first.search(*asked.requests[: None if collection.together else 1])
    everyone = np.arange(len(wanted))
    found = _ranked(asked.positives, ranked.top(everyone))
    if rules.judged:
        found = _with_judged(found, collection, judged.filter(pl.col("relevance") == 0))
    if (
        places is not None
        and places > rules.keep
        and len(rows := short(_accepted(found, shut, rules, places)))
    ):
        deeper = search(rows, asked.best, places)
        accepted = _accepted(_with(found, deeper), shut, rules, places)
        found = _with(found, deeper.join(accepted, on=PAIR, how="semi"))
    if asked.fills:
        left = np.full(len(wanted), True)
        if below:
            rows = short(asked.below_ceilings(found, shut))
            rows = rows[asked.sizes[rows] <= asked.below.k]
            found = _with(found, _unranked(_frame(rows, below[0].top(rows)), asked.sizes))
            # Of the others, an exact search has found all there are.
            left = (asked.sizes > asked.below.k) | (first is not index)
        rows = short(asked.below_ceilings(found, shut)) if left.any() else everyone[:0]
        rows = rows[left[rows]]
        for size in np.unique(asked.sizes[rows]):
            hits = search(rows[asked.sizes[rows] == size], asked.below, int(size))
            found = _with(found, _unranked(hits, asked.sizes))
    collection.queries.release()
    return found.with_columns(pl.col("source").fill_null("dense"))


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
    shut = collection.positions(without)
    left_out = Pairs.of(shut["query_id"].to_numpy(), shut["doc_id"].to_numpy())
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
    best = ranked.join(relevant, on=PAIR, how="semi")
    # Sorted, so that the sum of fractions is the same to the last digit every time.
    first = np.sort(best.group_by("query_id").agg(pl.col("rank").min())["rank"].to_numpy())
    rates = {f"accuracy@{k}": float((first <= k).sum() / queries) for k in (1, 10, depth)}
    return {**rates, "mrr@10": float(np.where(first <= 10, 1 / first, 0).sum() / queries)}


def _frame(rows: IntArray, hits: Hits) -> pl.DataFrame:
    """List hits as unjudged candidates, by position."""
    k = hits.documents.shape[1]
    frame = pl.DataFrame(
        {
            "query_id": np.repeat(rows.astype(np.int32), k),
            "doc_id": hits.documents.ravel().astype(np.int32),
            "relevance": np.zeros(len(rows) * k, np.int32),
            "rank": np.tile(np.arange(1, k + 1, dtype=np.int32), len(rows)),
            "score": hits.scores.ravel(),
        }
    )
    return frame.filter(pl.col("doc_id") >= 0)


def _unranked(found: pl.DataFrame, sizes: IntArray) -> pl.DataFrame:
    """Take as many documents found below a ceiling as a query is to get; they have no rank."""
    most = sizes[found["query_id"].to_numpy()]
    return found.filter(pl.col("rank") <= pl.Series(most)).with_columns(rank=pl.lit(None, dtype=pl.Int32))


def _ordered(found: pl.DataFrame) -> pl.DataFrame:
    """Sort candidates by query, best first; positives before others of the same score."""
    return found.sort(["query_id", "score", "relevance", "doc_id"], descending=[False, True, True, False])


def _ranked(positives: pl.DataFrame, hits: Hits) -> pl.DataFrame:
    """Put positives among the hits of each query, and give each the rank it would have among them."""
    positives = _ordered(positives)
    own, scores = positives["query_id"].to_numpy(), positives["score"].to_numpy()
    there, every = hits.documents >= 0, np.arange(1, hits.documents.shape[1] + 1, dtype=np.int32)
    counts = there.sum(axis=1)
    before = (hits.scores[own] > scores[:, None]).sum(axis=1)  # a positive precedes others of its score
    places = (np.cumsum(counts) - counts)[own] + before
    ranks = np.broadcast_to(every, there.shape)[there]
    queries, documents = np.arange(len(counts), dtype=np.int32), hits.documents[there].astype(np.int32)
    frame = pl.DataFrame(
        {
            "query_id": np.insert(np.repeat(queries, counts), places, own),
            "doc_id": np.insert(documents, places, positives["doc_id"].to_numpy()),
            "relevance": np.insert(np.zeros(len(ranks), np.int32), places, positives["relevance"].to_numpy()),
            "rank": np.insert(ranks, places, np.where(before < counts[own], before + 1, 0)),
            "score": np.insert(hits.scores[there], places, scores),
        }
    )
    # A positive below all that were found has no rank.
    rank = pl.when(pl.col("rank") > 0).then("rank")
    return frame.with_columns(rank, source=pl.lit(None, SOURCES))


def _with_judged(found: pl.DataFrame, collection: Collection, judged: pl.DataFrame) -> pl.DataFrame:
    """Add the documents judged irrelevant, wherever they rank, and mark them so."""
    if judged.is_empty():
        return found
    at = (judged[name].to_numpy() for name in PAIR)
    scores = pair_scores(collection.queries, collection.index.documents, *at)
    rows = judged.select(*PAIR, "relevance").with_columns(pl.Series("score", scores, dtype=pl.Float32))
    rows = rows.join(found.select(*PAIR, "rank"), on=PAIR, how="left", maintain_order="left")
    rows = rows.with_columns(pl.lit("judged", SOURCES).alias("source"))
    return _ordered(pl.concat([found.join(rows, on=PAIR, how="anti"), rows.select(found.columns)]))


def _with(found: pl.DataFrame, more: pl.DataFrame) -> pl.DataFrame:
    """Add what is not there yet; only queries that get something are put in order again."""
    given = pl.col("query_id").is_in(more["query_id"].unique().implode())
    own = found.filter(given)
    fresh = more.join(own, on=PAIR, how="anti")
    if fresh.is_empty():
        return found
    changed = _ordered(pl.concat([own, fresh], how="diagonal_relaxed"))
    both = pl.concat([found.filter(~given), changed])
    # Two sorted parts: numpy's stable sort merges them.
    return both[np.argsort(both["query_id"].to_numpy(), kind="stable")]


def _accepted(found: pl.DataFrame, shut: pl.DataFrame, rules: Mine, places: int) -> pl.DataFrame:
    """Keep what the rules accept."""
    return filter_false_negatives(found, shut, rules, places).filter(pl.col("reason").is_null())
