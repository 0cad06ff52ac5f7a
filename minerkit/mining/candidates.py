"""Candidates for every query: the best documents, and below them as many eligible ones as are wanted."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.mining.filters import filter_false_negatives
from minerkit.mining.requests import SearchRequests
from minerkit.mining.split_queries import SplitQueries
from minerkit.recipe import Mine
from minerkit.search import Hits, Request

__all__ = ["list_hits", "retrieve"]

IntArray = npt.NDArray[np.int64]
PAIR = ("query_id", "doc_id")
#: Where candidates come from, as a byte each: retrieval, or people's judgement.
SOURCES = pl.Enum(["dense", "judged"])


def retrieve(queries: SplitQueries, rules: Mine) -> pl.DataFrame:
    """Search the candidates of every query.

    Each query gets its positives, its `keep` best other documents, those judged irrelevant (marked so), and
    then as many eligible documents as are wanted, however far down they are: queries that the rules leave
    short are searched again, within the rank range where there is one, then below their own ceiling.

    Args:
        queries: n queries, their documents, judgements and exclusions.
        rules: The recipe's `mine` section.

    Returns:
        The candidates artefact with pairs by position (`SplitQueries.to_ids` names them), without scores of a
        reranker; by query, best first. Rank counts the query's places with its positives taken out, from 1;
        it is null for documents found by a search below the ceiling, and for positives below all ranked ones.
    """
    requests = SearchRequests.of(queries, rules)
    searcher = queries.searcher or queries.index
    ranked, *below = searcher.search(*requests.every[: None if queries.single_pass else 1])
    found = _ranked(requests.positives, ranked.top(np.arange(len(queries.wanted))))
    if rules.judged:
        found = _with_judged(found, queries)
    found = _deeper(found, queries, requests, rules)
    if requests.fills:
        left = np.full(len(queries.wanted), True)
        if below:
            rows = _short(requests.below_ceilings(found, queries.excluded), queries)
            rows = rows[requests.sizes[rows] <= requests.below.k]
            found = _with(found, _unranked(list_hits(rows, below[0].top(rows)), requests.sizes))
            # Of the others, an exact search has found all there are.
            left = (requests.sizes > requests.below.k) | (searcher is not queries.index)
        found = _filled(found, queries, requests, left)
    queries.queries.release()
    return found.with_columns(pl.col("source").fill_null("dense"))


def _deeper(
    found: pl.DataFrame, queries: SplitQueries, requests: SearchRequests, rules: Mine
) -> pl.DataFrame:
    """Search the whole rank range for queries that are short of accepted candidates within it."""
    window = queries.window
    if window is None or window <= rules.keep:
        return found
    rows = _short(_accepted(found, queries, rules), queries)
    if not len(rows):
        return found
    deeper = _search(queries, rows, requests.best, window)
    accepted = _accepted(_with(found, deeper), queries, rules)
    return _with(found, deeper.join(accepted, on=PAIR, how="semi"))


def _filled(
    found: pl.DataFrame, queries: SplitQueries, requests: SearchRequests, left: npt.NDArray[np.bool_]
) -> pl.DataFrame:
    """Search below their ceilings for those of the queries left that are still short."""
    if not left.any():
        return found
    rows = _short(requests.below_ceilings(found, queries.excluded), queries)
    rows = rows[left[rows]]
    for size in np.unique(requests.sizes[rows]):
        hits = _search(queries, rows[requests.sizes[rows] == size], requests.below, int(size))
        found = _with(found, _unranked(hits, requests.sizes))
    return found


def _search(queries: SplitQueries, rows: IntArray, request: Request, k: int) -> pl.DataFrame:
    """Search exactly for some queries."""
    return list_hits(rows, queries.index.top(replace(request.subset(rows), k=k)))


def _short(usable: pl.DataFrame, queries: SplitQueries) -> IntArray:
    """List the queries with fewer usable candidates than they want."""
    counts = np.bincount(usable["query_id"].to_numpy(), minlength=len(queries.wanted))
    return np.flatnonzero(counts < queries.wanted)


def list_hits(rows: IntArray, hits: Hits) -> pl.DataFrame:
    """List hits as unjudged candidates, by position.

    Args:
        rows: int64 of shape (n,): the query of each row of the hits.
        hits: The best documents of n queries.

    Returns:
        query_id, doc_id, relevance (0), rank (from 1), score.
    """
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
    """Insert the positives into the hits of each query, with the rank they would have there."""
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


def _with_judged(found: pl.DataFrame, queries: SplitQueries) -> pl.DataFrame:
    """Add the documents judged irrelevant, wherever they rank, and mark them so."""
    judged = queries.judged.filter(pl.col("relevance") == 0)
    if judged.is_empty():
        return found
    at = (judged[name].to_numpy() for name in PAIR)
    scores = queries.index.pair_scores(queries.queries, *at)
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


def _accepted(found: pl.DataFrame, queries: SplitQueries, rules: Mine) -> pl.DataFrame:
    """Keep what the rules accept."""
    judged = filter_false_negatives(found, queries.excluded, rules, queries.window)
    return judged.filter(pl.col("reason").is_null())
