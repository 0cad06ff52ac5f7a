import hashlib
import resource
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pytest

from minerkit.embeddings import cache
from minerkit.embeddings.cache import EmbeddingCache
from minerkit.errors import CacheError, EncoderError
from minerkit.runtime.cache_location import cache_folder


def vector(text: str) -> list[float]:
    return [byte / 255 for byte in hashlib.sha256(text.encode()).digest()[:4]]


class Counting:
    """An encoder that remembers what it was asked."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, texts: list[str], progress=id) -> np.ndarray:
        self.texts += texts
        progress(len(texts))
        return np.array([vector(text) for text in texts], np.float32).reshape(-1, 4)


def embed(folder, texts: list[str], encode=None, fingerprint="one", dtype="float32", say=id) -> np.ndarray:
    cache = EmbeddingCache(fingerprint, dtype, folder)
    found = cache.embed(pl.Series(texts, dtype=pl.String), encode or Counting(), say=say)
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
    assert len(EmbeddingCache("one", "float32", tmp_path).embed(pl.Series([], dtype=pl.String), encode)) == 0
    assert encode.texts == []


def test_a_shard_holds_so_many_texts_and_so_many_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "SHARD", 30)
    assert embed(tmp_path / "a", TEXTS).tolist() == expected(TEXTS)
    assert len(list(tmp_path.glob("a/**/*.shard"))) == 7
    monkeypatch.setattr(cache, "LEAST_BYTES", 100)
    assert embed(tmp_path / "b", TEXTS).tolist() == expected(TEXTS)
    assert len(list(tmp_path.glob("b/**/*.shard"))) > 40


def test_what_was_encoded_before_a_crash_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "SHARD", 50)
    encode = Counting()

    def dying(texts: list[str], progress) -> np.ndarray:
        if len(encode.texts) == 150:
            raise KeyboardInterrupt
        return encode(texts)

    with pytest.raises(KeyboardInterrupt):
        embed(tmp_path, TEXTS, dying)
    again = Counting()
    assert embed(tmp_path, TEXTS, again).tolist() == expected(TEXTS)
    assert sorted([*encode.texts, *again.texts]) == sorted(TEXTS)


def test_vectors_are_rows_of_one_table_mapped_from_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "SHARD", 50)
    found = EmbeddingCache("one", "float16", tmp_path).embed(pl.Series(TEXTS), Counting())
    table = found._table.table
    assert isinstance(table.base, np.memmap) and (table.dtype, table.shape) == (np.float16, (200, 4))


def test_float16_halves_the_table_and_rounds(tmp_path):
    for dtype, size in (("float16", 2), ("float32", 4)):
        found = embed(tmp_path, TEXTS, fingerprint=dtype, dtype=dtype)
        assert found.tolist() == np.array(expected(TEXTS)).astype(dtype).tolist()
        assert (tmp_path / "embeddings" / dtype / "rows.bin").stat().st_size == 200 * 4 * size


def test_values_that_are_not_finite_are_refused_and_not_kept(tmp_path):
    with pytest.raises(EncoderError, match="values that are not finite"):
        embed(tmp_path, ["a", "b"], lambda texts, done: np.array([[0.1, 0.2], [0.3, np.nan]], np.float32))
    assert list(tmp_path.rglob("*.shard")) == []


@pytest.mark.parametrize("shape", [(1, 4), (3, 4), (2,), (2, 4, 1)])
def test_embeddings_of_another_shape_are_refused(tmp_path, shape):
    with pytest.raises(EncoderError, match=r"the encoder gave shape \("):
        embed(tmp_path, ["a", "b"], lambda texts, done: np.zeros(shape, np.float32))


def test_embeddings_of_another_width_than_before_are_refused(tmp_path):
    embed(tmp_path, ["a"])
    with pytest.raises(EncoderError, match=r"gave shape \(1, 3\) for 1 texts; expected 4 columns"):
        embed(tmp_path, ["b"], lambda texts, done: np.zeros((1, 3), np.float32))


def test_progress_adds_up_to_the_texts(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "SHARD", 30)
    embed(tmp_path, TEXTS[:50])
    steps: list[int] = []
    EmbeddingCache("one", "float32", tmp_path).embed(pl.Series(TEXTS), Counting(), steps.append)
    assert steps == [50, 30, 30, 30, 30, 30]


def test_the_encoder_tells_progress_within_a_shard(tmp_path):
    def float16_bits(texts: list[str], progress) -> np.ndarray:
        progress(len(texts) // 2)
        progress(len(texts) - len(texts) // 2)
        return Counting()(texts)

    steps: list[int] = []
    EmbeddingCache("one", "float32", tmp_path).embed(pl.Series(TEXTS), float16_bits, steps.append)
    assert steps == [0, 100, 100]


def test_the_cache_lies_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("MINERKIT_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    EmbeddingCache("one").embed(pl.Series(["a"]), Counting())
    assert (tmp_path / "embeddings" / "one" / "rows.bin").is_file()


def test_the_cache_lies_in_the_user_folder_by_default(monkeypatch):
    monkeypatch.delenv("MINERKIT_CACHE", raising=False)
    assert "minerkit" in cache_folder().name


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[:-1],
        lambda raw: raw[: len(raw) // 2] + bytes([raw[len(raw) // 2] ^ 1]) + raw[len(raw) // 2 + 1 :],
    ],
    ids=["cut", "bit"],
)
@pytest.mark.parametrize("place", [0, 2, 3])
@pytest.mark.parametrize("kind", ["marker", "rows"])
def test_a_damaged_shard_is_told_and_only_its_texts_are_encoded_again(
    tmp_path, monkeypatch, kind, place, damage
):
    monkeypatch.setattr(cache, "SHARD", 50)
    texts = [f"{i:03d}" for i in range(200)]
    embed(tmp_path, texts)
    marker = sorted(tmp_path.rglob("*.shard"))[place]
    if kind == "marker":
        marker.write_bytes(damage(marker.read_bytes()))
    else:
        table, size = marker.parent / "rows.bin", 50 * 4 * 4
        raw = table.read_bytes()
        part = damage(raw[place * size : (place + 1) * size])
        # A table can only be cut at its end, and then all of the last rows are gone.
        rest = raw[(place + 1) * size :] if len(part) == size else b""
        table.write_bytes(raw[: place * size] + part + rest)
        place = place if len(part) == size else slice(place, None)
    lost = np.array(texts).reshape(4, 50)[place].ravel().tolist()
    encode, said = Counting(), []
    assert embed(tmp_path, texts, encode, say=said.append).tolist() == expected(texts)
    assert sorted(encode.texts) == lost
    assert len(said) == 1
    assert f"damaged in {len(lost) // 50} place" in said[0]
    again = Counting()
    assert embed(tmp_path, texts, again, say=said.append).tolist() == expected(texts)
    assert (again.texts, len(said)) == ([], 1)


@pytest.mark.parametrize("size", [100, 1500, 2048])
def test_a_full_disk_is_one_line_and_what_was_stored_is_kept(tmp_path, monkeypatch, size):
    monkeypatch.setattr(cache, "SHARD", 50)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    encode = Counting()
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        with pytest.raises(CacheError, match=r"one: the cache cannot be used \(File too large\); free some"):
            embed(tmp_path, TEXTS, encode)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    stored = size // (50 * 4 * 4) * 50
    again = Counting()
    assert embed(tmp_path, TEXTS, again).tolist() == expected(TEXTS)
    assert sorted(again.texts) == sorted(set(TEXTS) - set(encode.texts[:stored]))


def test_a_cache_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "embeddings").write_text("a file where the folder should be")
    with pytest.raises(CacheError, match="set MINERKIT_CACHE to another folder"):
        embed(tmp_path, ["a"])


def test_a_second_process_says_that_it_waits_and_finds_what_the_first_stored(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "PATIENCE", 0.05)
    encoding, waiting, said = threading.Event(), threading.Event(), []

    def patient(texts: list[str], progress) -> np.ndarray:
        encoding.set()
        assert waiting.wait(60)
        return Counting()(texts)

    def say(line: str) -> None:
        said.append(line)
        waiting.set()

    with ThreadPoolExecutor() as pool:
        first = pool.submit(embed, tmp_path, TEXTS, patient)
        assert encoding.wait(60)
        encode = Counting()
        second = embed(tmp_path, TEXTS, encode, say=say)
        assert first.result().tolist() == second.tolist() == expected(TEXTS)
    assert encode.texts == []
    assert len(said) == 1
    assert "another minerkit encodes with the same encoder" in said[0]


def test_nothing_is_said_when_all_is_well(tmp_path):
    said: list[str] = []
    for _ in range(2):
        embed(tmp_path, TEXTS, say=said.append)
    assert said == []
