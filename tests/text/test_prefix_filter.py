import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minerkit.text import prefix_filter as prefixes
from minerkit.text.normalisation import match_key
from minerkit.text.prefix_filter import SET_MASK, shingle_sets
from minerkit.text.shingles import shingle_hashes

#: Texts of which some repeat themselves, so that a set is smaller than its text.
REPEATING = st.builds(lambda text, times: text * times, st.text("abc 芯", max_size=40), st.integers(1, 4))
KEYS = st.lists(REPEATING, min_size=1, max_size=12).map(
    lambda texts: pl.DataFrame({"t": texts}).select(match_key(pl.col("t"))).to_series()
)
THRESHOLDS = st.floats(0.1, 1.0)


def elements(keys: pl.Series) -> list[set[int]]:
    hashes, offsets = shingle_hashes(keys)
    return [set(part.tolist()) for part in np.split(hashes, offsets[1:-1])]


@settings(max_examples=30, deadline=None)
@given(KEYS, THRESHOLDS)
def test_sets_are_numbered_by_size_and_bounded_on_both_sides(keys, threshold):
    sets = shingle_sets(keys, threshold)
    assert sorted(sets.texts.tolist()) == list(range(len(keys)))
    assert (np.diff(sets.min_sizes) >= 0).all()
    sizes = [len(member) for member in elements(keys.gather(sets.texts))]
    assert (sets.min_sizes <= sizes).all()
    assert (sets.max_sizes >= sizes).all()


@settings(max_examples=30, deadline=None)
@given(KEYS, THRESHOLDS)
def test_bitmaps_never_differ_in_more_bits_than_sets_do_in_elements(keys, threshold):
    sets = shingle_sets(keys, threshold)
    members = elements(keys.gather(sets.texts))
    for one in range(len(members)):
        for two in range(one):
            bits = np.bitwise_count(sets.bitmaps[:, one] ^ sets.bitmaps[:, two]).sum()
            assert bits <= len(members[one] ^ members[two])


@settings(max_examples=30, deadline=None)
@given(KEYS, THRESHOLDS)
def test_every_set_has_its_prefix_of_distinct_sorted_elements(keys, threshold):
    sets = shingle_sets(keys, threshold)
    assert (np.diff(sets.entries.astype(object)) > 0).all()
    owners = ((sets.entries & SET_MASK) >> np.uint64(1)).astype(np.int64)
    wanted = np.minimum(sets.min_sizes, np.floor((1 - threshold) * sets.max_sizes + 1e-9) + 1)
    assert np.bincount(owners, minlength=len(keys)).tolist() == wanted.tolist()


def test_rare_shingles_come_first():
    keys = pl.Series(
        [*("the common words of all of these texts" for _ in range(50)), "the common words and xylophones"]
    )
    sets = shingle_sets(keys, 0.7)
    last = int(np.flatnonzero(sets.texts == 50)[0])
    owners = (sets.entries & SET_MASK) >> np.uint64(1)
    levels = (sets.entries >> np.uint64(32 + prefixes.HASH_BITS))[owners == last]
    assert levels.max() == 0


@pytest.mark.parametrize(("threshold", "words"), [(0.9, 2), (0.5, 16)])
def test_bitmaps_grow_with_what_may_differ(threshold, words):
    keys = pl.Series(["".join(chr(97 + (i * i * k) % 26) for i in range(120)) for k in range(1, 9)])
    assert len(shingle_sets(keys, threshold).bitmaps) == words
