import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minerkit.search.bm25 import bm25_search
from minerkit.search.request import Hits, Pairs
from minerkit.text.words import tokenize

NOTHING = Pairs.of(np.empty(0, np.int64), np.empty(0, np.int64))
TEXTS = st.lists(st.sampled_from(["a", "b", "c", "dd", "半导体", "芯片", ",", "."]), max_size=8).map(" ".join)


def plain(queries: list[str], documents: list[str], k: int, mask: set[tuple[int, int]]) -> list[list[tuple]]:
    """BM25 written out: places and scores of the k best documents of each query."""
    cut = [tokenize(text) for text in documents]
    mean = sum(map(len, cut)) / len(cut)
    found = []
    for q, query in enumerate(queries):
        scores = []
        for d, document in enumerate(cut):
            score = 0.0
            for word in tokenize(query):
                holding = sum(word in other for other in cut)
                count = document.count(word)
                if count:
                    idf = math.log(1 + (len(cut) - holding + 0.5) / (holding + 0.5))
                    score += idf * count / (count + 1.5 * (0.25 + 0.75 * len(document) / mean))
            if score > 0 and (q, d) not in mask:
                scores.append((-round(score, 6), d))
        found.append([(d, -score) for score, d in sorted(scores)[:k]])
    return found


def listed(hits: Hits) -> list[list[tuple]]:
    rows = zip(hits.documents, hits.scores, strict=True)
    return [[(d, s) for d, s in zip(*row, strict=True) if d >= 0] for row in rows]


@given(
    queries=st.lists(TEXTS, min_size=1, max_size=4),
    documents=st.lists(TEXTS, min_size=1, max_size=8),
    k=st.integers(1, 10),
    mask=st.sets(st.tuples(st.integers(0, 3), st.integers(0, 7)), max_size=4),
)
def test_the_best_documents_are_those_of_the_formula(queries, documents, k, mask):
    mask = {(q, d) for q, d in mask if q < len(queries) and d < len(documents)}
    excluded = Pairs.of(*(np.array([pair[i] for pair in mask], np.int64) for i in (0, 1)))
    found = listed(bm25_search(queries, documents, k, excluded))
    wanted = plain(queries, documents, k, mask)
    assert [[d for d, _ in row] for row in found] == [[d for d, _ in row] for row in wanted]
    for row, other in zip(found, wanted, strict=True):
        assert [s for _, s in row] == pytest.approx([s for _, s in other], abs=2e-6)


def test_equal_scores_rank_by_position():
    documents = ["b", *["a word"] * 40]
    assert bm25_search(["word"], documents, 5, NOTHING).documents.tolist() == [[1, 2, 3, 4, 5]]


def test_a_document_without_a_shared_word_is_never_found():
    found = bm25_search(["a", "!?"], ["b", "c a"], 2, NOTHING)
    assert found.documents.tolist() == [[1, -1], [-1, -1]]
    assert np.isneginf(found.scores[1]).all()
    assert bm25_search(["a"], ["!", "?"], 2, NOTHING).documents.tolist() == [[-1, -1]]


def test_progress_adds_up_to_the_queries():
    told: list[int] = []
    bm25_search(["a"] * 600, ["a", "b"], 1, NOTHING, told.append)
    assert sum(told) == 600 and len(told) == 3
