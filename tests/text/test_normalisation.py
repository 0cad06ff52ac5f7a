import itertools
import unicodedata

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minerkit.text.normalisation import BLANK, KEPT, match_key, normalise, normalise_text, trim_text
from minerkit.text.shingles import jaccard, mix_bits, shingle_hashes

#: Texts in which spelling variants, repeats and blanks are frequent, and letters whose accents stand apart.
LIKELY = st.text(alphabet="abABJ c.?！\u200b\u3000é\u030c體体İΣ", max_size=30)


def keys(*texts: str | None) -> list[str | None]:
    return (
        pl.DataFrame({"text": texts}, schema={"text": pl.String})
        .select(match_key(pl.col("text")))["text"]
        .to_list()
    )


@given(st.text())
def test_normalise_is_idempotent(text):
    assert normalise(normalise(text)) == normalise(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ＡＩ　２０２４", "AI 2024"),  # full-width letters, digits and blank
        ("ﬁne", "fine"),  # ligature
        ("e\u0301te\u0301", "été"),  # combining accents
        ("①", "1"),
        ("a\u200bb", "a b"),  # zero-width space
        ("\ufeffword", "word"),  # byte order mark
        ("a\u00a0b", "a b"),  # no-break space
        ("  a \t\r\n\n b  ", "a b"),
        ("a\u2028b", "a b"),  # line separator
        ("\u3000\u200b ", ""),
        ("", ""),
        ("半导体，设备？", "半导体,设备?"),
        ("Case Stays.", "Case Stays."),
    ],
)
def test_normalise_folds_spelling_and_white_space(text, expected):
    assert normalise(text) == expected


def test_normalised_keeps_nulls():
    frame = pl.DataFrame({"text": ["ａ", None]})
    assert frame.select(normalise_text(pl.col("text")))["text"].to_list() == ["a", None]


@given(st.lists(st.one_of(LIKELY, st.text()), max_size=6))
def test_normalised_is_what_rewriting_every_text_gives(texts):
    frame = pl.DataFrame({"text": texts}, schema={"text": pl.String})
    blanks_joined = pl.col("text").str.normalize("NFKC").str.replace_all(f"[{BLANK}]+", " ").str.strip_chars()
    assert frame.select(normalise_text(pl.col("text"))).equals(frame.select(blanks_joined))


def test_characters_that_need_no_rewriting_are_kept_wherever_they_stand():
    every = pl.Series([chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000])
    kept = every.filter(every.str.contains(f"[{KEPT}]")).to_list()
    assert len(kept) > 30_000
    for text in ("".join(kept), "".join(reversed(kept)), "".join(kept).lower()):
        assert unicodedata.normalize("NFKC", text) == text
    assert not [char for char in kept if unicodedata.combining(char)]


def test_cleaned_trims_and_turns_empty_texts_into_nulls():
    frame = pl.DataFrame({"text": [" ａ  b ", "", "  ", "\u200b", None]})
    assert frame.select(trim_text(pl.col("text")))["text"].to_list() == ["ａ  b", None, None, None, None]


def test_match_key_folds_case_width_blanks_and_closing_punctuation():
    variants = [
        "What is AI",
        "what is ai?",
        "WHAT IS AI ?!",
        "what  is ai...",
        "ｗｈａｔ is ai？",
        "What is AI。",
    ]
    assert set(keys(*variants)) == {"what is ai"}


@pytest.mark.parametrize(
    ("one", "other"),
    [("c++", "c"), ("c#", "c"), ("a.b", "ab"), ("is it 5?6", "is it 56"), ("c)", "c"), ("-1", "1")],
)
def test_match_key_keeps_other_punctuation(one, other):
    first, second = keys(one, other)
    assert first != second


def test_match_key_of_punctuation_alone_is_the_punctuation():
    assert keys("?!", "...", "") == ["?!", "...", ""]


def test_match_key_keeps_nulls():
    assert keys(None, "A", "？", "體") == [None, "a", "?", "体"]


def test_match_key_folds_traditional_characters():
    assert set(keys("記憶體芯片。", "记忆体芯片", "記憶体芯片？")) == {"记忆体芯片"}


@pytest.mark.parametrize(
    ("capital", "small"), [("J\u030c", "\u01f0"), ("ΑΣ", "ας"), ("™", "tm"), ("ǅ", "dž")]
)
def test_match_key_folds_case_however_it_is_written(capital, small):
    assert keys(capital) == keys(small)


@given(st.one_of(LIKELY, st.text()))
def test_match_key_is_idempotent(text):
    assert keys(*keys(text)) == keys(text)


@given(LIKELY)
def test_match_key_does_not_depend_on_normalising_before(text):
    assert keys(text) == keys(normalise(text))


def plain_shingles(text: str) -> list[str]:
    key = keys(text)[0] or ""
    padded = key + "    "
    return [padded[start : start + 5] for start in range(len(key))] or ["     "]


@given(st.lists(LIKELY, min_size=1, max_size=8))
def test_shingles_are_the_five_character_windows_of_the_padded_match_key(texts):
    hashes, offsets = shingle_hashes(pl.Series(texts))
    windows = [plain_shingles(text) for text in texts]
    assert np.diff(offsets).tolist() == [len(part) for part in windows]
    named: dict[int, str] = {}
    for value, window in zip(hashes.tolist(), itertools.chain(*windows), strict=True):
        assert named.setdefault(value, window) == window
    assert len(named) == len(set(itertools.chain(*windows)))


@pytest.mark.parametrize(("text", "count"), [("", 1), ("a", 1), ("abcd", 4), ("abcde", 5), ("abcdef", 6)])
def test_short_texts_are_padded_to_at_least_one_shingle(text, count):
    for texts in ([text], ["before", text], [text, "after"]):
        hashes, offsets = shingle_hashes(pl.Series(texts))
        place = texts.index(text)
        assert offsets[place + 1] - offsets[place] == count
        assert len(hashes) == offsets[-1]


def test_shingles_do_not_depend_on_the_neighbours():
    alone, _ = shingle_hashes(pl.Series(["半导体设备"]))
    hashes, offsets = shingle_hashes(pl.Series(["ab", "半导体设备", "😀"]))
    assert hashes[offsets[1] : offsets[2]].tolist() == alone.tolist()


def test_scattered_is_split_mix_64():
    # The first outputs of the reference implementation seeded with 0.
    golden = np.array([0, 0x9E3779B97F4A7C15, 0x3C6EF372FE94F82A], np.uint64)
    assert [hex(value) for value in mix_bits(golden)] == [
        "0xe220a8397b1dcdaf",
        "0x6e789e6aa1b965f4",
        "0x6c45d188009454f",
    ]


@given(st.lists(st.integers(0, 2**64 - 1), unique=True, max_size=50))
def test_scattered_is_one_to_one(values):
    assert len(set(mix_bits(np.array(values, np.uint64)).tolist())) == len(values)


@settings(max_examples=25)
@given(st.lists(LIKELY, min_size=1, max_size=6), st.sampled_from([4, 100]))
def test_jaccard_equals_plain_sets(texts, batch):
    pairs = np.array(list(itertools.product(range(len(texts)), repeat=2)))
    sets = [set(plain_shingles(text)) for text in texts]
    expected = [len(sets[a] & sets[b]) / len(sets[a] | sets[b]) for a, b in pairs]
    assert jaccard(pl.Series(texts), pairs, batch).tolist() == pytest.approx(expected)


@settings(max_examples=20)
@given(st.text(min_size=1))
def test_a_text_is_wholly_similar_to_itself(text):
    assert jaccard(pl.Series([text]), np.array([[0, 0]])).tolist() == [1.0]


def test_jaccard_of_no_pairs_is_empty():
    assert jaccard(pl.Series(["a"]), np.empty((0, 2), np.int64)).shape == (0,)
