"""Match the answers of a QA file to the passages that hold them: word for word, else by BM25."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.text import BLANK, normalise_text, to_simplified, tokenize

__all__ = ["Match", "match_answers"]

#: Characters of an answer that are searched for; the rest is compared where they are found.
KEY = 16
#: Characters of passages that are searched at once, which bounds the memory.
BATCH = 2_000_000
#: BM25's usual constants (Robertson & Zaragoza 2009).
K1, B = 1.5, 0.75


@dataclass(frozen=True)
class Match:
    """The passage an answer was matched to (-1: there was none to choose from), how well, and how.

    `score` is 1 where the passage holds an answer word for word ("exact"). Else it is a share from 0 to 1:
    the BM25 score of the answer in this passage, divided by the score it would have if the passage also held
    once every word of the answer that it lacks. From the floor on that is a match ("bm25"), below it none
    ("none").
    """

    passage: int
    score: float
    how: Literal["exact", "bm25", "none"]


def match_answers(
    questions: Sequence[str],
    answers: Sequence[Sequence[str]],
    passages: Sequence[str],
    within: Sequence[Collection[int] | None] | None = None,
    floor: float = 0.5,
) -> list[Match]:
    """Find for each question the passage that holds its answer.

    Texts are compared in folded form: NFKC, lower case, traditional Chinese as simplified; where answers are
    searched for word for word, also without white space. If several passages hold an answer, the one with the
    best BM25 score for question and answers is taken. If none does, the one with the best score for an answer
    is. Ties go to the first passage.

    Args:
        questions: n questions.
        answers: For each question the spellings of its answer; one found is enough.
        passages: All passages.
        within: For each question the positions of the passages that may hold its answer; None: all of them.
        floor: The share of an answer's own score from which a BM25 match counts, 0 to 1. At the default,
            passages hold more than half of the answer, its rare words counting more.

    Returns:
        n matches. Where nothing matched, the best candidate is given nevertheless.
    """
    texts = _folded(passages)
    ranking = _Ranking(texts)
    spellings = list(dict.fromkeys(spelling for row in answers for spelling in row))
    plain = dict(zip(spellings, _folded(spellings), strict=True))
    holders = _holders(list(plain.values()), texts)
    found = []
    for place, (question, row) in enumerate(zip(_folded(questions), answers, strict=True)):
        allowed = within[place] if within is not None else None
        candidates = None if allowed is None else np.unique(np.fromiter(allowed, np.int64, len(allowed)))
        forms = list(dict.fromkeys(plain[spelling] for spelling in row))
        found.append(_matched(question, forms, candidates, ranking, holders, floor))
    return found


class _Ranking:
    """BM25 as Lucene has it (Kamphuis et al. 2020), and how much of a text a passage holds."""

    def __init__(self, passages: Sequence[str]) -> None:
        import bm25s

        self.vocabulary: dict[str, int] = {}
        number = self.vocabulary.setdefault
        ids = [[number(word, len(self.vocabulary)) for word in tokenize(text)] for text in passages]
        self.lengths = np.array([len(row) for row in ids], np.float64)
        if self.vocabulary:
            self.index = bm25s.BM25(k1=K1, b=B, method="lucene")
            self.index.index((ids, self.vocabulary), create_empty_token=False, show_progress=False)

    def scores(self, text: str) -> npt.NDArray[np.float32]:
        """Score all passages."""
        known = [self.vocabulary[word] for word in dict.fromkeys(tokenize(text)) if word in self.vocabulary]
        if not known:
            return np.zeros(len(self.lengths), np.float32)
        return np.asarray(self.index.get_scores_from_ids(known))

    def share(self, text: str, passage: int, score: float) -> float:
        """Divide a score by what it would be if the passage also held once every word of the text."""
        size, holding = len(self.lengths), [self._holding(word) for word in dict.fromkeys(tokenize(text))]
        counts = [len(places) for places in holding if passage not in places]
        rarity = sum(math.log(1 + (size - count + 0.5) / (count + 0.5)) for count in counts)
        lacking = rarity / (1 + K1 * (1 - B + B * self.lengths[passage] / self.lengths.mean()))
        return float(score / (score + lacking))

    def _holding(self, word: str) -> npt.NDArray[np.int32]:
        """Return the passages that hold a word."""
        if word not in self.vocabulary:
            return np.empty(0, np.int32)
        number, scores = self.vocabulary[word], self.index.scores
        return np.asarray(scores["indices"][scores["indptr"][number] : scores["indptr"][number + 1]])


def _matched(
    question: str,
    answers: Sequence[str],
    candidates: npt.NDArray[np.int64] | None,
    ranking: _Ranking,
    holders: dict[str, npt.NDArray[np.int64]],
    floor: float,
) -> Match:
    """Match one question; all texts are folded."""
    pool = np.arange(len(ranking.lengths)) if candidates is None else candidates
    if not len(pool):
        return Match(-1, 0.0, "none")
    holding = [holders[answer] for answer in answers if answer in holders]
    if holding:
        places = holding[0] if len(holding) == 1 else np.unique(np.concatenate(holding))
        held = places if candidates is None else np.intersect1d(places, candidates, assume_unique=True)
        if len(held) > 1:
            held = held[np.argmax(ranking.scores(" ".join([question, *answers]))[held], keepdims=True)]
        if len(held):
            return Match(int(held[0]), 1.0, "exact")
    best = Match(int(pool[0]), 0.0, "none")
    for answer in answers:
        scores = ranking.scores(answer)[pool]
        top = int(np.argmax(scores))
        if scores[top] > 0:
            share = ranking.share(answer, int(pool[top]), float(scores[top]))
            if share > best.score:
                best = Match(int(pool[top]), share, "bm25" if share >= floor else "none")
    return best


def _holders(answers: Sequence[str], passages: Sequence[str]) -> dict[str, npt.NDArray[np.int64]]:
    """Give, for each answer that some passage holds word for word, the sorted positions of those passages."""
    wanted = pl.DataFrame({"answer": answers}, schema={"answer": pl.String}).unique(maintain_order=True)
    wanted = wanted.with_columns(bare=_without_blanks("answer")).filter(pl.col("bare") != "")
    wanted = wanted.with_columns(key=pl.col("bare").str.slice(0, KEY)).with_row_index("number")
    keys = wanted["key"].unique(maintain_order=True).implode()
    texts = pl.DataFrame({"text": passages}, schema={"text": pl.String})
    texts = texts.select(_without_blanks("text")).with_row_index("passage")
    texts = texts.with_columns(batch=pl.col("text").str.len_chars().cum_sum() // BATCH)
    found = [pl.DataFrame(schema={"number": pl.UInt32, "passage": pl.UInt32})]
    for part in texts.partition_by("batch", maintain_order=True):
        # All keys are found in one pass over the text (Aho & Corasick 1975), whatever their number.
        hits = part.with_columns(key=pl.col("text").str.extract_many(keys, overlapping=True).list.unique())
        pairs = hits.explode("key").join(wanted, on="key")
        held = pl.col("text").str.contains(pl.col("bare"), literal=True)
        found.append(pairs.filter(held).select("number", "passage"))
    places = pl.concat(found).sort("number", "passage").group_by("number", maintain_order=True).agg("passage")
    names = wanted["answer"].gather(places["number"])
    return {name: row.to_numpy().astype(np.int64) for name, row in zip(names, places["passage"], strict=True)}


def _without_blanks(column: str) -> pl.Expr:
    return pl.col(column).str.replace_all(f"[{BLANK}]+", "")


def _folded(texts: Sequence[str]) -> list[str]:
    """Fold texts: NFKC, white space as single blanks, lower case, traditional Chinese as simplified."""
    column = pl.Series("text", texts, dtype=pl.String).to_frame()
    form = normalise_text(pl.col("text")).str.to_lowercase()
    return to_simplified(column.select(form).to_series()).to_list()
