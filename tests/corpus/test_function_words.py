import json
from importlib.util import find_spec

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minerkit.corpus import function_words as module
from minerkit.corpus.function_words import FUNCTION_WORDS, TRADITIONAL, function_word_share
from minerkit.recipe.load import bundled
from minerkit.text.words import tokenize

EMPTY = """
What does the text say?
What is the passage about?
What is the main idea of this paragraph?
What are the key points of the article?
Summarise the passage.
Please summarize the text above in your own words
Answer the following questions based on the context.
Write a question about the passage.
Generate a question from the given context
What does the author mean by this?
According to the text, which of the following statements isn't what they describe?
What's it about?
Who is he?
根据上下文信息，提出一个问题。
请根据以上内容回答问题。
本文主要讲了什么？
这段文字主要说了什么？
下列说法正确的是？
请问这篇文章谈到了什么话题？
请用一句话概括全文的中心思想。
根据材料，作者的观点是什么？
根據上下文資訊，提出一個問題。
這段文字主要說了什麼？
""".strip().splitlines()
ASKING = """
Who was Beyoncé?
What is C?
What is C#?
What happened in 2008?
how should i answer tell me about yourself?
What do all states have?
How long is the passage through the Suez canal?
What is the text of the First Amendment about?
环球晶圆为什么没有收购世创？
什么是EUV？
刻蚀机的作用是什么？
上海的材料产业报告讲了什么？
什麼是光刻膠？
""".strip().splitlines()


def share(*questions):
    return function_word_share(pl.Series("question", questions, dtype=pl.String)).to_list()


@pytest.mark.parametrize("question", EMPTY)
def test_questions_that_only_point_at_the_text_are_all_function_words(question):
    assert share(question) == [1.0]


@pytest.mark.parametrize("question", ASKING)
def test_questions_that_ask_for_something_are_not(question):
    assert share(question)[0] < 0.99


def test_the_share_is_counted_in_words():
    assert share("What is silicon?", "What is silicon carbide", "硅片是什么？", "silicon") == [
        2 / 3,
        0.5,
        2 / 3,
        0,
    ]


@pytest.mark.parametrize("question", ["", "?!", " ", "……？"])
def test_a_question_without_any_word_asks_for_nothing(question):
    assert share(question) == [1.0]


def test_case_and_width_do_not_matter():
    assert share("WHAT IS THE ＴＥＸＴ ABOUT？") == [1.0]


def test_no_questions_give_no_shares():
    empty = function_word_share(pl.Series("question", [], dtype=pl.String))
    assert (empty.name, empty.dtype, len(empty)) == ("question", pl.Float64, 0)


@given(st.lists(st.text(alphabet="atheTISé12 _'?.的是么麼說文半导體㐀ｔ中", max_size=12), max_size=8))
def test_shares_are_those_of_the_words_in_the_order_of_the_questions(questions):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BATCH", 3)
        found = share(*questions)
    for question, value in zip(questions, found, strict=True):
        normal = question.replace("ｔ", "t").translate(TRADITIONAL)
        known = [word in FUNCTION_WORDS["en"] | FUNCTION_WORDS["zh"] for word in tokenize(normal)]
        assert value == pytest.approx(sum(known) / len(known) if known else 1)


def test_each_listed_word_can_be_met():
    assert FUNCTION_WORDS["en"].isdisjoint(FUNCTION_WORDS["zh"])
    for word in FUNCTION_WORDS["en"] | FUNCTION_WORDS["zh"]:
        assert word == word.lower().translate(TRADITIONAL)


@pytest.mark.skipif(find_spec("opencc") is None, reason="OpenCC is not installed")
def test_traditional_characters_are_those_of_the_list():
    import opencc

    for standard in ("s2t", "s2tw", "s2hk"):
        convert = opencc.OpenCC(standard).convert
        missed = {word for word in FUNCTION_WORDS["zh"] if convert(word).translate(TRADITIONAL) != word}
        assert missed <= {"着", "随着"}  # 著 is also in 著名 and 著作


def test_the_empty_questions_of_the_sample_are_found():
    lines = (bundled("recipes") / "samples" / "semiconductor-zh" / "questions.jsonl").read_text().splitlines()
    questions = [json.loads(line)["question"] for line in lines]
    found = [question for question, value in zip(questions, share(*questions), strict=True) if value >= 0.99]
    assert len(found) == 10
    assert {"请总结上述材料。", "What does the text say?", "上文讲了什么？"} <= set(found)


def test_the_questions_of_the_other_samples_all_ask_for_something():
    lines = (bundled("recipes") / "samples" / "gooaq.jsonl").read_text().splitlines()
    questions = [json.loads(line)["question"] for line in lines]
    assert max(share(*questions)) < 0.99


def test_few_real_questions_ask_for_nothing(real_data):
    texts = []
    for path in sorted((real_data / "cmrc2018" / "squad-style-data").glob("*.json")):
        for entry in json.loads(path.read_text())["data"]:
            texts += [row["question"] for part in entry["paragraphs"] for row in part["qas"]]
    assert [text for text in texts if text and share(text)[0] >= 0.99] == []
