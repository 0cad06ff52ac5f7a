from hypothesis import given
from hypothesis import strategies as st

from minerkit.words import words


def test_words_are_lower_case_without_punctuation():
    assert words("What's a C-Suite, really?") == ["what", "s", "a", "c", "suite", "really"]


def test_digits_are_words_and_underscores_are_not():
    assert words("snake_case 2024 x1") == ["snake", "case", "2024", "x1"]


def test_chinese_is_cut_into_words():
    assert words("半导体设备市场增长") == ["半导体", "设备", "市场", "增长"]


def test_languages_mix_in_one_text():
    assert words("2024年AI芯片market") == ["2024", "年", "ai", "芯片", "market"]


def test_other_scripts_stay_whole():
    assert words("Привет, Ωmega été") == ["привет", "ωmega", "été"]


def test_a_text_without_letters_has_no_words():
    assert words("?! … ——") == []


@given(st.text(alphabet="ab C1_é半导体设备，。 ?", max_size=40))
def test_words_lose_no_letter_or_digit(text):
    assert "".join(words(text)) == "".join(letter for letter in text.lower() if letter.isalnum())
