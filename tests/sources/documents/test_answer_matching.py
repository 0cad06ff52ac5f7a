import json
import unicodedata
from importlib.util import find_spec

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minerkit.recipe.load import bundled
from minerkit.sources.documents import answer_matching as module
from minerkit.sources.documents.answer_matching import Match, match_answers
from minerkit.sources.documents.passages import Passage, passages
from minerkit.sources.documents.reader import Document, read_documents

SAMPLE = bundled("recipes") / "samples" / "semiconductor-zh"
TEXTS = [
    "The etching tool removes silicon in a plasma of fluorine and oxygen.",
    "Lithography prints the pattern of a chip into a layer of photoresist.",
    "A wafer is cut from a single crystal of silicon, then ground and polished.",
    "Memory prices fell in 2023, and inventories rose to a record in spring.",
]
chinese = pytest.mark.skipif(find_spec("opencc") is None, reason="OpenCC is not installed")


def one(question, answer, texts=TEXTS, within=None, **rules):
    spellings = [answer] if isinstance(answer, str) else answer
    return match_answers([question], [spellings], texts, None if within is None else [within], **rules)[0]


@chinese
@pytest.mark.parametrize(
    ("answer", "passage"),
    [
        ("A single crystal of silicon", 0),
        ("a SINGLE  crystal\nof silicon", 0),
        ("ｓｉｎｇｌｅ ｃｒｙｓｔａｌ", 0),
        ("寫入的資料", 1),
        ("写入的资料", 1),
        ("１０ 奈米", 1),
    ],
)
def test_blanks_case_width_and_variants_do_not_matter(answer, passage):
    texts = [
        "It is cut from a single crystal of sili- con, a single\u00a0crystal of sili\u00adcon.",
        "寫入的\n資料在10奈米",
    ]
    assert one("?", answer, texts) == Match(passage, 1.0, "exact")


@chinese
def test_of_several_passages_the_question_chooses():
    texts = ["长江公司成立于2008年。", "黄河公司成立于2008年。", "黄河公司在2009年上市。"]
    assert one("黄河公司是哪一年成立的？", "2008年", texts) == Match(1, 1.0, "exact")
    assert one("长江公司是哪一年成立的？", "2008年", texts) == Match(0, 1.0, "exact")


def test_ties_go_to_the_first_passage():
    texts = ["nothing of it", "the same text", "the same text"]
    assert one("same?", "the same", texts).passage == 1
    assert one("same?", "text same", texts).passage == 1


def test_one_spelling_of_an_answer_is_enough():
    assert one("Which element?", ["Si", "argon", "fluorine"], within=[0, 3]) == Match(0, 1.0, "exact")
    assert one("When?", ["no such words", "inventories rose in spring to records"]).passage == 3
    assert one("How?", ["crystal, polished", "chip unheard"]) == Match(2, 1.0, "bm25")


def test_within_restricts_the_passages():
    assert one("What is cut?", "silicon").passage == 2
    assert one("What is cut?", "silicon", within={0, 1}) == Match(0, 1.0, "exact")
    assert one("What is cut?", "silicon", within=frozenset([3, 1])).how == "none"
    assert match_answers(["?", "?"], [["silicon"], ["silicon"]], TEXTS, [None, [2]])[1].passage == 2


def test_without_passages_there_is_no_candidate():
    assert one("What?", "silicon", texts=[]) == Match(-1, 0.0, "none")
    assert one("What?", "silicon", within=[]) == Match(-1, 0.0, "none")
    assert match_answers([], [], TEXTS) == []


@pytest.mark.parametrize("spellings", [[], [""], [" \u200b"], ["?!"]])
def test_an_answer_without_words_matches_nothing(spellings):
    assert one("What?", spellings) == Match(0, 0.0, "none")
    assert one("What?", spellings, texts=["", "…"]) == Match(0, 0.0, "none")


def test_a_reworded_answer_is_matched_by_its_words():
    found = one("How does etching work?", "silicon is removed in a fluorine plasma by the etching tool")
    assert (found.passage, found.how) == (0, "bm25")
    assert 0.5 <= found.score < 1


def test_the_order_of_the_words_does_not_matter():
    assert one("?", "oxygen and fluorine of plasma") == Match(0, 1.0, "bm25")


def test_an_absent_answer_matches_nothing_but_names_the_best_candidate():
    found = one("?", "Quantum dots convert blue light behind crystal displays")
    assert (found.passage, found.how) == (2, "none")
    assert 0 < found.score < 0.5


def test_words_in_no_passage_count_against_a_match():
    scores = [
        one("?", "polished crystal" + " unheard" * (n > 0) + " unseen" * (n > 1)).score for n in range(3)
    ]
    assert scores[0] == 1
    assert scores[0] > scores[1] > scores[2]


def test_common_words_do_not_make_a_match():
    texts = [f"The {word} of the chip is a part of the whole." for word in ("size", "price", "yield", "age")]
    assert one("?", "The mask of the scanner is a part of the optics.", texts).how == "none"
    assert one("?", "The yield is a part of it", texts).passage == 2


def test_the_floor_decides_what_counts():
    found = one("?", "polished crystal unheard")
    assert one("?", "polished crystal unheard", floor=found.score).how == "bm25"
    assert one("?", "polished crystal unheard", floor=found.score + 1e-6).how == "none"


@chinese
def test_the_passage_that_holds_most_of_a_cut_answer_wins():
    answer = "晶圆厂在三月停产两周，用来检修刻蚀机台、更换真空泵和清洗腔体，四月初才恢复满载生产。"
    texts = [
        "公司发布公告。晶圆厂在三月停产两周，",
        "用来检修刻蚀机台、更换真空泵和清洗腔体，",
        "四月初才恢复满载生产。股价没有变化。",
    ]
    assert one("停产做什么？", answer, texts, floor=0.4).passage == 1
    whole = ["公司发布公告。", answer[:-8], answer[-8:] + "股价没有变化。"]
    assert (
        one("停产做什么？", answer, whole)[:2] if False else one("停产做什么？", answer, whole).how == "bm25"
    )
    assert one("停产做什么？", answer, whole).passage == 1


def folded(text):
    return "".join(unicodedata.normalize("NFKC", text).lower().split())


@chinese
@given(
    st.lists(st.text(alphabet="abA ａ中国", max_size=12), max_size=8),
    st.lists(st.text(alphabet="abA ａ中国", max_size=6), min_size=1, max_size=4),
)
def test_exact_means_held_word_for_word(texts, answers):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "KEY", 2)  # so that a hit must be verified
        patch.setattr(module, "BATCH", 10)  # so that there are several batches
        found = match_answers(answers, [[answer] for answer in answers], texts)
    for answer, match in zip(answers, found, strict=True):
        holding = [
            place for place, text in enumerate(texts) if folded(answer) and folded(answer) in folded(text)
        ]
        assert (match.how == "exact") == bool(holding)
        assert match.passage in (holding or range(-1, len(texts)))
        assert (match.passage == -1) == (not texts)
        assert 0 <= match.score <= 1


def sample():
    texts = []
    for document in read_documents(str(SAMPLE / "reports")):
        if isinstance(document, Document):
            texts += [part for part in passages(document, 64, 250) if isinstance(part, Passage)]
    rows = [json.loads(line) for line in (SAMPLE / "questions.jsonl").read_text().splitlines()]
    return texts, rows


@chinese
def test_the_sample_questions_find_their_passages():
    texts, rows = sample()
    reports = {}
    for place, passage in enumerate(texts):
        reports.setdefault(passage.report, set()).add(place)
    found = match_answers(
        [row["question"] for row in rows],
        [[row["evidence"]] for row in rows],
        [passage.text for passage in texts],
        [reports[row["report"]] for row in rows],
    )
    assert all(texts[match.passage].report == row["report"] for match, row in zip(found, rows, strict=True))
    assert sum(match.how == "exact" for match in found) == 295
    absent = [match.score for match in found if match.how == "none"]
    assert len(absent) == 6
    assert max(absent) < 0.3


@chinese
def test_answers_of_real_questions_find_their_passages(real_data):
    file = real_data / "cmrc2018" / "squad-style-data" / "cmrc2018_trial.json"
    paragraphs = [part for entry in json.loads(file.read_text())["data"] for part in entry["paragraphs"]]
    asked = [(row, part["context"]) for part in paragraphs for row in part["qas"]]
    texts = list(dict.fromkeys(part["context"] for part in paragraphs))
    found = match_answers(
        [row["question"] for row, _ in asked],
        [[answer["text"] for answer in row["answers"]] for row, _ in asked],
        texts,
    )
    right = sum(texts[match.passage] == context for match, (_, context) in zip(found, asked, strict=True))
    assert right / len(asked) >= 0.98
