import itertools
import random

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minerkit.text import near_duplicates as module
from minerkit.text import prefix_filter as prefixes
from minerkit.text.near_duplicates import near_duplicate_pairs
from minerkit.text.normalisation import match_key
from minerkit.text.shingles import jaccard
from minerkit.text.store import store_texts

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
    """Pairs of all texts: those of their distinct match keys, and those with equal ones."""
    keys = pl.Series("text", texts, pl.String).to_frame().select(match_key(pl.col("text")))["text"]
    distinct = keys.unique(maintain_order=True)
    found = near_duplicate_pairs(distinct, threshold)
    assert found.dtype == np.int64
    places = [keys.eq(key).arg_true().to_list() for key in distinct]
    max_difference = [itertools.product(places[a], places[b]) for a, b in found.tolist()]
    equal = [itertools.combinations(own, 2) for own in places]
    return sorted(tuple(sorted(pair)) for some in (*max_difference, *equal) for pair in some)


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


def edited(seed: int, count: int, longest: int) -> list[str]:
    """Texts of all lengths, some that repeat themselves, with copies in which more and more is changed."""
    rng = random.Random(seed)
    texts = []
    while len(texts) < count:
        letters = rng.choices("abcdefgh 芯片", k=rng.randint(1, longest)) * rng.choice([1, 1, 2, 5])
        for _ in range(6):
            texts.append("".join(letters))
            letters[rng.randrange(len(letters))] = rng.choice("xyz")
            letters = letters[rng.random() < 0.3 :] or ["a"]
    return texts


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    longest=st.sampled_from([8, 60, 300]),
    threshold=st.floats(0.2, 1.0),
    block=st.sampled_from([100, 5_000, 1 << 18]),
)
def test_finds_what_comparing_all_pairs_finds_at_the_edge(seed, longest, threshold, block):
    texts = edited(seed, 36, longest)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefixes, "BLOCK", block)
        patch.setattr(module, "BATCH", block // 100)
        assert pairs(texts, threshold) == brute_force(texts, threshold)


def test_texts_of_one_template_are_told_apart():
    texts = [f"What does entry {number} of the list say about entry {number + 1}?" for number in range(3000)]
    assert pairs([*texts, texts[77].upper()]) == [(77, 3000)]


def test_rare_words_that_repeat_hide_nothing():
    rng = random.Random(5)
    common = " ".join("".join(rng.choices("abcdefgh", k=6)) for _ in range(60))
    texts = [common + " qzxwv" * 40, common + " jkpfm" * 40]
    others = [common + " " + "".join(rng.choices("rstu", k=200)) for _ in range(80)]
    assert pairs([*texts, *others]) == [(0, 1)]


def test_traditional_and_simplified_characters_are_one():
    assert pairs(["半導體設備與記憶體芯片的需求", "半导体设备与记忆体芯片的需求", "半导体材料"], 1.0) == [
        (0, 1)
    ]


def test_a_word_changed_in_a_long_text_is_a_near_duplicate():
    text = (
        "Hard-boiled eggs keep for about a week in the refrigerator, peeled or not; get them into the cold "
        "within two hours of cooking, and leave the shells on if you can, because they slow drying."
    )
    assert pairs([text, text.replace("slow", "stop"), text.replace("egg", "potato")[::-1]]) == [(0, 1)]


def test_spelling_variants_are_near_duplicates_at_any_threshold():
    assert pairs(["What is AI?", "ice cream", "ＷＨＡＴ is  ai"], 1.0) == [(0, 2)]


def test_pairs_are_sorted_with_the_smaller_position_first():
    texts = pl.Series(sorted({text.strip().lower() for text in planted(2, 120)}))
    found = [tuple(pair) for pair in near_duplicate_pairs(texts, 0.9).tolist()]
    assert len(found) > 5
    assert found == sorted(found)
    assert all(left < right for left, right in found)
    assert len(found) == len(set(found))


def test_texts_in_a_file_are_compared_as_those_in_memory(tmp_path):
    keys = pl.Series(planted(6, 300)).unique(maintain_order=True)
    filed = store_texts([keys[:100], keys[100:]], 0, tmp_path)
    assert near_duplicate_pairs(filed, 0.9).tolist() == near_duplicate_pairs(keys, 0.9).tolist()


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_result_does_not_depend_on_threads(threads, monkeypatch):
    texts = planted(4, 300)
    whole = pairs(texts)
    monkeypatch.setattr(prefixes, "BLOCK", 1000)
    monkeypatch.setattr(pl, "thread_pool_size", lambda: threads)
    assert pairs(texts) == whole


def test_result_does_not_depend_on_how_many_texts_are_hashed_at_once(monkeypatch):
    texts = planted(3, 100)
    whole = pairs(texts)
    monkeypatch.setattr(prefixes, "BLOCK", 700)
    monkeypatch.setattr(module, "BATCH", 7)
    assert pairs(texts) == whole


@pytest.mark.parametrize("texts", [[], ["one"], ["one", "another text"]])
def test_nothing_to_find(texts):
    assert near_duplicate_pairs(pl.Series(texts, dtype=pl.String), 0.9).shape == (0, 2)
