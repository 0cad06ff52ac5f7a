"""The shards of a run: the search, the selection and the training rows are made some queries at a time."""

from dataclasses import dataclass

import polars as pl

from minerkit.storage import SPLITS

__all__ = ["Shard", "query_shards"]

#: A shard holds this share of a run's queries, within limits: little is lost when a run dies, and little time
#: goes to the seams.
SHARE, LEAST, MOST = 24, 1024, 4096


@dataclass(frozen=True)
class Shard:
    """Some queries of a split: positions start..stop among the queries of that split."""

    number: int
    split: str
    start: int
    stop: int


def query_shards(queries: pl.DataFrame) -> list[Shard]:
    """Part a run's queries into shards, each of one split.

    Args:
        queries: The queries artefact.

    Returns:
        The shards, train before dev, in the order of the queries; numbered from 0. Each has a row group of
        the candidates, since every query has some.
    """
    size = min(MOST, max(LEAST, -(-len(queries) // SHARE)))
    counts = {split: int((queries["split"] == split).sum()) for split in SPLITS}
    starts = [(split, start) for split, count in counts.items() for start in range(0, count, size)]
    return [
        Shard(number, split, start, min(start + size, counts[split]))
        for number, (split, start) in enumerate(starts)
    ]
