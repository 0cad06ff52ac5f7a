import hashlib
import os
import stat

import pytest

from minerkit.files import replacing, sha256


def test_a_file_is_written_whole(tmp_path):
    with replacing(tmp_path / "a.txt") as stream:
        stream.write(b"new")
        assert not (tmp_path / "a.txt").exists()
    assert (tmp_path / "a.txt").read_bytes() == b"new"


def test_an_old_file_is_replaced(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"old and longer")
    with replacing(tmp_path / "a.txt") as stream:
        stream.write(b"new")
    assert (tmp_path / "a.txt").read_bytes() == b"new"


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, fault):
    (tmp_path / "a.txt").write_bytes(b"old")
    with pytest.raises(fault), replacing(tmp_path / "a.txt") as stream:
        stream.write(b"half")
        raise fault
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a.txt", b"old")]


def test_no_temporary_file_is_left(tmp_path):
    with replacing(tmp_path / "a.txt") as stream:
        stream.write(b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_the_file_is_synced_then_its_folder(tmp_path, monkeypatch):
    synced, original = [], os.fsync

    def watched(handle):
        found = os.fstat(handle)
        synced.append((stat.S_ISDIR(found.st_mode), found.st_size, (tmp_path / "a.txt").exists()))
        original(handle)

    monkeypatch.setattr(os, "fsync", watched)
    with replacing(tmp_path / "a.txt") as stream:
        stream.write(b"new")
    (first, second) = synced
    assert first == (False, 3, False)
    assert (second[0], second[2]) == (True, True)


def test_others_may_read_the_file(tmp_path):
    with replacing(tmp_path / "a.txt") as stream:
        stream.write(b"new")
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o644


def test_sha256_hashes_the_bytes(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"abc" * 100_000)
    assert sha256(tmp_path / "a.txt") == hashlib.sha256(b"abc" * 100_000).hexdigest()
