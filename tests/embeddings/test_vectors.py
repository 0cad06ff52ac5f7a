import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minerkit.embeddings.vectors import Vectors
from minerkit.errors import CacheError


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
@pytest.mark.parametrize(("mapped", "most"), [(6 << 20, 0), (64 << 20, 64 << 20)])
def test_nothing_of_a_large_table_on_disk_stays_in_memory(tmp_path, mapped, most):
    array = np.arange(32768 * 256, dtype=np.float32).reshape(32768, 256) / 7
    array.tofile(tmp_path / "rows")
    table = np.memmap(tmp_path / "rows", np.float32, "r", shape=array.shape)
    vectors = Vectors(table, np.arange(len(table)), mapped)
    read = vectors.reader(64)
    for start in range(0, len(array), 64):
        part = np.arange(start, start + 64)
        assert (read(part) == array[part]).all()
    assert (resident(tmp_path / "rows") > 0) == (most > 0)
    assert resident(tmp_path / "rows") <= most
    vectors.release()
    assert resident(tmp_path / "rows") == 0
    assert (read(np.arange(64)) == array[:64]).all()


@settings(max_examples=40)
@given(st.data(), st.sampled_from([np.float16, np.float32]), st.integers(0, 50))
def test_rows_of_a_large_table_are_read_in_any_order(tmp_path_factory, data, dtype, offset):
    file = tmp_path_factory.mktemp("table") / "rows"
    width = data.draw(st.sampled_from([5, 700, 20_000]))  # neighbours: all, some, none
    array = np.random.default_rng(offset).integers(0, 99, (90, width)).astype(dtype)
    file.write_bytes(b"x" * offset + array.tobytes())
    table = np.memmap(file, dtype, "r", offset, array.shape)
    rows = np.array(data.draw(st.lists(st.integers(0, 89), max_size=40)), np.int32)
    vectors = Vectors(table, np.sort(rows) if data.draw(st.booleans()) else rows, 0)
    rows = vectors.rows
    assert vectors.take(0, len(rows)).tolist() == array[rows].astype(np.float32).tolist()
    assert vectors.reader(40)(np.arange(len(rows))).tolist() == array[rows].astype(np.float32).tolist()


def test_a_row_that_is_not_in_a_large_table_is_an_error(tmp_path):
    array = np.zeros((8, 64), np.float16)
    array.tofile(tmp_path / "rows")
    table = np.memmap(tmp_path / "rows", np.float16, "r", shape=array.shape)
    with pytest.raises(IndexError):
        Vectors(table, np.array([3, 8]), 0).take(0, 2)
    (tmp_path / "rows").write_bytes(array.tobytes()[:-1])
    with pytest.raises(CacheError, match="rows: cannot be read"):
        Vectors(table, np.array([3, 7]), 0).take(0, 2)


def test_large_mapped_tables_are_read_as_they_are_stored(tmp_path):
    array = np.zeros((8, 64), np.float16)
    array.tofile(tmp_path / "rows")
    rows, positions = np.array([5, 1, 7, 2]), np.array([3, 0, 2, 1])
    table = np.memmap(tmp_path / "rows", np.float16, "r", shape=array.shape)
    assert Vectors(table, rows).storage_order(positions) is None
    assert Vectors(table, rows, 1000).storage_order(positions).tolist() == [3, 0, 1, 2]
    assert Vectors(array, rows, 1000).storage_order(positions) is None
