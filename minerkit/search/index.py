"""What every index of documents can do, and which one a search gets."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from minerkit.embeddings import Vectors
from minerkit.runtime import search_device
from minerkit.search.request import Hits, Request

__all__ = ["Index", "Ranking", "Searcher", "open_index"]

IntArray = npt.NDArray[np.int64]


class Ranking(Protocol):
    """What a search has found for a request of n queries."""

    def top(self, rows: IntArray) -> Hits:
        """Return the best documents of some queries.

        Args:
            rows: Positions of queries, ascending; each is asked for once.

        Returns:
            Their documents, best first; as many columns as are wanted, and as there are documents.
        """
        ...


class Searcher(Protocol):
    """Searches documents, exactly or approximately."""

    def search(self, *requests: Request) -> Sequence[Ranking]:
        """Search for several requests of the same queries.

        Args:
            requests: What is wanted of n queries, few enough for all that is found to be in memory.

        Returns:
            What was found for each request.
        """
        ...


class Index(Searcher, Protocol):
    """Searches documents exactly: the same results on every machine."""

    documents: Vectors
    device: str

    def __len__(self) -> int:
        """Count the documents."""
        ...

    def prepare(self) -> None:
        """Do now, on all cores, what the first search would begin with."""
        ...

    def top(self, request: Request, progress: Callable[[int], object] = id) -> Hits:
        """Find the k best documents of each query that are not excluded and score at most its ceiling.

        Args:
            request: What is wanted of n queries.
            progress: Called with the number of queries done, each time some are.

        Returns:
            The documents, best first; as many columns as are wanted, and as there are documents.
        """
        ...

    def pair_scores(self, queries: Vectors, rows: IntArray, positions: IntArray) -> npt.NDArray[np.float32]:
        """Score pairs of a query and a document.

        Args:
            queries: n vectors.
            rows: Integers of shape (p,): the query of each pair.
            positions: Integers of shape (p,): its document.

        Returns:
            float32 of shape (p,): dot products in float64, rounded to six decimals.
        """
        ...


def open_index(
    documents: Vectors, queries: int, device: str, memory: int, approximate: bool = False
) -> Index:
    """Open documents for an exact search.

    Args:
        documents: m vectors; equal scores rank in their order.
        queries: How many queries will be searched.
        device: auto, cpu, cuda or mps.
        memory: Bytes that a search may use.
        approximate: Whether an approximate search is wanted, of which the index is the exact part.

    Returns:
        A `DenseIndex` for a small collection, unless a GPU is named; else an `ExactIndex`.

    Raises:
        EncoderError: A device was named that is not there.
    """
    from minerkit.search.dense import DenseIndex, is_small

    if device in {"auto", "cpu"} and not approximate and is_small(queries, documents):
        return DenseIndex(documents)
    from minerkit.search.exact import ExactIndex  # this loads numba

    return ExactIndex(documents, search_device(device), memory)
