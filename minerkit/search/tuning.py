"""Whether to search approximately, and with how much effort: measured on some of the run's own queries."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.recipe import Search
from minerkit.search.index import Index
from minerkit.search.lists import Clusters, Lists, clusters
from minerkit.search.request import Hits, Request

__all__ = ["Plan", "drawn", "recall", "tuned"]

#: Queries that an approximate search is measured on, and that an exact one is timed on at first.
SAMPLE, TIMED = 4096, 512
#: Seconds of exact search from which `auto` looks for something faster.
WORTH = 120.0
#: The share of the lists that a query is searched in at first; how many times as many at each further try.
SHARE, MORE = 1 / 16, 1.25
SEED = 12


@dataclass(frozen=True)
class Plan:
    """How to search: exactly, or in so many of these lists, with the recall that was measured."""

    mode: Literal["exact", "ann"]
    recall: float = 1.0
    probes: int = 0
    found: Clusters | None = None

    def facts(self) -> dict[str, str | float | int]:
        """Say it in a JSON-ready mapping: mode and recall; of an approximate search, lists and probes."""
        facts: dict[str, str | float | int] = {"mode": self.mode, "recall": self.recall}
        if self.found is not None:
            facts |= {"lists": len(self.found.centroids), "probes": self.probes}
        return facts

    def frames(self) -> dict[str, pl.DataFrame]:
        """Give the plan as tables, to be stored."""
        found = self.found or Clusters(np.empty((0, 0), np.float32), np.empty(0, np.int32))
        return {
            "plan": pl.DataFrame({"mode": [self.mode], "recall": [self.recall], "probes": [self.probes]}),
            "centroids": pl.DataFrame({"value": found.centroids.ravel()}),
            "lists": pl.DataFrame({"list": found.list_of}),
        }

    @classmethod
    def of(cls, frames: dict[str, pl.DataFrame], dim: int) -> "Plan":
        """Read a plan that was stored."""
        mode, measured, probes = frames["plan"].row(0)
        if mode == "exact":
            return cls("exact")
        centroids = frames["centroids"]["value"].to_numpy(writable=True).reshape(-1, dim)
        return cls("ann", measured, probes, Clusters(centroids, frames["lists"]["list"].to_numpy()))

    def searcher(self, index: Index) -> Index | Lists:
        """Give what searches as planned, in the documents of an index."""
        return index if self.found is None else Lists(index, self.found, self.probes)


def drawn(count: int) -> npt.NDArray[np.int64]:
    """Draw the queries that a search is tuned on.

    Args:
        count: How many queries there are.

    Returns:
        Positions, ascending; the same each time.
    """
    return np.sort(np.random.default_rng(SEED).permutation(count)[:SAMPLE])


def tuned(index: Index, requests: Sequence[Request], count: int, spec: Search) -> Plan:
    """Decide how to search.

    Args:
        index: The documents.
        requests: What will be asked, of some of the queries; of the same in each.
        count: How many queries there are in all.
        spec: The recipe's `search` section.

    Returns:
        The plan. An approximate search gets more effort until the share of the documents wanted that it
        finds, over these queries, reaches the target for each request. `auto` takes it where it saves time.
    """
    if spec.mode == "exact" or index.device != "cpu":
        return Plan("exact")
    everyone = np.arange(len(requests[0]))
    timed = everyone[:TIMED]

    def timing(rows: npt.NDArray[np.int64]) -> float:
        started = time.monotonic()
        index.search(*(request.only(rows) for request in requests))[0].top(rows)
        return time.monotonic() - started

    index.prepare()
    timing(everyone[:1])  # the first search of all may have to compile its loops
    exact_seconds = timing(timed) * count / max(1, len(timed))
    if spec.mode == "auto" and exact_seconds < WORTH:
        return Plan("exact")
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
            return Plan("exact")
        measured = min(recall(*pair) for pair in zip(hits, best, strict=True))
        if measured >= spec.recall_target or probes == len(found.centroids):
            return Plan("ann", measured, probes, found)
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
