"""Whether to search approximately, and with how much effort: measured on some of the run's own queries."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.recipe import Search
from minerkit.search.decimals import exact_scores
from minerkit.search.dense import DenseIndex
from minerkit.search.index import Index, Searcher
from minerkit.search.request import Hits, Request

if TYPE_CHECKING:  # these load numba, which a small search does without
    from minerkit.search.exact import ExactIndex
    from minerkit.search.ivf import Clusters

__all__ = ["Plan", "draw_sample", "recall", "tune_search"]

#: Queries that an approximate search is measured on, and that an exact one is timed on at first.
SAMPLE, TIMED = 4096, 512
#: The share of queries that what is asked first leaves short from which all is asked of every query at once:
#: looking twice at all products takes about as long as making those of so many queries again.
TOGETHER = 0.1
#: Seconds of exact search from which `auto` looks for something faster.
WORTH = 120.0
#: The share of the lists that a query is searched in at first; how many times as many at each further try.
SHARE, MORE = 1 / 16, 1.25
SEED = 12
PLAN = {"mode": pl.String, "together": pl.Boolean, "recall": pl.Float64, "probes": pl.Int64}


@dataclass(frozen=True)
class Plan:
    """How to search: exactly, or in so many of these lists, with the recall that was measured.

    Either all requests are searched together for every query; or the first alone, which few queries leave
    short.
    """

    mode: Literal["exact", "ann"]
    together: bool = True
    recall: float = 1.0
    probes: int = 0
    found: "Clusters | None" = None

    def facts(self) -> dict[str, str | float | int]:
        """Say it in a JSON-ready mapping: mode and recall; of an approximate search, lists and probes."""
        facts: dict[str, str | float | int] = {"mode": self.mode, "recall": self.recall}
        if self.found is not None:
            facts |= {"lists": len(self.found.centroids), "probes": self.probes}
        return facts

    def frames(self) -> dict[str, pl.DataFrame]:
        """Give the plan as tables, to be stored."""
        plan = pl.DataFrame([[self.mode], [self.together], [self.recall], [self.probes]], schema=PLAN)
        if self.found is None:
            return {"plan": plan}
        centroids = pl.DataFrame({"value": self.found.centroids.ravel()})
        return {"plan": plan, "centroids": centroids, "lists": pl.DataFrame({"list": self.found.list_of})}

    @classmethod
    def of(cls, frames: dict[str, pl.DataFrame], dim: int) -> "Plan":
        """Read a plan that was stored."""
        mode, together, measured, probes = frames["plan"].row(0)
        if mode == "exact":
            return cls("exact", together)
        from minerkit.search.ivf import Clusters

        centroids = frames["centroids"]["value"].to_numpy(writable=True).reshape(-1, dim)
        return cls("ann", together, measured, probes, Clusters(centroids, frames["lists"]["list"].to_numpy()))

    def searcher(self, index: Index) -> Searcher:
        """Give what searches as planned, in the documents of an index."""
        if self.found is None:
            return index
        from minerkit.search.ivf import Lists

        return Lists(cast("ExactIndex", index), self.found, self.probes)


def draw_sample(count: int) -> npt.NDArray[np.int64]:
    """Draw the queries that a search is tuned on.

    Args:
        count: How many queries there are.

    Returns:
        Positions, ascending; the same each time.
    """
    return np.sort(np.random.default_rng(SEED).permutation(count)[:SAMPLE])


def tune_search(index: Index, requests: Sequence[Request], count: int, spec: Search) -> Plan:
    """Decide how to search.

    Args:
        index: The documents.
        requests: What will be asked, of some of the queries; of the same in each. What follows the first is
            for queries that it leaves short.
        count: How many queries there are in all.
        spec: The recipe's `search` section.

    Returns:
        The plan. An approximate search gets more effort until the share of the documents wanted that it
        finds, over these queries, reaches the target for each request. `auto` takes it where it saves time.
    """
    if index.device != "cpu" or isinstance(index, DenseIndex):
        return Plan("exact")
    return _tuned(cast("ExactIndex", index), requests, count, spec)


def _tuned(index: "ExactIndex", requests: Sequence[Request], count: int, spec: Search) -> Plan:
    """Time exact and approximate searches, and take the faster one that finds enough."""
    from minerkit.search.ivf import Lists, clusters

    everyone = np.arange(len(requests[0]))
    timed = [request.only(everyone[:TIMED]) for request in requests]

    def timing(requests: Sequence[Request]) -> tuple[Hits, float]:
        started = time.monotonic()
        return index.search(*requests)[0].top(np.arange(len(requests[0]))), time.monotonic() - started

    index.prepare()
    timing([request.only(everyone[:1]) for request in requests])  # the first search may compile its loops
    first, seconds = timing(timed)
    exactly = Plan("exact", any(_short(first, request) >= TOGETHER for request in timed[1:]))
    exact_seconds = seconds * count / max(1, len(timed[0]))
    if spec.mode == "exact" or (spec.mode == "auto" and exact_seconds < WORTH):
        return exactly
    best = [found.top(everyone) for found in index.search(*requests)]
    index.forget()  # lists have codes of their own
    started = time.monotonic()
    found = clusters(index.documents)
    made, probes = time.monotonic() - started, max(1, int(SHARE * len(found.centroids)))
    lists = Lists(index, found, probes)
    while True:
        lists.probes, started = probes, time.monotonic()
        hits = [found.top(everyone) for found in lists.search(*requests)]
        seconds = made + (time.monotonic() - started) * count / max(1, len(everyone))
        if spec.mode == "auto" and seconds > exact_seconds:
            return exactly
        measured = min(recall(*pair) for pair in zip(hits, best, strict=True))
        if measured >= spec.recall_target or probes == len(found.centroids):
            return Plan("ann", True, measured, probes, found)
        probes = min(math.ceil(MORE * probes), len(found.centroids))


def recall(hits: Hits, best: Hits) -> float:
    """Measure which share of the best documents was found.

    Args:
        hits: What a search found.
        best: What an exact one finds.

    Returns:
        The share, over all queries, in 0..1; 1 where there is nothing to find.
    """
    there = best.documents >= 0
    met = [np.isin(row, own) for row, own in zip(best.documents, hits.documents, strict=True)]
    return float((np.stack(met) & there).sum() / there.sum()) if there.any() else 1.0


def _short(best: Hits, request: Request) -> float:
    """Give the share of queries that get fewer documents for a request from the best than it wants."""
    rows, places = np.nonzero(best.documents >= 0)
    documents, scores = best.documents[rows, places], exact_scores(best.scores[rows, places])
    size = 1 + max(documents.max(initial=0), request.blocked.documents.max(initial=0))
    blocked = request.blocked.queries * size + request.blocked.documents
    counts = ~np.isin(rows * size + documents, blocked)
    if request.ceilings is not None:
        counts &= scores <= request.ceilings[rows]
    found = np.bincount(rows[counts], minlength=len(request))
    return float((found < request.k).mean()) if len(request) else 0.0
