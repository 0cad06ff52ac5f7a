import unicodedata

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minerkit.text.chinese import _characters, to_simplified

#: Chinese of both kinds, other scripts, and whatever else there is.
CHARACTERS = st.sampled_from("記憶體记忆体薴苧苎髮發发龍a é\U0002b5af")
TEXTS = st.text(st.one_of(CHARACTERS, st.characters(codec="utf-8")))


def folded(*texts: str | None) -> list[str | None]:
    return to_simplified(pl.Series(texts, dtype=pl.String)).to_list()


@pytest.mark.parametrize(
    ("traditional", "expected"),
    [
        ("記憶體芯片", "记忆体芯片"),
        ("瑞薩電子的現金流與盈利能力", "瑞萨电子的现金流与盈利能力"),
        ("頭髮發展", "头发发展"),  # one simplified character for two
        ("中芯国际 SMIC", "中芯国际 SMIC"),
        ("Größe, naïve, 東京タワー", "Größe, naïve, 东京タワー"),
    ],
)
def test_traditional_characters_are_simplified_one_by_one(traditional, expected):
    assert folded(traditional) == [expected]


def test_texts_keep_their_places_and_nulls():
    assert folded("a", "記", None, "é", "体") == ["a", "记", None, "é", "体"]


def test_the_series_given_is_not_changed():
    given_texts = pl.Series(["記", "a"])
    to_simplified(given_texts)
    assert given_texts.to_list() == ["記", "a"]


@given(st.lists(TEXTS, max_size=5))
def test_simplifying_is_idempotent_and_keeps_lengths(texts):
    once = folded(*texts)
    assert folded(*once) == once
    assert [len(text) for text in once] == [len(text) for text in texts]


@given(st.lists(st.text(st.characters(codec="ascii")), max_size=5))
def test_ascii_is_untouched(texts):
    assert folded(*texts) == texts


def test_every_character_ends_at_one_that_is_simple_itself():
    characters = _characters()
    assert len(characters) > 4000
    assert not set(characters.values()) & set(characters)


def test_simplified_characters_are_normalised_ones():
    for old, new in _characters().items():
        assert unicodedata.normalize("NFKC", old + new) == old + new
