import os

import numpy as np
import pytest

from minerkit.embeddings.store import Table
from minerkit.errors import CacheError, EncoderError


def rows(count: int, dim: int = 3) -> np.ndarray:
    return np.arange(count * dim, dtype=np.float32).reshape(count, dim)


def keys(*numbers: int) -> np.ndarray:
    return np.array([[number, number + 1] for number in numbers], np.uint64)


def test_what_was_appended_is_there_when_the_table_is_opened_again(tmp_path):
    table = Table(tmp_path, "float32")
    table.append(keys(1, 2), rows(2))
    table.append(keys(3), rows(1) + 9)
    for found in (table, Table(tmp_path, "float32")):
        assert found.mapped().tolist() == [*rows(2).tolist(), *(rows(1) + 9).tolist()]
        assert found.keys.tolist() == keys(1, 2, 3).tolist()
        assert found.places.tolist() == [0, 1, 2]
        assert found.damaged == 0


def test_an_empty_table_has_no_rows(tmp_path):
    table = Table(tmp_path, "float16")
    assert (table.stop, len(table.mapped()), len(table.keys), len(table.places)) == (0, 0, 0, 0)


def test_what_lies_behind_the_last_marker_is_overwritten(tmp_path):
    table = Table(tmp_path, "float16")
    table.append(keys(1), rows(1))
    with (tmp_path / "rows.bin").open("ab") as stream:
        stream.write(b"the rest of a crash")
    again = Table(tmp_path, "float16")
    assert (again.stop, again.damaged) == (1, 0)
    again.append(keys(2), rows(1))
    assert Table(tmp_path, "float16").mapped().tolist() == [*rows(1).tolist()] * 2


def test_the_rows_are_on_the_disk_before_the_marker_is(tmp_path, monkeypatch):
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_size))

    def dying(path):
        assert synced == [2 * 3 * 4]
        raise KeyboardInterrupt

    monkeypatch.setattr("minerkit.embeddings.store.atomic_write", dying)
    with pytest.raises(KeyboardInterrupt):
        Table(tmp_path, "float32").append(keys(1, 2), rows(2))
    assert Table(tmp_path, "float32").stop == 0


def test_what_a_killed_process_was_writing_is_removed(tmp_path):
    (tmp_path / ".000000000000.shard.99999999.part").write_bytes(b"half")
    Table(tmp_path, "float16")
    assert not list(tmp_path.iterdir())


def test_a_damaged_shard_in_the_middle_leaves_the_others(tmp_path):
    table = Table(tmp_path, "float32")
    for number in range(3):
        table.append(keys(number), rows(1) + number)
    with (tmp_path / "rows.bin").open("r+b") as stream:
        stream.seek(3 * 4)
        stream.write(b"x")
    found = Table(tmp_path, "float32")
    assert (found.damaged, found.keys.tolist(), found.places.tolist()) == (1, keys(0, 2).tolist(), [0, 2])
    assert len(list(tmp_path.glob("*.shard"))) == 2


def test_a_table_without_its_file_is_empty(tmp_path):
    Table(tmp_path, "float32").append(keys(1), rows(1))
    (tmp_path / "rows.bin").unlink()
    found = Table(tmp_path, "float32")
    assert (found.damaged, found.stop) == (1, 0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(tmp_path, value):
    with pytest.raises(EncoderError, match="not finite"):
        Table(tmp_path, "float32").append(keys(1), np.array([[1, value]], np.float32))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [65505.0, -65510.0, 1e9])
def test_values_that_float16_cannot_hold_are_refused_with_what_to_set(tmp_path, value):
    with pytest.raises(EncoderError, match=r"float16 cannot hold; set encoder\.dtype=float32"):
        Table(tmp_path, "float16").append(keys(1), np.array([[1, value]], np.float32))
    assert list(tmp_path.iterdir()) == []
    table = Table(tmp_path, "float32")
    table.append(keys(1), np.array([[1, value]], np.float32))
    assert table.mapped().tolist() == np.array([[1, value]], np.float32).tolist()


def test_the_largest_value_of_float16_is_kept(tmp_path):
    table = Table(tmp_path, "float16")
    table.append(keys(1), np.array([[65504, -65504]], np.float32))
    assert table.mapped().tolist() == [[65504, -65504]]


def test_another_width_is_refused(tmp_path):
    Table(tmp_path, "float32").append(keys(1), rows(1))
    with pytest.raises(EncoderError, match=r"gave shape \(1, 2\) for 1 texts; expected 3 columns"):
        Table(tmp_path, "float32").append(keys(2), rows(1, 2))


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    table = Table(tmp_path, "float32")
    (tmp_path / "rows.bin").mkdir()
    with pytest.raises(CacheError, match=r"Is a directory.*set MINERKIT_CACHE"):
        table.append(keys(1), rows(1))
