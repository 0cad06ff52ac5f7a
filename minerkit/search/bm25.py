"""Search by words: BM25 over the words of `minerkit.text.words`, so Chinese too."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from minerkit.search import DECIMALS, Hits, Pairs
from minerkit.text import tokenize

__all__ = ["bm25_search"]

#: BM25's usual constants (Robertson & Zaragoza 2009).
K1, B = 1.5, 0.75
#: Queries after which progress is told.
STEP = 256


def bm25_search(
    queries: Sequence[str],
    documents: Sequence[str],
    k: int,
    excluded: Pairs,
    progress: Callable[[int], object] = id,
) -> Hits:
    """Find the k best documents of each query by BM25 as Lucene has it (Kamphuis et al. 2020).

    A word that stands twice in a query counts twice. Scores are rounded to six decimals and equal ones rank
    in the documents' order, so the result depends on the texts alone.

    Args:
        queries: n texts.
        documents: m texts.
        k: How many documents a query; one that shares no word with the query is never among them.
        excluded: Pairs that are never returned.
        progress: Called with the number of queries done, each time some are.

    Returns:
        The documents, best first.
    """
    asked = [tokenize(text) for text in queries]
    vocabulary = {
        word: place for place, word in enumerate(dict.fromkeys(word for row in asked for word in row))
    }
    index = _index(documents, vocabulary)
    k = min(k, len(documents))
    found = np.full((len(asked), k), -1, np.int64)
    best = np.full((len(asked), k), -np.inf, np.float32)
    rows = np.arange(len(asked))
    starts, stops = (
        np.searchsorted(excluded.queries, rows),
        np.searchsorted(excluded.queries, rows, side="right"),
    )
    for row, terms in enumerate(asked):
        scores = np.round(index.get_scores_from_ids([vocabulary[word] for word in terms]), DECIMALS)
        scores[excluded.documents[starts[row] : stops[row]]] = 0
        places = _best(scores, k)
        found[row, : len(places)], best[row, : len(places)] = places, scores[places]
        if (row + 1) % STEP == 0 or row + 1 == len(asked):
            progress(row % STEP + 1)
    return Hits(found, best)


def _index(documents: Sequence[str], vocabulary: Mapping[str, int]) -> Any:
    """Index documents by the words of a vocabulary; all other words only make a document longer."""
    import bm25s

    other = len(vocabulary)
    ids = [[vocabulary.get(word, other) for word in tokenize(text)] for text in documents]
    index = bm25s.BM25(k1=K1, b=B, method="lucene", dtype="float64")
    with np.errstate(invalid="ignore"):  # no document has a word: their mean length is nought
        index.index((ids, {**vocabulary, "": other}), create_empty_token=False, show_progress=False)
    return index


def _best(scores: npt.NDArray[np.float64], k: int) -> npt.NDArray[np.int64]:
    """Return the positions of the k highest scores above nought, equal ones in order."""
    least = np.partition(scores, len(scores) - k)[len(scores) - k]
    places = np.flatnonzero(scores >= least if least > 0 else scores)
    return places[np.argsort(-scores[places], kind="stable")[:k]]
