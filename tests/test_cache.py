import hashlib

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minerkit import cache
from minerkit.cache import EmbeddingCache, Vectors, cache_folder
from minerkit.errors import EncoderError


def vector(text: str) -> list[float]:
    return [byte / 255 for byte in hashlib.sha256(text.encode()).digest()[:4]]


class Counting:
    """An encoder that remembers what it was asked."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, texts: list[str]) -> np.ndarray:
        self.texts += texts
        return np.array([vector(text) for text in texts], np.float32).reshape(-1, 4)


def embed(folder, texts: list[str], encode=None, fingerprint: str = "one") -> np.ndarray:
    found = EmbeddingCache(fingerprint, folder).embed(pl.Series(texts, dtype=pl.String), encode or Counting())
    return found.take(0, len(found))


def expected(texts: list[str]) -> list[list[float]]:
    return np.array([vector(text) for text in texts], np.float32).tolist()


TEXTS = [f"text {i} " + "long " * (i % 7) for i in range(200)]


def test_vectors_come_in_the_order_of_the_texts(tmp_path):
    texts = ["b", "a longer text", "", "a", "半导体"]
    assert embed(tmp_path, texts).tolist() == expected(texts)


def test_equal_texts_are_encoded_once_and_each_gets_its_vector(tmp_path):
    encode = Counting()
    texts = ["a", "b", "a", "a", "c", "b"]
    assert embed(tmp_path, texts, encode).tolist() == expected(texts)
    assert sorted(encode.texts) == ["a", "b", "c"]


def test_a_second_run_encodes_nothing(tmp_path):
    first = embed(tmp_path, TEXTS)
    encode = Counting()
    assert embed(tmp_path, TEXTS, encode).tolist() == first.tolist()
    assert encode.texts == []


def test_one_percent_more_texts_encode_only_those(tmp_path):
    embed(tmp_path, TEXTS)
    encode = Counting()
    more = [TEXTS[0], "new 1", *TEXTS[1:], "new 2"]
    assert embed(tmp_path, more, encode).tolist() == expected(more)
    assert sorted(encode.texts) == ["new 1", "new 2"]


def test_another_encoder_shares_nothing(tmp_path):
    embed(tmp_path, TEXTS)
    encode = Counting()
    embed(tmp_path, TEXTS, encode, fingerprint="two")
    assert sorted(encode.texts) == sorted(TEXTS)


def test_long_texts_are_encoded_first(tmp_path):
    encode = Counting()
    embed(tmp_path, ["a", "ccc", "bb", "dd"], encode)
    assert encode.texts == ["ccc", "bb", "dd", "a"]


def test_length_is_counted_in_bytes(tmp_path):
    encode = Counting()
    embed(tmp_path, ["aaaa", "半导"], encode)
    assert encode.texts == ["半导", "aaaa"]


def test_no_texts_encode_nothing(tmp_path):
    encode = Counting()
    assert len(EmbeddingCache("one", tmp_path).embed(pl.Series([], dtype=pl.String), encode)) == 0
    assert encode.texts == []


def test_shards_hold_so_many_texts(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "SHARD", 30)
    assert embed(tmp_path, TEXTS).tolist() == expected(TEXTS)
    assert len(list(tmp_path.rglob("*.keys.npy"))) == 7
    assert len(list(tmp_path.rglob("*.rows.npy"))) == 7


def test_what_was_encoded_before_a_crash_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "SHARD", 50)
    encode = Counting()

    def dying(texts: list[str]) -> np.ndarray:
        if len(encode.texts) == 150:
            raise KeyboardInterrupt
        return encode(texts)

    with pytest.raises(KeyboardInterrupt):
        embed(tmp_path, TEXTS, dying)
    again = Counting()
    assert embed(tmp_path, TEXTS, again).tolist() == expected(TEXTS)
    assert sorted([*encode.texts, *again.texts]) == sorted(TEXTS)


def test_a_shard_without_keys_does_not_exist(tmp_path):
    embed(tmp_path, ["a", "b"])
    folder = next(tmp_path.rglob("*.keys.npy")).parent
    np.save(folder / "000001.rows.npy", np.full((9, 3), 7.0, np.float32))
    encode = Counting()
    assert embed(tmp_path, ["a", "c", "b"], encode).tolist() == expected(["a", "c", "b"])
    assert encode.texts == ["c"]


def test_vectors_are_mapped_from_disk(tmp_path):
    found = EmbeddingCache("one", tmp_path).embed(pl.Series(TEXTS), Counting())
    assert all(isinstance(block, np.memmap) for block in found._blocks)


def test_vectors_are_stored_as_float32(tmp_path):
    embed(tmp_path, ["a"], lambda texts: np.array([[0.1, 0.2]], np.float64))
    assert np.load(next(tmp_path.rglob("*.rows.npy"))).dtype == np.float32


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused_and_not_kept(tmp_path, bad):
    with pytest.raises(EncoderError, match="values that are not finite"):
        embed(tmp_path, ["a", "b"], lambda texts: np.array([[0.1, 0.2], [0.3, bad]], np.float32))
    assert list(tmp_path.rglob("*.npy")) == []


@pytest.mark.parametrize("shape", [(1, 4), (3, 4), (2,), (2, 4, 1)])
def test_embeddings_of_another_shape_are_refused(tmp_path, shape):
    with pytest.raises(EncoderError, match=r"the encoder gave shape \("):
        embed(tmp_path, ["a", "b"], lambda texts: np.zeros(shape, np.float32))


def test_embeddings_of_another_width_than_before_are_refused(tmp_path):
    embed(tmp_path, ["a"])
    with pytest.raises(EncoderError, match=r"gave shape \(1, 3\) for 1 texts; expected 4 columns"):
        embed(tmp_path, ["b"], lambda texts: np.zeros((1, 3), np.float32))


def test_progress_adds_up_to_the_texts(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "SHARD", 30)
    embed(tmp_path, TEXTS[:50])
    steps: list[int] = []
    EmbeddingCache("one", tmp_path).embed(pl.Series(TEXTS), Counting(), steps.append)
    assert steps == [50, 30, 30, 30, 30, 30]


def test_progress_is_told_more_often_than_shards_are_written(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "SHARD", 120)
    monkeypatch.setattr(cache, "STEP", 50)
    steps: list[int] = []
    found = EmbeddingCache("one", tmp_path).embed(pl.Series(TEXTS), Counting(), steps.append)
    assert found.take(0, len(found)).tolist() == expected(TEXTS)
    assert steps == [0, 50, 50, 20, 50, 30]
    assert len(list(tmp_path.rglob("*.keys.npy"))) == 2


def test_the_cache_lies_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("MINERKIT_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    EmbeddingCache("one").embed(pl.Series(["a"]), Counting())
    assert (tmp_path / "embeddings" / "one" / "000000.keys.npy").is_file()


def test_the_cache_lies_in_the_user_folder_by_default(monkeypatch):
    monkeypatch.delenv("MINERKIT_CACHE", raising=False)
    assert "minerkit" in cache_folder().name


@given(st.data())
def test_vectors_are_taken_by_position_across_blocks(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    blocks = [rng.standard_normal((size, 3)).astype(np.float32) for size in (4, 1, 7)]
    flat = [(block, row) for block in range(3) for row in range(len(blocks[block]))]
    places = np.array(data.draw(st.lists(st.sampled_from(flat), max_size=15)), np.int64).reshape(-1, 2)
    vectors = Vectors(blocks, places)
    whole = [blocks[block][row].tolist() for block, row in places]
    start, stop = sorted(data.draw(st.tuples(st.integers(0, 16), st.integers(0, 16))))
    assert (len(vectors), vectors.dim) == (len(places), 3)
    assert vectors.take(start, stop).tolist() == whole[start:stop]
    if len(places):
        rows = np.array(data.draw(st.lists(st.integers(0, len(places) - 1), max_size=5)), np.int64)
        picked = vectors.subset(rows)
        assert picked.take(0, len(picked)).tolist() == [whole[row] for row in rows]


def test_an_array_is_wrapped_as_it_is():
    array = np.arange(6, dtype=np.float32).reshape(3, 2)
    assert Vectors.of(array).take(0, 3).tolist() == array.tolist()
