import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minerkit.text.set_overlap import shared, sort_sets

SETS = st.lists(st.lists(st.integers(0, 12), max_size=12), min_size=1, max_size=6)


@given(SETS)
def test_sets_share_what_they_have_in_common(lists):
    offsets = np.append(0, np.cumsum([len(own) for own in lists]))
    elements = np.array([element for own in lists for element in own], np.uint64)
    sizes = sort_sets(elements, offsets)
    assert sizes.tolist() == [len(set(own)) for own in lists]
    left, right = (side.ravel() for side in np.meshgrid(range(len(lists)), range(len(lists))))
    counts = shared(elements, offsets, sizes, left, right)
    assert counts.tolist() == [len({*lists[a]} & {*lists[b]}) for a, b in zip(left, right, strict=True)]
