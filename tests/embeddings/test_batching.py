import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minerkit.embeddings.batching import padded_batches, split_runs

SIZES = st.lists(st.integers(0, 50), max_size=40).map(lambda sizes: np.array(sizes, np.int64))


def together(cuts: list[slice]) -> list[int]:
    return [i for cut in cuts for i in range(cut.start, cut.stop)]


@given(SIZES, st.integers(1, 10), st.integers(1, 60))
def test_pieces_hold_all_items_and_are_as_large_as_they_may(sizes, count, total):
    cuts = split_runs(sizes, count, total)
    assert together(cuts) == list(range(len(sizes)))
    for cut in cuts:
        held = sizes[cut]
        assert len(held) == 1 or (len(held) <= count and held.sum() <= total)
        more = sizes[cut.start : cut.stop + 1]
        assert cut.stop == len(sizes) or len(more) > count or more.sum() > total


@given(SIZES, st.integers(1, 200))
def test_padded_batches_keep_to_the_budget(sizes, budget):
    lengths = np.sort(sizes)[::-1]
    cuts = padded_batches(lengths, budget)
    assert together(cuts) == list(range(len(lengths)))
    for cut in cuts:
        area = lengths[cut.start] * (cut.stop - cut.start)
        assert area <= budget or cut.stop == cut.start + 1
        assert cut.stop == len(lengths) or max(1, lengths[cut.start]) * (cut.stop + 1 - cut.start) > budget


def test_a_piece_is_full_by_number_or_by_size():
    assert split_runs(np.array([5, 5, 5, 1, 1, 1, 1]), 3, 10) == [slice(0, 2), slice(2, 5), slice(5, 7)]


def test_a_batch_counts_its_padding():
    assert padded_batches(np.array([9, 5, 5, 4, 1]), 10) == [slice(0, 1), slice(1, 3), slice(3, 5)]
