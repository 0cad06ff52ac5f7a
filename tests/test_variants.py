import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from minerkit.text import match_key
from minerkit.variants import simplified


def fold(*texts: str | None) -> list[str | None]:
    return simplified(pl.Series(texts, dtype=pl.String)).to_list()


def test_traditional_characters_become_simplified_one_by_one():
    assert fold("瑞薩電子的現金流與盈利能力", "記憶體") == ["瑞萨电子的现金流与盈利能力", "记忆体"]


def test_simplified_text_other_scripts_and_nulls_stay():
    texts = ["中芯国际 SMIC", "plain", None, ""]
    assert fold(*texts) == texts


def test_both_scripts_have_one_match_key():
    keys = pl.Series(["記憶體芯片。", "记忆体芯片", "ＤＲＡＭ記憶體"])
    found = keys.to_frame("text").select(match_key(pl.col("text"))).to_series().to_list()
    assert found == ["记忆体芯片", "记忆体芯片", "dram记忆体"]


@given(st.lists(st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x33FFF)), max_size=4))
def test_folding_keeps_lengths_and_folds_once(texts):
    texts = [text for text in texts if not any(0xD800 <= ord(c) < 0xE000 for c in text)]
    once = fold(*texts)
    assert [len(text) for text in once] == [len(text) for text in texts]
    assert fold(*once) == once
    assert [text for text in once if text.isascii()] == [text for text in texts if text.isascii()]
