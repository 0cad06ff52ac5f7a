import itertools

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from minerkit.pipeline.shards import LEAST, MOST, SHARE, Shard, query_shards


def queries(train: int, dev: int) -> pl.DataFrame:
    return pl.DataFrame({"split": ["train"] * train + ["dev"] * dev}, schema={"split": pl.String})


@given(train=st.integers(0, 3 * MOST), dev=st.integers(0, 3 * MOST))
def test_shards_cover_every_query_once_and_in_order(train, dev):
    found = query_shards(queries(train, dev))
    assert [shard.split for shard in found] == sorted((shard.split for shard in found), reverse=True)
    for split, count in (("train", train), ("dev", dev)):
        own = [(shard.start, shard.stop) for shard in found if shard.split == split]
        edges = [0, *(stop for _, stop in own)]
        assert own == list(itertools.pairwise(edges)) and edges[-1] == count
        assert all(start < stop for start, stop in own)


@given(train=st.integers(0, 3 * MOST), dev=st.integers(0, 3 * MOST))
def test_shards_are_neither_small_nor_large(train, dev):
    found = query_shards(queries(train, dev))
    sizes = [shard.stop - shard.start for shard in found]
    last = [here.split != after.split for here, after in itertools.pairwise(found)] + [True] * bool(found)
    assert all(size <= MOST for size in sizes)
    assert all(size >= LEAST for size, end in zip(sizes, last, strict=True) if not end)


def test_a_large_run_has_a_share_of_its_queries_in_each_shard():
    size = (LEAST + MOST) // 2
    found = query_shards(queries(SHARE * size, 0))
    assert {shard.stop - shard.start for shard in found} == {size}
    assert len(found) == SHARE


def test_a_small_run_has_a_shard_a_split():
    assert query_shards(queries(10, 3)) == [Shard(0, "train", 0, 10), Shard(1, "dev", 0, 3)]


def test_no_queries_have_no_shards():
    assert query_shards(queries(0, 0)) == []
