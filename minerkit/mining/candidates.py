"""Retrieve the candidates of every query: the best documents, and as many eligible ones as the query needs.

Frames of candidates hold positions in query_id and doc_id, by query and best first. A query is short while it
has fewer usable candidates than it needs; short queries are searched again (see `retrieve`).
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.mining.filters import filter_false_negatives
from minerkit.mining.requests import SearchRequests
from minerkit.mining.split_queries import SplitQueries
from minerkit.recipe import Mine
from minerkit.search import Hits, Request

__all__ = ["hits_to_frame", "retrieve"]

IntArray = npt.NDArray[np.int64]
PAIR = ("query_id", "doc_id")
#: The sources of candidates, as one byte each: retrieval, or people who judged the document irrelevant.
SOURCES = pl.Enum(["dense", "judged"])


def retrieve(queries: SplitQueries, rules: Mine) -> pl.DataFrame:
    """Search the candidates of every query.

    A query gets its positives, its `keep` best other documents, the documents judged irrelevant, and then as
    many eligible documents as it needs, however low they rank. Queries that the rules leave short are
    searched again: first within the rank range, if there is one; then below their score ceiling, the highest
    score that all rules accept.

    Args:
        queries: n queries with their documents, qrels and exclusions.
        rules: The recipe's `mine` section.

    Returns:
        query_id, doc_id (positions; `SplitQueries.to_ids` replaces them by ids), relevance, rank, score and
        source (dense or judged), by query, best first. Ranks count from 1 and leave out the query's
        positives. The rank is null for documents found below the ceiling, and for positives that score below
        all ranked documents.

    Example:
        >>> import minerkit
        >>> import numpy as np
        >>> import polars as pl
        >>> vectors = np.array([[1, 0], [0.9, 0.4], [0.6, 0.8], [0, 1]], np.float32)
        >>> queries, documents = minerkit.Vectors.of(vectors[[0, 3]]), minerkit.Vectors.of(vectors)
        >>> index = minerkit.open_index(documents, queries=2, device="cpu", memory=1 << 30)
        >>> qrels = pl.DataFrame({"query_id": ["q1", "q2"], "doc_id": ["d1", "d4"], "relevance": 1})
        >>> excluded = pl.DataFrame(schema={"query_id": pl.String, "doc_id": pl.String, "reason": pl.String})
        >>> rules = minerkit.Mine(negatives=2)
        >>> query_ids, doc_ids = pl.Series(["q1", "q2"]), pl.Series(["d1", "d2", "d3", "d4"])
        >>> split = minerkit.SplitQueries.of(query_ids, queries, doc_ids, index, qrels, excluded, rules)
        >>> candidates = split.to_ids(minerkit.retrieve(split, rules))
        >>> candidates.filter(query_id="q1").select("doc_id", "relevance", "rank").rows()
        [('d1', 1, 1), ('d2', 0, 1), ('d3', 0, 2), ('d4', 0, 3)]
    """
    requests = SearchRequests.of(queries, rules)
    searcher = queries.searcher or queries.index
    first_requests = requests.requests if queries.single_pass else [requests.best]
    best, *below_ceiling = searcher.search(*first_requests)
    candidates = _insert_positives(requests.positives, best.top(np.arange(len(queries.needed))))
    if rules.judged:
        candidates = _mark_judged(candidates, queries)
    candidates = _search_rank_range(candidates, queries, requests, rules)
    if requests.searches_below:
        complete = np.full(len(queries.needed), False)
        if below_ceiling:
            short = _short_queries(requests.usable(candidates, queries.excluded), queries)
            k = requests.below_ceiling.k
            short = short[requests.limits[short] <= k]
            found = hits_to_frame(short, below_ceiling[0].top(short))
            candidates = _merge(candidates, _cut_to_limits(found, requests.limits))
            # An exact search for as many as a query may get has found all there are.
            complete = (requests.limits <= k) & (searcher is queries.index)
        candidates = _search_below_ceilings(candidates, queries, requests, ~complete)
    queries.query_vectors.release()
    return candidates.with_columns(pl.col("source").fill_null("dense"))


def hits_to_frame(positions: IntArray, hits: Hits) -> pl.DataFrame:
    """List hits as unjudged candidates.

    Args:
        positions: int64 of shape (n,): the positions of the n queries of the hits.
        hits: The best documents of the n queries.

    Returns:
        query_id, doc_id (positions), relevance (0), rank (from 1), score.
    """
    k = hits.documents.shape[1]
    frame = pl.DataFrame(
        {
            "query_id": np.repeat(positions.astype(np.int32), k),
            "doc_id": hits.documents.ravel().astype(np.int32),
            "relevance": np.zeros(len(positions) * k, np.int32),
            "rank": np.tile(np.arange(1, k + 1, dtype=np.int32), len(positions)),
            "score": hits.scores.ravel(),
        }
    )
    return frame.filter(pl.col("doc_id") >= 0)


def _search_rank_range(
    candidates: pl.DataFrame, queries: SplitQueries, requests: SearchRequests, rules: Mine
) -> pl.DataFrame:
    """Search the whole rank range for the queries whose `keep` best documents leave them short."""
    window = queries.window
    if window is None or window <= rules.keep:
        return candidates
    short = _short_queries(_eligible(candidates, queries, rules), queries)
    if not len(short):
        return candidates
    found = _search_exactly(queries, short, requests.best, window)
    eligible = _eligible(_merge(candidates, found), queries, rules)
    return _merge(candidates, found.join(eligible, on=PAIR, how="semi"))


def _search_below_ceilings(
    candidates: pl.DataFrame,
    queries: SplitQueries,
    requests: SearchRequests,
    searched: npt.NDArray[np.bool_],
) -> pl.DataFrame:
    """Search below their ceilings for those of the searched queries that are still short."""
    if not searched.any():
        return candidates
    short = _short_queries(requests.usable(candidates, queries.excluded), queries)
    short = short[searched[short]]
    for limit in np.unique(requests.limits[short]):
        group = short[requests.limits[short] == limit]
        found = _search_exactly(queries, group, requests.below_ceiling, int(limit))
        candidates = _merge(candidates, _cut_to_limits(found, requests.limits))
    return candidates


def _search_exactly(queries: SplitQueries, positions: IntArray, request: Request, k: int) -> pl.DataFrame:
    """Search the k best documents of some queries exactly."""
    return hits_to_frame(positions, queries.index.top(replace(request.subset(positions), k=k)))


def _eligible(candidates: pl.DataFrame, queries: SplitQueries, rules: Mine) -> pl.DataFrame:
    """Keep the candidates that all rules accept."""
    filtered = filter_false_negatives(candidates, queries.excluded, rules, queries.window)
    return filtered.filter(pl.col("reason").is_null())


def _short_queries(usable: pl.DataFrame, queries: SplitQueries) -> IntArray:
    """Return the positions of the queries with fewer usable candidates than they need."""
    counts = np.bincount(usable["query_id"].to_numpy(), minlength=len(queries.needed))
    return np.flatnonzero(counts < queries.needed)


def _cut_to_limits(found: pl.DataFrame, limits: IntArray) -> pl.DataFrame:
    """Keep as many documents found below a ceiling as the query may get, and clear their ranks."""
    limits_of_rows = pl.Series(limits[found["query_id"].to_numpy()])
    kept = found.filter(pl.col("rank") <= limits_of_rows)
    return kept.with_columns(rank=pl.lit(None, dtype=pl.Int32))


def _sort(candidates: pl.DataFrame) -> pl.DataFrame:
    """Sort candidates by query, best first, positives before other documents of the same score."""
    return candidates.sort(
        ["query_id", "score", "relevance", "doc_id"], descending=[False, True, True, False]
    )


def _insert_positives(positives: pl.DataFrame, hits: Hits) -> pl.DataFrame:
    """Insert the positives into the hits of their queries, with the rank they would have there."""
    positives = _sort(positives)
    query_of, scores = positives["query_id"].to_numpy(), positives["score"].to_numpy()
    found = hits.documents >= 0
    counts = found.sum(axis=1)
    # A positive precedes other documents of its score.
    hits_above = (hits.scores[query_of] > scores[:, None]).sum(axis=1)
    offsets = (np.cumsum(counts) - counts)[query_of] + hits_above
    ranks = np.broadcast_to(np.arange(1, found.shape[1] + 1, dtype=np.int32), found.shape)[found]
    # Rank 0 stands for no rank: the positive scores below all hits.
    positive_ranks = np.where(hits_above < counts[query_of], hits_above + 1, 0)
    query_ids, doc_ids = np.arange(len(counts), dtype=np.int32), hits.documents[found].astype(np.int32)
    frame = pl.DataFrame(
        {
            "query_id": np.insert(np.repeat(query_ids, counts), offsets, query_of),
            "doc_id": np.insert(doc_ids, offsets, positives["doc_id"].to_numpy()),
            "relevance": np.insert(
                np.zeros(len(ranks), np.int32), offsets, positives["relevance"].to_numpy()
            ),
            "rank": np.insert(ranks, offsets, positive_ranks),
            "score": np.insert(hits.scores[found], offsets, scores),
        }
    )
    rank = pl.when(pl.col("rank") > 0).then("rank")
    return frame.with_columns(rank, source=pl.lit(None, SOURCES))


def _mark_judged(candidates: pl.DataFrame, queries: SplitQueries) -> pl.DataFrame:
    """Add the documents judged irrelevant, whatever their rank, and mark their source."""
    irrelevant = queries.qrels.filter(pl.col("relevance") == 0)
    if irrelevant.is_empty():
        return candidates
    pairs = (irrelevant[name].to_numpy() for name in PAIR)
    scores = queries.index.pair_scores(queries.query_vectors, *pairs)
    judged = irrelevant.select(*PAIR, "relevance").with_columns(pl.Series("score", scores, dtype=pl.Float32))
    judged = judged.join(candidates.select(*PAIR, "rank"), on=PAIR, how="left", maintain_order="left")
    judged = judged.with_columns(pl.lit("judged", SOURCES).alias("source"))
    others = candidates.join(judged, on=PAIR, how="anti")
    return _sort(pl.concat([others, judged.select(candidates.columns)]))


def _merge(candidates: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Add the found documents that are not candidates yet; sort only the queries that get new ones."""
    affected = pl.col("query_id").is_in(found["query_id"].unique().implode())
    old = candidates.filter(affected)
    new = found.join(old, on=PAIR, how="anti")
    if new.is_empty():
        return candidates
    merged = _sort(pl.concat([old, new], how="diagonal_relaxed"))
    unsorted = pl.concat([candidates.filter(~affected), merged])
    # Both halves are sorted by query, so that numpy's stable sort only merges them.
    return unsorted[np.argsort(unsorted["query_id"].to_numpy(), kind="stable")]
