"""Sentences, packing, and what is no text: small inputs, and properties that hold for any."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minerkit.sources.documents.passages import Passage, passages, repeated_paragraphs, split_sentences
from minerkit.sources.documents.reader import Document, Rejected, Section
from minerkit.text.sentences import is_fragment, join_sentences


def document(*paragraphs, heading=(), report="a.md"):
    return Document(report, report, [Section(heading, list(paragraphs))])


def packed(source, least=10, most=40, repeated=frozenset()):
    """Pack a document; give its passages' texts and its rejected rows."""
    results = list(passages(source, least, most, repeated))
    return [r.text for r in results if isinstance(r, Passage)], [
        r for r in results if isinstance(r, Rejected)
    ]


def sentence(length, letter="字"):
    return letter * (length - 1) + "。"


# Sentences


@pytest.mark.parametrize(
    "sentences",
    [
        ["光刻很贵。", "刻蚀也贵！", "为什么？", "沉积；", "检测。"],
        ["他说：“很贵。”", "她说：「是吗？」", "（见下文。）"],
        ["涨到3.5元。", "跌到2.1元。"],
        ["It costs 3.5 million.", "It weighs 2 t."],
        ["Tools, e.g. scanners, i.e. the big ones, cost a lot.", "True."],
        ["The U.S. Congress met.", "NVIDIA Inc. rose."],
        ["See Fig. 3 and Eq. 4.", "Then no. 5 follows.", "The answer is no.", "Why?"],
        ["The reg. file is large.", "So is the cache."],
        ["Dr. J. Smith et al. agree.", "So do we."],
        ["他想了想……还是走了。", "Well... maybe.", "Good."],
        ["真的吗？！", "真的！！！", "好。"],
        ["《谁是赢家？》是一本书。", "（他笑了！）然后走了。"],
        ['He said "Stop."', "Then he left."],
        ['他说："好。"', "然后走了。"],
        ["第一句。", '"第二句。"', "第三句。"],
        ["1. Introduction to etching.", "Next one."],
        ["It runs on www.example.com and v2.0.1 today.", "Fine."],
        ["采用Fig.3所示的结构。", "完。"],
        ["a != b holds.", "Is f(x)?y a query?"],
        ["Done.(See below.)", "Next."],
    ],
    ids=lambda sentences: sentences[0],
)
def test_sentences_are_found(sentences):
    for blank in ("", " ") if all(ord(s[-1]) > 127 for s in sentences) else (" ",):
        assert split_sentences(blank.join(sentences)) == sentences


TEXT = st.text(alphabet="字光，。！？；.!?…“”‘’（）()《》\"' aAzZ019\n、-e.gU", max_size=80)


@given(TEXT)
@example("“。”。")
@example('".".')
def test_splitting_loses_nothing_but_white_space(text):
    pieces = split_sentences(text)
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(piece == piece.strip() != "" for piece in pieces)


def test_splitting_takes_time_in_proportion():
    text = '他（真的！）说"好。"' * 50_000
    assert len(split_sentences(text)) == 50_000


@pytest.mark.parametrize(
    ("left", "right", "text"),
    [
        ("光", "刻", "光刻"),
        ("EUV", "光", "EUV光"),
        ("an", "EUV", "an EUV"),
        ("好。", "So", "好。So"),
        ("", "a", "a"),
    ],
)
def test_pieces_are_joined_as_their_script_does(left, right, text):
    assert join_sentences(left, right) == text


@pytest.mark.parametrize("line", ["营收", "SiFive", "Quarterly revenue (EUR)", "机构：高盛", "国产替代加速"])
def test_labels_are_fragments(line):
    assert is_fragment(line)


@pytest.mark.parametrize(
    "line", ["行。", "2016年：由两位工程师在布里斯托创立", "HBM需求上升，三星追赶海力士", "Why now?"]
)
def test_statements_are_no_fragments(line):
    assert not is_fragment(line)


# Packing


def test_sentences_fill_passages_within_a_section():
    source = document(sentence(15) + sentence(15) + sentence(15) + sentence(15))
    assert packed(source)[0] == [sentence(15) * 2, sentence(15) * 2]


def test_no_passage_spans_two_headings():
    source = Document("a", "a", [Section(("甲",), [sentence(12)]), Section(("乙",), [sentence(12, "词")])])
    found = list(passages(source, 10, 40))
    assert [(p.text, p.heading, p.position) for p in found] == [
        (sentence(12), ("甲",), 0),
        (sentence(12, "词"), ("乙",), 1),
    ]


def test_paragraphs_are_parted_rather_than_cut():
    source = document(sentence(18) + sentence(18), sentence(12))
    assert packed(source)[0] == [sentence(18) + sentence(18), sentence(12)]


def test_paragraphs_of_a_passage_stand_on_lines_of_their_own():
    assert packed(document(sentence(12), sentence(13)))[0] == [f"{sentence(12)}\n{sentence(13)}"]


def test_short_remainder_joins_the_passage_before():
    assert packed(document(sentence(30) + sentence(5)))[0] == [sentence(30) + sentence(5)]


def test_short_remainder_is_balanced_with_the_passage_before():
    source = document(sentence(18) + sentence(18, "词") + sentence(8))
    assert packed(source)[0] == [sentence(18), sentence(18, "词") + sentence(8)]


def test_remainder_that_fits_nowhere_comes_back():
    found, rejected = packed(document(sentence(38) + sentence(5)))
    assert found == [sentence(38)]
    assert rejected == [
        Rejected("shorter than min_chars, alone and with its neighbours", "a.md:1", sentence(5))
    ]


def test_short_section_comes_back_whole():
    found, rejected = packed(document("短。", "也短。"))
    assert (found, [row.text for row in rejected]) == ([], ["短。\n也短。"])


@pytest.mark.parametrize(
    "pieces",
    [
        ["甲" * 15 + "，" + "甲" * 15 + "; ", "乙" * 15 + "，" + "丙" * 15 + "。"],
        ["甲" * 25 + "，", "乙" * 25 + "。"],
        ["word " * 7, "word " * 6 + "end."],
        ["甲" * 30, "甲" * 30, "甲" * 30],
    ],
    ids=["semicolon", "comma", "blank", "anywhere"],
)
def test_sentence_too_long_is_cut_where_it_hurts_least(pieces):
    assert packed(document("".join(pieces))) == ([piece.strip() for piece in pieces], [])


def test_numbers_are_not_cut_at_their_commas():
    found, _ = packed(document("sales of 1,000,000 units " * 3 + "in all."))
    assert " ".join(found) == "sales of 1,000,000 units " * 3 + "in all."


def test_announcement_stays_with_what_it_announces():
    source = document(sentence(14), "公司的主要优势有以下这些方面：", sentence(24, "词"))
    assert packed(source)[0] == [sentence(14), f"公司的主要优势有以下这些方面：\n{sentence(24, '词')}"]


def test_announcement_of_nothing_comes_back():
    found, rejected = packed(document(sentence(20), "结构如下：", "指标：", sentence(12), "表："))
    assert found == [f"{sentence(20)}\n指标：\n{sentence(12)}"]
    assert [row.text for row in rejected] == ["结构如下：", "表："]


def test_passage_knows_where_it_stands():
    source = Document("r/a.pdf", "x", [Section(("一",), [sentence(20), sentence(30)], [3, 7])])
    assert [p.source for p in passages(source, 10, 40)] == ["r/a.pdf:3", "r/a.pdf:7"]


@pytest.mark.parametrize("bounds", [(0, 10), (11, 10)])
def test_bounds_that_cannot_hold_are_refused(bounds):
    with pytest.raises(ValueError, match="min_chars"):
        list(passages(document("字"), *bounds))


SENTENCES = st.lists(st.integers(1, 60), max_size=12)


@settings(deadline=None)
@given(st.lists(SENTENCES, max_size=4), st.integers(1, 30), st.integers(0, 60))
def test_every_passage_is_in_bounds_and_nothing_vanishes(paragraphs, least, extra):
    source = document(*("".join(map(sentence, lengths)) for lengths in paragraphs))
    found, rejected = packed(source, least, least + extra)
    assert all(least <= len(text) <= least + extra for text in found)
    before = "".join("".join(section.paragraphs) for section in source.sections)
    after = "".join(found) + "".join(row.text for row in rejected)
    assert sorted("".join(before.split())) == sorted("".join(after.split()))


@settings(deadline=None)
@given(st.lists(st.integers(2, 40), min_size=1, max_size=12))
def test_no_sentence_is_cut_that_fits(lengths):
    sentences = [sentence(length, chr(0x4E00 + number)) for number, length in enumerate(lengths)]
    found, rejected = packed(document("".join(sentences)))
    texts = [*found, *(row.text for row in rejected)]
    assert all(any(one in text for text in texts) for one in sentences)


@settings(deadline=None)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=12))
def test_short_sentences_are_all_used(lengths):
    # With max_chars four times the least and no sentence above half of it, any section can be packed.
    _, rejected = packed(document("".join(map(sentence, lengths))))
    assert not rejected or sum(lengths) < 10


# What is no text


@pytest.mark.parametrize(
    ("paragraph", "reason"),
    [
        ("返回顶部 | 联系我们", "navigation"),
        ("上一篇：光刻胶", "navigation"),
        ("请使用左侧的菜单浏览各章节。", "navigation"),
        ("Please use the left-side menu to go to a chapter.", "navigation"),
        ("版权所有 © 2025 某某公司", "copyright notice"),
        ("转载请注明出处", "copyright notice"),
        ("免责声明：以上内容不构成投资建议。", "disclaimer"),
        ("本報告僅供投資參考，不構成任何投資建議。", "disclaimer"),
        ("数据来源：公司年报，2024年", "imprint"),
        ("https://example.com/a/b https://example.com/c", "links"),
        ("市场格局................ 12", "table of contents"),
        ("[3] A. Author, A Title, 2020.", "reference"),
        ("2023 2024 2025 营收 100 200 300", "mostly digits"),
        ("$ + % ** -- a", "too few letters"),
        ("甲公司 | 上海 | 设备", "table row"),
    ],
)
def test_furniture_comes_back_with_its_reason(paragraph, reason):
    found, rejected = packed(document(sentence(30), paragraph))
    assert found == [sentence(30)]
    assert rejected == [Rejected(reason, "a.md:2", paragraph)]


@pytest.mark.parametrize(
    "paragraph",
    [
        "Cookies are stored by the browser.",
        "跨页访问时要查询下一页的页表项。",
        "2024年营收100亿元，同比增长20%以上。",
        "读者引用以上数字时请留意时点，补贴金额、税率和清单都可能调整，应以各国政府最新公布的文本为准，本摘编不构成合规建议，"
        "凡涉及具体物项能否出口的问题，还需对照管制编码并咨询专业人士。",
    ],
)
def test_text_that_only_sounds_like_furniture_is_kept(paragraph):
    assert "".join(packed(document(paragraph), 10, 200)[0]) == paragraph


@pytest.mark.parametrize(
    "heading", ["参考资料", "附录：数据来源", "References", "📚 延伸阅读", "7.2 數據來源"]
)
def test_lists_of_sources_are_not_text(heading):
    found, rejected = packed(document(sentence(20), heading=("报告", heading)))
    assert not found
    assert rejected[0].reason == "list of sources, links or notices"


def test_lists_of_names_are_not_text():
    found, rejected = packed(document("人工成本", "原材料成本", "环保成本", "市场因素"))
    assert not found
    assert rejected == [Rejected("list of fragments", "a.md:1", "人工成本\n原材料成本\n环保成本\n市场因素")]


def test_paragraphs_of_many_reports_are_boilerplate():
    notice = "本刊由编辑部2025年起每月 出版。"
    reports = [document(sentence(20 + n), notice, report=f"{n}.md") for n in range(3)]
    reports.append(document(sentence(30), "本刊由编辑部２０２５年起每月　出版。", report="3.md"))
    repeated = repeated_paragraphs(reports)
    found, rejected = packed(reports[0], repeated=repeated)
    assert found == [sentence(20)]
    assert rejected == [Rejected("repeated in many reports", "0.md:2", notice)]
    assert repeated_paragraphs(reports[:3]) == frozenset()


def test_a_paragraph_repeated_in_one_report_is_no_boilerplate():
    assert repeated_paragraphs([document(*[sentence(20)] * 9)]) == frozenset()
