"""What every stage is given, and the parts it works in."""

from dataclasses import dataclass
from typing import NamedTuple

import polars as pl

from minerkit.recipe.recipe import Recipe
from minerkit.runtime.progress import Reporter
from minerkit.storage.run_folder import MARKERS, Run
from minerkit.storage.schema import SPLITS
from minerkit.text.store import Texts, store_texts

__all__ = ["Inputs", "Shard", "Work", "document_texts", "inputs", "shards"]

#: A shard holds this share of a run's queries, within limits: little is lost when a run dies, and little time
#: goes to the seams.
SHARE, LEAST, MOST = 24, 1024, 4096
#: The share of the memory that texts of documents may take; more go to a file.
TEXTS = 8


@dataclass(frozen=True)
class Work:
    """What every stage is given: the recipe, the run, where models run, bytes of memory, and a reporter."""

    recipe: Recipe
    run: Run
    device: str
    memory: int
    reporter: Reporter


class Inputs(NamedTuple):
    """What the search reads: queries, documents (doc_id, split, key), qrels."""

    queries: pl.DataFrame
    documents: pl.DataFrame
    qrels: pl.DataFrame


@dataclass(frozen=True)
class Shard:
    """Some queries of a split: positions start..stop among the queries of that split."""

    number: int
    split: str
    start: int
    stop: int


def inputs(run: Run) -> Inputs:
    """Read what ingest wrote.

    Args:
        run: A run whose first stage is done.

    Returns:
        Its frames; all qrels.
    """
    documents = run.read(f"{MARKERS}/documents.parquet").with_columns(pl.col("split").cast(pl.Enum(SPLITS)))
    return Inputs(run.read("queries.parquet"), documents, run.read("qrels.parquet"))


def document_texts(work: Work) -> Texts:
    """Open the texts of the documents, in the order of `Inputs.documents`; few of them are in memory."""
    columns = (part["text"] for part in work.run.parts("corpus.parquet").of("text"))
    return store_texts(columns, work.memory // TEXTS, work.run.folder / MARKERS)


def shards(queries: pl.DataFrame) -> list[Shard]:
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
