"""The plan of a search: exact or approximate, with how many probes, measured on the run's own queries."""

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

#: Queries on which an approximate search is measured, and on which an exact one is timed at first.
SAMPLE, TIMED = 4096, 512
#: All requests are searched in one pass if the first leaves at least this share of queries short:
#: comparing all products twice takes about as long as a second pass for so many queries.
SINGLE_PASS_SHARE = 0.1
#: Seconds of exact search from which `auto` tries an approximate one.
EXACT_SECONDS = 120.0
#: The share of the lists that a query probes at first, and the factor of each further try.
FIRST_PROBES, PROBE_GROWTH = 1 / 16, 1.25
SEED = 12
PLAN = {"mode": pl.String, "single_pass": pl.Boolean, "recall": pl.Float64, "probes": pl.Int64}


@dataclass(frozen=True)
class Plan:
    """How to search: exactly, or with so many probes of inverted lists, and the recall that was measured.

    In a single pass all requests are searched for every query. Otherwise the first request is searched for
    all queries, and the others only for queries that it leaves short.
    """

    mode: Literal["exact", "ann"]
    single_pass: bool = True
    recall: float = 1.0
    probes: int = 0
    found: "Clusters | None" = None

    def facts(self) -> dict[str, str | float | int]:
        """Return mode and recall, and of an approximate search lists and probes, as a JSON-ready mapping."""
        facts: dict[str, str | float | int] = {"mode": self.mode, "recall": self.recall}
        if self.found is not None:
            facts |= {"lists": len(self.found.centroids), "probes": self.probes}
        return facts

    def frames(self) -> dict[str, pl.DataFrame]:
        """Return the plan as tables, to be stored."""
        plan = pl.DataFrame([[self.mode], [self.single_pass], [self.recall], [self.probes]], schema=PLAN)
        if self.found is None:
            return {"plan": plan}
        centroids = pl.DataFrame({"value": self.found.centroids.ravel()})
        return {"plan": plan, "centroids": centroids, "lists": pl.DataFrame({"list": self.found.list_of})}

    @classmethod
    def of(cls, frames: dict[str, pl.DataFrame], dim: int) -> "Plan":
        """Read a plan that was stored."""
        mode, single_pass, measured, probes = frames["plan"].row(0)
        if mode == "exact":
            return cls("exact", single_pass)
        from minerkit.search.ivf import Clusters

        centroids = frames["centroids"]["value"].to_numpy(writable=True).reshape(-1, dim)
        return cls(
            "ann", single_pass, measured, probes, Clusters(centroids, frames["lists"]["list"].to_numpy())
        )

    def searcher(self, index: Index) -> Searcher:
        """Return the searcher that the plan asks for, over the documents of an index."""
        if self.found is None:
            return index
        from minerkit.search.ivf import InvertedLists

        return InvertedLists(cast("ExactIndex", index), self.found, self.probes)


def draw_sample(count: int) -> npt.NDArray[np.int64]:
    """Draw the queries on which a search is tuned.

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
        requests: The requests of a sample of the queries; those after the first are for queries that it
            leaves short.
        count: How many queries there are in all.
        spec: The recipe's `search` section.

    Returns:
        The plan. The probes of an approximate search rise until its recall over these queries reaches the
        target for each request. `auto` takes it where it saves time.
    """
    if index.device != "cpu" or isinstance(index, DenseIndex):
        return Plan("exact")
    return _tuned(cast("ExactIndex", index), requests, count, spec)


def _tuned(index: "ExactIndex", requests: Sequence[Request], count: int, spec: Search) -> Plan:
    """Time exact and approximate searches, and take the faster one that finds enough."""
    from minerkit.search.ivf import InvertedLists, cluster_documents

    all_rows = np.arange(len(requests[0]))
    timed = [request.subset(all_rows[:TIMED]) for request in requests]

    def timing(requests: Sequence[Request]) -> tuple[Hits, float]:
        started = time.monotonic()
        return index.search(*requests)[0].top(np.arange(len(requests[0]))), time.monotonic() - started

    index.prepare()
    timing([request.subset(all_rows[:1]) for request in requests])  # the first search may compile its loops
    first, seconds = timing(timed)
    exactly = Plan("exact", any(_short(first, request) >= SINGLE_PASS_SHARE for request in timed[1:]))
    exact_seconds = seconds * count / max(1, len(timed[0]))
    if spec.mode == "exact" or (spec.mode == "auto" and exact_seconds < EXACT_SECONDS):
        return exactly
    best = [found.top(all_rows) for found in index.search(*requests)]
    index.drop_codes()  # lists have codes of their own
    started = time.monotonic()
    found = cluster_documents(index.documents)
    made, probes = time.monotonic() - started, max(1, int(FIRST_PROBES * len(found.centroids)))
    lists = InvertedLists(index, found, probes)
    while True:
        lists.probes, started = probes, time.monotonic()
        hits = [found.top(all_rows) for found in lists.search(*requests)]
        seconds = made + (time.monotonic() - started) * count / max(1, len(all_rows))
        if spec.mode == "auto" and seconds > exact_seconds:
            return exactly
        measured = min(recall(*pair) for pair in zip(hits, best, strict=True))
        if measured >= spec.recall_target or probes == len(found.centroids):
            return Plan("ann", True, measured, probes, found)
        probes = min(math.ceil(PROBE_GROWTH * probes), len(found.centroids))


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
    """Compute the share of queries for which the best documents hold fewer than a request asks for."""
    rows, places = np.nonzero(best.documents >= 0)
    documents, scores = best.documents[rows, places], exact_scores(best.scores[rows, places])
    size = 1 + max(documents.max(initial=0), request.excluded.documents.max(initial=0))
    excluded = request.excluded.queries * size + request.excluded.documents
    counts = ~np.isin(rows * size + documents, excluded)
    if request.ceilings is not None:
        counts &= scores <= request.ceilings[rows]
    found = np.bincount(rows[counts], minlength=len(request))
    return float((found < request.k).mean()) if len(request) else 0.0
