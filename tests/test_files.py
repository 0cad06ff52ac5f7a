import hashlib
import os
import stat

import pytest

from minerkit.files import put, replacing, sha256


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


def test_a_folder_gets_its_name_when_all_of_it_is_on_the_disk(tmp_path, monkeypatch):
    synced, original = [], os.fsync

    def watched(handle):
        synced.append((os.fstat(handle).st_ino, (tmp_path / "there").exists()))
        original(handle)

    made = tmp_path / "scratch" / "model"
    (made / "1_Pooling").mkdir(parents=True)
    (made / "weights").write_bytes(b"1" * 1000)
    (made / "1_Pooling" / "config.json").write_text("{}")
    inside = {(path.stat().st_ino, False) for path in (made, *made.rglob("*"))}
    monkeypatch.setattr(os, "fsync", watched)
    put(made, tmp_path / "there")
    assert set(synced[:-1]) == inside and synced[-1] == (tmp_path.stat().st_ino, True)
    assert (tmp_path / "there" / "weights").read_bytes() == b"1" * 1000 and not made.exists()


def test_others_may_read_the_file(tmp_path):
    with replacing(tmp_path / "a.txt") as stream:
        stream.write(b"new")
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o644


def test_sha256_hashes_the_bytes(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"abc" * 100_000)
    assert sha256(tmp_path / "a.txt") == hashlib.sha256(b"abc" * 100_000).hexdigest()
