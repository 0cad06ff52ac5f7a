import hashlib
import os
import stat
import subprocess
import sys

import pytest

from minerkit.storage.atomic import atomic_folder, atomic_write, remove_stale_parts, sha256


def test_a_file_is_written_whole(tmp_path):
    with atomic_write(tmp_path / "a.txt") as stream:
        stream.write(b"new")
        assert not (tmp_path / "a.txt").exists()
    assert (tmp_path / "a.txt").read_bytes() == b"new"


def test_an_old_file_is_replaced(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"old and longer")
    with atomic_write(tmp_path / "a.txt") as stream:
        stream.write(b"new")
    assert (tmp_path / "a.txt").read_bytes() == b"new"


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, fault):
    (tmp_path / "a.txt").write_bytes(b"old")
    with pytest.raises(fault), atomic_write(tmp_path / "a.txt") as stream:
        stream.write(b"half")
        raise fault
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a.txt", b"old")]


def test_no_temporary_file_is_left(tmp_path):
    with atomic_write(tmp_path / "a.txt") as stream:
        stream.write(b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_the_file_is_synced_then_its_folder(tmp_path, monkeypatch):
    synced, original = [], os.fsync

    def watched(handle):
        found = os.fstat(handle)
        synced.append((stat.S_ISDIR(found.st_mode), found.st_size, (tmp_path / "a.txt").exists()))
        original(handle)

    monkeypatch.setattr(os, "fsync", watched)
    with atomic_write(tmp_path / "a.txt") as stream:
        stream.write(b"new")
    (first, second) = synced
    assert first == (False, 3, False)
    assert (second[0], second[2]) == (True, True)


def test_a_folder_gets_its_name_when_all_of_it_is_on_the_disk(tmp_path, monkeypatch):
    synced, original = [], os.fsync

    def watched(handle):
        synced.append((os.fstat(handle).st_ino, (tmp_path / "there").exists()))
        original(handle)

    with atomic_folder(tmp_path / "there") as made:
        (made / "1_Pooling").mkdir()
        (made / "weights").write_bytes(b"1" * 1000)
        (made / "1_Pooling" / "config.json").write_text("{}")
        inside = {(path.stat().st_ino, False) for path in (made, *made.rglob("*"))}
        monkeypatch.setattr(os, "fsync", watched)
    assert set(synced[:-1]) == inside and synced[-1] == (tmp_path.stat().st_ino, True)
    assert (tmp_path / "there" / "weights").read_bytes() == b"1" * 1000 and not made.exists()


def test_a_folder_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "there") as made:
        (made / "weights").write_bytes(b"half")
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_a_folder_is_made_anew_where_a_killed_process_has_left_of_it(tmp_path):
    for content in ("half", "whole"):
        code = (
            "import os, sys; from pathlib import Path; from minerkit.storage.atomic import atomic_folder\n"
            "with atomic_folder(Path(sys.argv[1])) as made:\n"
            f"    (made / '{content}').touch(); '{content}' == 'half' and os._exit(9)"
        )
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "there")], check=False)
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["there", "there/whole"]


def test_what_a_killed_process_has_left_is_swept_and_what_is_being_written_stays(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from minerkit.storage.atomic import atomic_write\n"
        "with atomic_write(Path(sys.argv[1])) as stream:\n"
        "    stream.write(b'half'); stream.flush(); os._exit(9)"
    )
    (tmp_path / "deep").mkdir()
    others = [tmp_path / name for name in (".notes.part", "a.12.part", ".a.b.part")]
    for path in others:
        path.touch()
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "deep" / "README.md")], check=False)
    assert len(list((tmp_path / "deep").iterdir())) == 1
    with atomic_write(tmp_path / "alive.txt") as stream:
        stream.write(b"whole")
        remove_stale_parts(tmp_path)
    left = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {*others, tmp_path / "alive.txt"}


@pytest.fixture
def usual_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_others_may_read_the_file(tmp_path, usual_umask):
    with atomic_write(tmp_path / "a.txt") as stream:
        stream.write(b"new")
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o644


def test_sha256_hashes_the_bytes(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"abc" * 100_000)
    assert sha256(tmp_path / "a.txt") == hashlib.sha256(b"abc" * 100_000).hexdigest()
