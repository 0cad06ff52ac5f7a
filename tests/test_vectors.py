import re
from pathlib import Path

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


def resident(path: Path) -> int:
    """Bytes of a mapped file that this process has in memory."""
    found, ours = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match("[0-9a-f]+-", line):
            ours = line.endswith(str(path))
        elif ours and line.startswith("Rss:"):
            found += int(line.split()[1]) * 1024
    return found


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="no account of this process's memory")
def test_only_so_much_of_a_mapped_table_is_in_memory(tmp_path):
    array = np.arange(32768 * 256, dtype=np.float32).reshape(32768, 256) / 7
    array.tofile(tmp_path / "rows")
    table = np.memmap(tmp_path / "rows", np.float32, "r", shape=array.shape)
    vectors = Vectors(table, np.arange(len(table)), 6 << 20)
    read, sizes = vectors.reader(64), []
    for start in range(0, len(array), 64):
        part = np.arange(start, start + 64)
        assert (read(part) == array[part]).all()
        if start % 1024 == 0:
            sizes.append(resident(tmp_path / "rows"))
    assert 0 < max(sizes) < array.nbytes / 2  # a system may map more of a file than what is read
    read(np.arange(64))
    vectors.release()
    assert resident(tmp_path / "rows") == 0
    assert (read(np.arange(64)) == array[:64]).all()


def test_large_mapped_tables_are_read_as_they_are_stored(tmp_path):
    array = np.zeros((8, 64), np.float16)
    array.tofile(tmp_path / "rows")
    rows, positions = np.array([5, 1, 7, 2]), np.array([3, 0, 2, 1])
    table = np.memmap(tmp_path / "rows", np.float16, "r", shape=array.shape)
    assert Vectors(table, rows).as_stored(positions) is None
    assert Vectors(table, rows, 1000).as_stored(positions).tolist() == [3, 0, 1, 2]
    assert Vectors(array, rows, 1000).as_stored(positions) is None
