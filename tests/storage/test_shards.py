import json

import polars as pl
import pytest

from minerkit.storage.shards import resume_shards

KEY = {"version": 1, "after": {"corpus.parquet": "abc"}}


class Making:
    """Makes shards and remembers which."""

    def __init__(self, dies_at: int | None = None) -> None:
        self.made: list[int] = []
        self.dies_at = dies_at

    def __call__(self, number: int) -> dict[str, pl.DataFrame]:
        if number == self.dies_at:
            raise KeyboardInterrupt
        self.made.append(number)
        ids = [f"q{number}-{row}" for row in range(50)]
        return {
            "rows": pl.DataFrame({"id": ids, "n": [number] * 50}),
            "more": pl.DataFrame({"number": [number]}),
        }


def run(folder, make: Making, key=KEY, count: int = 5) -> list[tuple]:
    return [
        (shard["rows"]["id"][7], shard["more"].item()) for shard in resume_shards(folder, key, count, make)
    ]


EXPECTED = [(f"q{number}-7", number) for number in range(5)]


def test_shards_come_in_order(tmp_path):
    make = Making()
    assert run(tmp_path / "shards", make) == EXPECTED
    assert sorted(make.made) == [0, 1, 2, 3, 4]


def test_shards_that_are_there_are_not_made_again(tmp_path):
    run(tmp_path, Making())
    make = Making()
    assert run(tmp_path, make) == EXPECTED
    assert make.made == []


def test_work_that_was_cut_goes_on_where_it_was(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Making(dies_at=3))
    make = Making()
    assert run(tmp_path, make) == EXPECTED
    assert 3 in make.made and not {0, 1, 2} & set(make.made)  # 4 may have been made ahead


def test_a_piece_is_stored_before_it_is_given(tmp_path):
    make = Making()
    for number, _ in enumerate(resume_shards(tmp_path, KEY, 5, make)):
        if number == 2:
            break
    again = Making()
    run(tmp_path, again)
    assert not {0, 1, 2} & set(again.made)  # others may have been made ahead


def truncate(path):
    path.write_bytes(path.read_bytes()[:-5])


def empty(path):
    path.write_bytes(b"")


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 64
    path.write_bytes(content)


def remove(path):
    path.unlink()


@pytest.mark.parametrize("harm", [truncate, empty, flip, remove])
@pytest.mark.parametrize("file", ["000002.rows.arrow", "000002.more.arrow", "000002.json"])
def test_a_harmed_piece_is_made_again_and_no_other(tmp_path, harm, file):
    run(tmp_path, Making())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    harm(tmp_path / file)
    make = Making()
    assert run(tmp_path, make) == EXPECTED
    assert make.made == [2]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("place", range(0, 40, 3))
@pytest.mark.parametrize("bit", [1, 128])
def test_shards_whose_key_has_a_flipped_bit_are_made_again(tmp_path, place, bit):
    run(tmp_path, Making())
    content = bytearray((tmp_path / "key.json").read_bytes())
    content[place] ^= bit
    (tmp_path / "key.json").write_bytes(content)
    make = Making()
    assert run(tmp_path, make) == EXPECTED
    assert sorted(make.made) == [0, 1, 2, 3, 4]


def test_every_bit_of_a_marker_matters(tmp_path):
    run(tmp_path, Making())
    marker = tmp_path / "000002.json"
    whole = marker.read_bytes()
    for place in range(len(whole)):
        content = bytearray(whole)
        content[place] ^= 1 << place % 8
        marker.write_bytes(content)
        make = Making()
        assert run(tmp_path, make) == EXPECTED
        assert make.made == [2], bytes(content)


def test_shards_of_another_key_are_removed(tmp_path):
    run(tmp_path, Making(), {**KEY, "version": 2}, count=9)
    make = Making()
    assert run(tmp_path, make) == EXPECTED
    assert sorted(make.made) == [0, 1, 2, 3, 4]
    assert not list(tmp_path.glob("000008*"))


def test_the_order_of_a_key_does_not_matter(tmp_path):
    run(tmp_path, Making())
    make = Making()
    run(tmp_path, make, dict(reversed(KEY.items())))
    assert make.made == []


def test_stored_shards_have_the_rows_and_types_they_were_made_with(tmp_path):
    frame = pl.DataFrame({"a": [None, "x"], "b": [1.5, -0.0]}, schema={"a": pl.String, "b": pl.Float32})
    (first,) = resume_shards(tmp_path, KEY, 1, lambda _: {"rows": frame, "none": frame.clear()})
    (again,) = resume_shards(tmp_path, KEY, 1, Making(dies_at=0))
    for name in ("rows", "none"):
        assert again[name].equals(first[name]) and again[name].schema == frame.schema


def test_a_marker_names_the_tables(tmp_path):
    run(tmp_path, Making(), count=1)
    assert json.loads((tmp_path / "000000.json").read_text()).keys() == {"rows", "more"}
