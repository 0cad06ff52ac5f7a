import itertools
import random

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minerkit import near_duplicates as module
from minerkit.near_duplicates import near_duplicates
from minerkit.text import jaccard

WORDS = [
    "the",
    "a",
    "chip",
    "wafer",
    "etching",
    "of",
    "plasma",
    "芯片",
    "设备",
    "report",
    "rate",
    "2024",
    "by",
]


def planted(seed: int, count: int) -> list[str]:
    """Random texts; every other one is an earlier text with a few characters changed, or a copy of it."""
    rng = random.Random(seed)
    texts = [" ".join(rng.choices(WORDS, k=rng.randint(1, 60)))]
    while len(texts) < count:
        if rng.random() < 0.5:
            texts.append(" ".join(rng.choices(WORDS, k=rng.randint(1, 60))))
            continue
        letters = list(rng.choice(texts))
        for _ in range(rng.randint(0, 3)):
            letters[rng.randrange(len(letters))] = rng.choice("xyz ?")
        texts.append("".join(letters))
    return texts


def brute_force(texts: list[str], threshold: float) -> list[tuple[int, ...]]:
    pairs = np.array(list(itertools.combinations(range(len(texts)), 2)))
    found = pairs[jaccard(pl.Series(texts), pairs) >= threshold]
    return [tuple(pair) for pair in found.tolist()]


def pairs(texts: list[str], threshold: float = 0.9) -> list[tuple[int, ...]]:
    found = near_duplicates(pl.Series(texts, dtype=pl.String), threshold)
    assert found.dtype == np.int64
    return [tuple(pair) for pair in found.tolist()]


def test_finds_what_comparing_all_pairs_finds():
    texts = planted(1, 400)
    expected = brute_force(texts, 0.9)
    assert len(expected) > 50
    assert pairs(texts) == expected


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000), threshold=st.sampled_from([0.3, 0.5, 0.7, 0.9, 1.0]))
def test_finds_what_comparing_all_pairs_finds_at_any_threshold(seed, threshold):
    texts = planted(seed, 30)
    assert pairs(texts, threshold) == brute_force(texts, threshold)


def test_a_word_changed_in_a_long_text_is_a_near_duplicate():
    text = (
        "Hard-boiled eggs keep for about a week in the refrigerator, peeled or not; get them into the cold "
        "within two hours of cooking, and leave the shells on if you can, because they slow drying."
    )
    assert pairs([text, text.replace("slow", "stop"), text.replace("egg", "potato")[::-1]]) == [(0, 1)]


def test_spelling_variants_are_near_duplicates_at_any_threshold():
    assert pairs(["What is AI?", "ice cream", "ＷＨＡＴ is  ai"], 1.0) == [(0, 2)]


def test_every_pair_of_equal_texts_is_found_once():
    assert pairs(["same", "other", "same", "same"]) == [(0, 2), (0, 3), (2, 3)]


def test_pairs_are_sorted_with_the_smaller_position_first():
    found = pairs(planted(2, 120))
    assert found == sorted(found)
    assert all(left < right for left, right in found)
    assert len(found) == len(set(found))


def test_result_does_not_depend_on_how_many_texts_are_hashed_at_once(monkeypatch):
    texts = planted(3, 100)
    whole = pairs(texts)
    monkeypatch.setattr(module, "BLOCK", 700)
    monkeypatch.setattr(module, "BATCH", 7)
    assert pairs(texts) == whole


@pytest.mark.parametrize("texts", [[], ["one"], ["one", "another text"]])
def test_nothing_to_find(texts):
    assert near_duplicates(pl.Series(texts, dtype=pl.String), 0.9).shape == (0, 2)
