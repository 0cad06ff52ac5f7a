import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minerkit.vectors import Vectors


@given(st.data(), st.sampled_from([np.float16, np.float32]))
def test_vectors_are_taken_by_position(data, dtype):
    table = np.random.default_rng(data.draw(st.integers(0, 1000))).standard_normal((12, 3)).astype(dtype)
    rows = np.array(data.draw(st.lists(st.integers(0, 11), max_size=15)), np.int64)
    vectors = Vectors(table, rows)
    whole = table[rows].tolist()
    start, stop = sorted(data.draw(st.tuples(st.integers(0, 16), st.integers(0, 16))))
    assert (len(vectors), vectors.dim, vectors.dtype) == (len(rows), 3, dtype)
    assert vectors.take(start, stop).tolist() == whole[start:stop]
    assert vectors.take(start, stop).dtype == np.float32
    if len(rows):
        places = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=5)), np.int64)
        picked = vectors.subset(places)
        assert picked.take(0, len(picked)).tolist() == [whole[place] for place in places]
        assert vectors.gather(places).tolist() == [whole[place] for place in places]
        assert vectors.gather(places).dtype == dtype


def test_an_array_is_wrapped_as_it_is():
    array = np.arange(6, dtype=np.float32).reshape(3, 2)
    assert Vectors.of(array).take(0, 3).tolist() == array.tolist()


@pytest.mark.parametrize("mapped", [True, False])
def test_what_is_released_can_be_read_again(tmp_path, mapped):
    array = np.arange(6, dtype=np.float16).reshape(3, 2)
    array.tofile(tmp_path / "rows")
    table = np.memmap(tmp_path / "rows", np.float16, "r", shape=(3, 2)) if mapped else array
    vectors = Vectors.of(table)
    vectors.take(0, 3)
    vectors.release()
    assert vectors.take(0, 3).tolist() == array.tolist()
