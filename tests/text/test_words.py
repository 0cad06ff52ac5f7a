import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minerkit.text import words as module
from minerkit.text.words import TOKEN, tokenize

REPORTS = Path(__file__).parents[2] / "recipes" / "samples" / "semiconductor-zh" / "reports"


def runs(texts):
    """The distinct runs of Chinese characters: what the two libraries are given to cut."""
    return sorted({run for text in texts for run in TOKEN.findall(text.lower()) if "一" <= run < "\u9fd6"})


def assert_cut_the_same(texts, chars):
    rjieba = pytest.importorskip("rjieba")
    found = runs(texts)
    assert sum(map(len, found)) >= chars
    cut = module._jieba()
    assert [run for run in found if cut(run) != rjieba.cut(run)] == []


def test_words_are_lower_case_without_punctuation():
    assert tokenize("What's a C-Suite, really?") == ["what", "s", "a", "c", "suite", "really"]


def test_digits_are_words_and_underscores_are_not():
    assert tokenize("snake_case 2024 x1") == ["snake", "case", "2024", "x1"]


def test_chinese_is_cut_into_words():
    assert tokenize("半导体设备市场增长") == ["半导体", "设备", "市场", "增长"]


def test_languages_mix_in_one_text():
    assert tokenize("2024年AI芯片market") == ["2024", "年", "ai", "芯片", "market"]


def test_other_scripts_stay_whole():
    assert tokenize("Привет, Ωmega été") == ["привет", "ωmega", "été"]


def test_a_text_without_letters_has_no_words():
    assert tokenize("?! … ——") == []


def test_characters_jieba_does_not_know_stay_alone():
    assert tokenize("白䲟㐀㐁𠮷𠮷\uf900野家") == ["白", "䲟", "㐀", "㐁", "𠮷", "𠮷", "\uf900", "野家"]


@given(st.text(alphabet="ab C1_é半导体设备䲟𠮷，。 ?", max_size=40))
def test_words_lose_no_letter_or_digit(text):
    assert "".join(tokenize(text)) == "".join(letter for letter in text.lower() if letter.isalnum())


@pytest.mark.parametrize("missing", [False, True])
def test_words_are_the_same_with_and_without_rjieba(monkeypatch, missing):
    if missing:
        monkeypatch.setitem(sys.modules, "rjieba", None)
    module._cutter.cache_clear()
    try:
        assert (module._cutter() is module._jieba()) == missing
        assert tokenize("硅片2024常在较陡峭的SiC礁岸") == [
            *["硅片", "2024", "常在", "较", "陡峭", "的", "sic", "礁岸"]
        ]
    finally:
        module._cutter.cache_clear()


def test_both_libraries_cut_the_sample_reports_the_same():
    texts = [path.read_text(errors="replace") for path in REPORTS.iterdir() if path.suffix != ".pdf"]
    assert_cut_the_same(texts, 15_000)


@given(st.text(alphabet="常在较陡峭的礁岸可当哪些鱼类發現記憶體半导设备一不是了", max_size=30))
def test_both_libraries_cut_any_text_the_same(text):
    assert_cut_the_same([text], 0)


def test_both_libraries_cut_real_text_the_same(real_data):
    texts = [path.read_text(errors="replace") for path in (real_data / "semi_reports_zh").rglob("*.*")]
    for path in (real_data / "cmrc2018").rglob("*.json"):
        for entry in json.loads(path.read_text())["data"]:
            for paragraph in entry["paragraphs"]:
                texts += [paragraph["context"], *(row["question"] for row in paragraph["qas"])]
    for path in (real_data / "csl").glob("*.tsv"):
        texts += path.read_text().splitlines()
    assert_cut_the_same(texts, 800_000)
