"""Reading reports: each format, what of it is text, and what becomes of everything else."""

import sys

import pytest

from minerkit.errors import MissingExtraError, SourceError
from minerkit.sources.documents.reader import Document, Rejected, read_documents

LONG = "化学机械抛光把晶圆压在旋转的抛光垫上，同时滴加含有磨粒的抛光液，使表面全局平坦。"
LONGER = "抛光液由磨粒、氧化剂、络合剂、缓蚀剂和水配制而成，磨粒以二氧化硅和氧化铈最常见。"


def read(path):
    """Read a path; give its documents and its rejected rows."""
    results = list(read_documents(str(path)))
    return [r for r in results if isinstance(r, Document)], [r for r in results if isinstance(r, Rejected)]


def one(folder, name, content):
    """Write one file and read it."""
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    documents, rejected = read(folder / name)
    assert len(documents) == 1, rejected
    return documents[0], rejected


def outline(document):
    return [(section.heading, section.paragraphs) for section in document.sections]


def texts(document):
    return [paragraph for section in document.sections for paragraph in section.paragraphs]


# Files


def test_folder_is_read_in_order_of_paths(tmp_path):
    for name in ("b.txt", "a/z.md", "a/b.TXT"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(LONG)
    documents, _ = read(tmp_path)
    assert [document.report for document in documents] == ["a/b.TXT", "a/z.md", "b.txt"]
    assert documents[0].source == str(tmp_path / "a/b.TXT")


def test_glob_names_reports_relative_to_its_fixed_part(tmp_path):
    for name in ("2024/x.txt", "2025/y.txt", "2025/z.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(LONG)
    documents, _ = read(tmp_path / "*" / "*.txt")
    assert [document.report for document in documents] == ["2024/x.txt", "2025/y.txt"]


def test_other_files_are_rejected_and_hidden_ones_ignored(tmp_path):
    (tmp_path / "a.txt").write_text(LONG)
    (tmp_path / "b.docx").write_text("x")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/c.txt").write_text(LONG)
    documents, rejected = read(tmp_path)
    assert len(documents) == 1
    assert [(row.source, row.reason[:10]) for row in rejected] == [("b.docx", "not one of")]


@pytest.mark.parametrize("name", ["missing", "empty", "*.txt"])
def test_nothing_to_read_is_one_clear_line(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=r"^no (readable )?file .*\.pdf$"):
        read_documents(str(tmp_path / name))


def test_a_file_of_another_format_is_refused(tmp_path):
    (tmp_path / "a.docx").write_text("x")
    with pytest.raises(SourceError, match="cannot read"):
        read_documents(str(tmp_path / "a.docx"))


@pytest.mark.parametrize("content", ["", " \n\n", "# Title only\n"])
def test_a_file_without_paragraphs_is_rejected(tmp_path, content):
    (tmp_path / "a.md").write_text(content)
    documents, rejected = read(tmp_path / "a.md")
    assert not documents
    assert rejected == [Rejected("no text", "a.md")]


# Encodings


def test_byte_order_marks_are_not_text(tmp_path):
    for number, encoding in enumerate(["utf-8-sig", "utf-16"]):
        document, _ = one(tmp_path, f"{number}.txt", LONG.encode(encoding))
        assert texts(document) == [LONG]
    assert document.note == "read as utf-16"


def test_gb18030_is_read_and_said(tmp_path):
    document, _ = one(tmp_path, "a.txt", LONG.encode("gb18030"))
    assert texts(document) == [LONG]
    assert document.note == "read as gb18030"


@pytest.mark.parametrize(
    "content",
    [
        "반도체 산업은 한국 경제의 핵심이며 메모리 시장을 주도하고 있다.".encode("euc-kr"),
        "半導体は電気を通す導体と通さない絶縁体の中間の性質を持つ物質である。".encode("euc-jp"),
        "半導體產業是臺灣經濟的核心，主導全球晶圓代工市場的發展。".encode("big5"),
        "Le marché européen a progressé d'un côté à l'autre de l'année.".encode("latin-1"),
        "Without a byte order mark.".encode("utf-16-le"),
        bytes(range(256)),
    ],
    ids=["korean", "japanese", "big5", "french", "utf-16", "binary"],
)
def test_other_encodings_are_not_guessed(tmp_path, content):
    (tmp_path / "a.txt").write_bytes(content)
    assert read(tmp_path / "a.txt") == ([], [Rejected("unknown encoding", "a.txt")])


def test_a_page_says_its_encoding(tmp_path):
    pytest.importorskip("trafilatura")
    text = "半導體產業是臺灣經濟的核心，主導全球晶圓代工市場的發展，並帶動設備與材料的需求。"
    page = f'<html><head><meta charset="big5"></head><body><article><p>{text}</p></article></body></html>'
    document, _ = one(tmp_path, "a.html", page.encode("big5"))
    assert texts(document) == [text]


# Plain text


def test_text_headings_make_the_path(tmp_path):
    document, _ = one(
        tmp_path,
        "a.txt",
        f"半导体简报：二季度\n\n一、行业概况\n{LONG}\n\n1 供给\n\n{LONG}\n\n（一）设备\n\n{LONG}\n\n"
        f"二、展望\n\n{LONG}\n",
    )
    title = "半导体简报：二季度"
    assert [heading for heading, _ in outline(document)] == [
        (title, "一、行业概况"),
        (title, "一、行业概况", "1 供给"),
        (title, "一、行业概况", "1 供给", "（一）设备"),
        (title, "二、展望"),
    ]


@pytest.mark.parametrize(
    "heading", ["第二章 市场格局", "3.1 价格", "【风险提示】", "Market overview", "应用领域"]
)
def test_lines_that_are_headings(tmp_path, heading):
    document, _ = one(tmp_path, "a.txt", f"{LONG}\n\n{heading}\n\n{LONGER}\n")
    assert outline(document) == [((), [LONG]), ((heading.strip("【】"),), [LONGER])]


@pytest.mark.parametrize(
    "line",
    [
        "1. 价格回升，库存下降",
        "一、这是一句话。",
        "第一章讲到的内容；其余从略",
        "毛利率35.5%。",
        "- 设备",
        "备注：无",
    ],
)
def test_lines_that_are_not_headings(tmp_path, line):
    document, _ = one(tmp_path, "a.txt", f"{LONG}\n\n{line}\n\n{LONGER}\n")
    assert [heading for heading, _ in outline(document)] == [()]


@pytest.mark.parametrize("line", ["2024年", "1 设备", "2. 材料"])
def test_lines_amid_text_are_not_headings(tmp_path, line):
    document, _ = one(tmp_path, "a.txt", f"{LONG}\n{line}\n{LONGER}\n")
    assert [heading for heading, _ in outline(document)] == [()]


def test_the_first_way_of_numbering_is_the_upper_one(tmp_path):
    document, _ = one(
        tmp_path, "a.txt", f"第一章 总论\n\n一、背景\n\n{LONG}\n\n第二章 市场\n\n一、规模\n\n{LONGER}\n"
    )
    assert [heading for heading, _ in outline(document)] == [
        ("第一章 总论", "一、背景"),
        ("第二章 市场", "一、规模"),
    ]


def test_wrapped_lines_are_one_paragraph(tmp_path):
    document, _ = one(
        tmp_path,
        "a.txt",
        f"{LONG}\n\n{LONGER[:25]}\n{LONGER[25:]}\n\n"
        "Photoresist is a light-sensitive material\nused in several processes.\n",
    )
    assert texts(document) == [
        LONG,
        LONGER,
        "Photoresist is a light-sensitive material used in several processes.",
    ]


def test_list_items_stay_apart_and_lose_their_bullets(tmp_path):
    items = ["刻蚀设备市场由三家海外企业主导并且份额稳定", "沉积设备的国产化率在过去三年里有明显提高"]
    document, _ = one(tmp_path, "a.txt", "\n".join(f"- {item}" for item in items))
    assert texts(document) == items


def test_rulers_and_tables_are_not_text(tmp_path):
    document, rejected = one(tmp_path, "a.txt", f"总述\n======\n{LONG}\n| 企业 | 份额 |\n甲\t35%\t20%\n")
    assert outline(document) == [(("总述",), [LONG])]
    assert [row.reason for row in rejected] == ["table", "table"]


def test_markdown_in_a_txt_file_is_read_as_such(tmp_path):
    document, _ = one(tmp_path, "a.txt", f"# 标题\n\n**{LONG}**\n")
    assert outline(document) == [(("标题",), [LONG])]


def test_table_of_contents_is_no_text(tmp_path):
    contents = "目录\n\n一、概况 ........ 1\n二、市场 ........ 4\n三、展望 ........ 9\n"
    document, rejected = one(tmp_path, "a.txt", f"{contents}\n一、概况\n\n{LONG}\n")
    assert outline(document) == [(("一、概况",), [LONG])]
    assert [row.reason for row in rejected] == ["table of contents"] * 4


# Markdown


def test_markdown_sections_and_lines(tmp_path):
    document, _ = one(
        tmp_path, "a.md", f"# 甲\n\n{LONG}\n\n### 乙\n\n{LONGER}\n\n## 丙\n\n- {LONG}\n- {LONGER}\n"
    )
    assert outline(document) == [(("甲",), [LONG]), (("甲", "乙"), [LONGER]), (("甲", "丙"), [LONG, LONGER])]
    assert [section.places for section in document.sections] == [[3], [7], [11, 12]]


@pytest.mark.parametrize(
    ("markdown", "reason"),
    [
        ("```python\nprint(1)\n```", "code block"),
        ("    indented = code", "code block"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "table"),
        ("- [一、产品](#a)\n- [二、市场](#b)", "links only"),
        ("[首页](/) | [联系](/c)", "links only"),
        ("<div><img src='x.png'></div>", "HTML in Markdown"),
        ("**目录**", "table of contents"),
    ],
)
def test_markdown_that_is_not_text_comes_back(tmp_path, markdown, reason):
    document, rejected = one(tmp_path, "a.md", f"{LONG}\n\n{markdown}\n\n{LONGER}\n")
    assert texts(document) == [LONG, LONGER]
    assert {row.reason for row in rejected} == {reason}
    assert all(row.source == f"a.md:{number}" for number, row in enumerate(rejected, 3))


def test_front_matter_is_not_text_but_counts_as_lines(tmp_path):
    document, rejected = one(tmp_path, "a.md", f"---\ntitle: x\n---\n\n{LONG}\n")
    assert texts(document) == [LONG]
    assert document.sections[0].places == [5]
    assert [row.reason for row in rejected] == ["front matter"]


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("An **EUV** [scanner](http://a.b) costs `a lot`.", "An EUV scanner costs a lot."),
        ("图![图一](a.png)示的~~旧~~结构[^1]。", "图示的旧结构。"),
        ("**香山是“处理器”**的名字。", "香山是“处理器”的名字。"),
        ("**光刻机**是核心\n设备。", "光刻机是核心设备。"),
        ("One line\nand another.", "One line and another."),
        ("[x] 完成了验证的工作。", "完成了验证的工作。"),
        ('见 [论文](http://a.b){target="_blank"}。', "见 论文。"),
        ("A &amp; B &lt; C", "A & B < C"),
    ],
)
def test_inline_markup_is_stripped(tmp_path, markdown, text):
    document, _ = one(tmp_path, "a.md", markdown)
    assert texts(document) == [text]


def test_lines_broken_on_purpose_stay_apart(tmp_path):
    document, _ = one(tmp_path, "a.md", "时间：二月  \n地点：上海\n人物：甲<br>事件：乙")
    assert texts(document) == ["时间：二月", "地点：上海", "人物：甲", "事件：乙"]


def test_a_line_in_bold_is_a_heading_below_all_others(tmp_path):
    document, _ = one(tmp_path, "a.md", f"# 甲\n\n**核心发现**\n\n{LONG}\n\n## 乙\n\n**要点**\n{LONGER}\n")
    assert outline(document) == [(("甲", "核心发现"), [LONG]), (("甲", "乙", "要点"), [LONGER])]


def test_admonitions_are_text(tmp_path):
    document, rejected = one(tmp_path, "a.md", f'!!! note "注意"\n    {LONG}\n\n{LONGER}\n')
    assert texts(document) == [LONG, LONGER]
    assert rejected == []


# HTML

PAGE = f"""<!DOCTYPE html><html lang="zh-CN"><head><title>抛光 - 材料频道</title></head><body>
<div class="cookie-banner">我们使用Cookie来改善体验。<button>接受</button></div>
<nav><a href="/">首页</a><a href="/m">材料</a></nav>
<div class="breadcrumb">当前位置：<a href="/">首页</a> &gt; 抛光</div>
<aside><h3>相关阅读</h3><ul><li><a href="a.html">硅片简报</a></li></ul></aside>
<article><h1>抛光入门</h1><p>{LONG}</p><h2>抛光液</h2><p>{LONGER}</p>
<ul><li>抛光垫多为聚氨酯材质，表面微孔负责储存和输送抛光液。</li></ul>
<table><tr><td>甲</td><td>35%</td></tr></table><pre>x = 1</pre></article>
<div class="sidebar"><h3>编辑推荐</h3><a href="/1">车规芯片</a></div>
<footer><a href="#top">返回顶部</a> | 版权所有 2025</footer></body></html>"""


@pytest.fixture
def page(tmp_path):
    pytest.importorskip("trafilatura")
    return one(tmp_path, "a.html", PAGE)


def test_only_the_article_of_a_page_is_text(page):
    document, _ = page
    assert outline(document) == [
        (("抛光入门",), [LONG]),
        (("抛光入门", "抛光液"), [LONGER, "抛光垫多为聚氨酯材质，表面微孔负责储存和输送抛光液。"]),
    ]


def test_what_furnishes_a_page_comes_back(page):
    _, rejected = page
    reasons = {row.reason for row in rejected}
    assert {"table", "code block"} <= reasons
    assert all(row.source.startswith("a.html:") for row in rejected)
    assert any("35%" in row.text for row in rejected)


def test_pages_built_of_boxes_keep_headings_and_lose_labels(tmp_path):
    pytest.importorskip("trafilatura")
    boxes = "".join(
        f'<div class="page"><p>{n}、{name}</p><p>{text}{text}</p><div class="card"><h4>要点{name}</h4>'
        f"<p>{text}</p></div><div><div>营收</div><div>高速增长</div></div></div>"
        for n, name, text in (("一", "概况", LONG), ("二", "市场", LONGER))
    )
    document, rejected = one(tmp_path, "a.html", f"<html><body>{boxes}</body></html>")
    assert outline(document) == [
        (("一、概况",), [LONG + LONG]),
        (("一、概况", "要点概况"), [LONG]),
        (("二、市场",), [LONGER + LONGER]),
        (("二、市场", "要点市场"), [LONGER]),
    ]
    assert {"营收", "高速增长"} <= {row.text for row in rejected if row.reason == "label"}


def test_line_breaks_part_lines_and_source_wrapping_does_not(tmp_path):
    pytest.importorskip("trafilatura")
    page = f"<html><body><article><p>{LONG[:20]}\n{LONG[20:]}<br>{LONGER}</p></article></body></html>"
    document, _ = one(tmp_path, "a.html", page)
    assert texts(document) == [LONG, LONGER]


def test_layout_tables_hold_text(tmp_path):
    pytest.importorskip("trafilatura")
    cell = f"<p>{LONG}{LONGER}</p><p>{LONGER}{LONG}</p>"
    page = f"<html><body><table><tr><td>{cell}</td></tr></table></body></html>"
    document, _ = one(tmp_path, "a.html", page)
    assert texts(document) == [LONG + LONGER, LONGER + LONG]


def test_a_table_that_swallows_the_page_is_layout(tmp_path):
    pytest.importorskip("trafilatura")
    rows = "<table><tr><td>甲</td></tr><tr><td style='a:b><b>乙</b></td></tr></table><p>丙'></td></tr>"
    text = f"<tr><td><h2>抛光</h2><p>{LONG}{LONGER}</p></td></tr>"
    document, _ = one(tmp_path, "a.html", f"<html><body><article>{rows}{text}</article></body></html>")
    assert outline(document) == [(("抛光",), [LONG + LONGER])]


# PDF


def pdf(*pages, encrypted=False):
    """Make a PDF by hand: each page a list of (x, y, size, line); the Chinese font is not embedded."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count %d /Kids [%s] >>"
        % (len(pages), b" ".join(b"%d 0 R" % (7 + 2 * number) for number in range(len(pages)))),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /Font /Subtype /Type0 /BaseFont /S /Encoding /UniGB-UCS2-H /DescendantFonts [5 0 R] >>",
        b"<< /Type /Font /Subtype /CIDFontType0 /BaseFont /S /DW 1000 /FontDescriptor 6 0 R "
        b"/CIDSystemInfo << /Registry (Adobe) /Ordering (GB1) /Supplement 4 >> >>",
        b"<< /Type /FontDescriptor /FontName /S /Flags 6 /FontBBox [0 -120 1000 880] /ItalicAngle 0 "
        b"/Ascent 880 /Descent -120 /CapHeight 880 /StemV 93 >>",
    ]
    for number, lines in enumerate(pages):
        marks = b""
        for x, y, size, line in lines:
            font, code = (b"F1", "latin-1") if line.isascii() else (b"F2", "utf-16-be")
            marks += b"BT /%s %g Tf %g %g Td <%s> Tj ET\n" % (
                font,
                size,
                x,
                y,
                line.encode(code).hex().encode(),
            )
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 600] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> >>" % (8 + 2 * number)
        )
        objects.append(b"<< /Length %d >>\nstream\n%sendstream" % (len(marks), marks))
    data, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    lock = b"/ID [<00> <00>] /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s> >> " % (
        b"11" * 32,
        b"22" * 32,
    )
    return (
        data
        + b"xref\n0 %d\n0000000000 65535 f \n%strailer << /Size %d /Root 1 0 R %s>>\nstartxref\n%d\n%%%%EOF"
        % (
            len(objects) + 1,
            table,
            len(objects) + 1,
            lock if encrypted else b"",
            len(data),
        )
    )


def column(text, top=500, width=20, leading=16, size=10):
    """Set a text in lines of `width` characters."""
    rows = [text[start : start + width] for start in range(0, len(text), width)]
    return [(50, top - leading * number, size, row) for number, row in enumerate(rows)]


@pytest.fixture
def read_pdf(tmp_path):
    pytest.importorskip("pypdfium2")
    return lambda data: one(tmp_path, "a.pdf", data)


def test_pdf_lines_become_paragraphs(read_pdf):
    document, _ = read_pdf(pdf([*column(LONG), *column(LONGER, top=430)]))
    assert texts(document) == [LONG, LONGER]
    assert document.sections[0].places == [1, 1]


def test_pdf_paragraphs_are_known_by_indent(read_pdf):
    full = LONG[:19] + "，" + LONG[:19] + "。"  # its last line is no shorter than the others
    indented = [(70, 468, 10, LONGER[:18]), *column(LONGER[18:], top=452)]
    document, _ = read_pdf(pdf([*column(full), *indented]))
    assert texts(document) == [full, LONGER]


def test_pdf_lines_set_larger_are_headings(read_pdf):
    lines = [
        (50, 560, 16, "材料报告"),
        (50, 530, 12, "抛光液"),
        *column(LONG),
        (50, 430, 12, "抛光垫"),
        *column(LONGER, 400),
    ]
    document, _ = read_pdf(pdf(lines))
    assert outline(document) == [(("材料报告", "抛光液"), [LONG]), (("材料报告", "抛光垫"), [LONGER])]


def test_pdf_words_are_put_together(read_pdf):
    lines = [
        "Deposition builds up thin layers on the wa-",
        "fer surface, and a high-",
        "precision etch removes",
        "them.",
    ]
    document, _ = read_pdf(pdf([(50, 500 - 14 * n, 10, line) for n, line in enumerate(lines)]))
    assert texts(document)[0].startswith("Deposition builds up thin layers on the wafer surface, and a high")
    assert texts(document)[0].endswith("etch removes them.")


def test_pdf_paragraph_goes_on_over_the_page(read_pdf):
    document, rejected = read_pdf(
        pdf(
            [(150, 580, 8, "半导体简报"), *column(LONG[:20]), (190, 20, 8, "- 1 -")],
            [(150, 580, 8, "半导体简报"), *column(LONG[20:]), (190, 20, 8, "- 2 -")],
            [(150, 580, 8, "半导体简报"), *column(LONGER), (190, 20, 8, "- 3 -")],
        )
    )
    assert texts(document) == [LONG, LONGER]
    assert {row.text for row in rejected} == {"半导体简报", "- 1 -", "- 2 -", "- 3 -"}
    assert {row.reason for row in rejected} == {"running header, footer or page number"}


@pytest.mark.parametrize("number", ["7", "第 7 页", "第 7 页 共 90 页", "Page 7 of 90", "7 / 90", "vii"])
def test_page_numbers_are_not_text(read_pdf, number):
    document, _ = read_pdf(pdf([*column(LONG), (190, 20, 8, number)]))
    assert texts(document) == [LONG]


def test_chapter_heads_are_known_by_their_page_numbers(read_pdf):
    float16_bits = [LONG[:20], LONG[20:], LONGER[:20], LONGER[20:]]
    heads = ["第一章 材料 8", "第一章 材料 9", "第二章 设备 10", "第二章 设备 11"]
    pages = [[(50, 580, 8, head), *column(half)] for head, half in zip(heads, float16_bits, strict=True)]
    document, rejected = read_pdf(pdf(*pages))
    assert texts(document) == [LONG, LONGER]
    assert [row.text for row in rejected] == heads


def test_chapters_that_begin_pages_are_headings(read_pdf):
    chapters = [("1 材料", LONG), ("2 设备", LONGER), ("3 设计", LONG[10:])]
    document, _ = read_pdf(pdf(*([(50, 560, 10, name), *column(text)] for name, text in chapters)))
    assert [heading for heading, _ in outline(document)] == [("1 材料",), ("2 设备",), ("3 设计",)]


def test_pages_without_text_are_said(read_pdf):
    _, rejected = read_pdf(pdf(column(LONG), []))
    assert rejected == [Rejected("page without text", "a.pdf:2")]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (pdf([], []), "no text layer: scanned pages need OCR first"),
        (pdf(column(LONG), encrypted=True), "encrypted PDF: a password is needed"),
        (pdf(column(LONG))[:300], "damaged PDF"),
        (b"", "damaged PDF"),
    ],
    ids=["scanned", "encrypted", "cut", "empty"],
)
def test_pdf_that_cannot_be_read_is_rejected(tmp_path, data, reason):
    pytest.importorskip("pypdfium2")
    (tmp_path / "a.pdf").write_bytes(data)
    assert read(tmp_path / "a.pdf") == ([], [Rejected(reason, "a.pdf")])


# Extras


@pytest.mark.parametrize(("name", "module"), [("a.html", "trafilatura"), ("a.pdf", "pypdfium2")])
def test_missing_extra_says_what_to_install(tmp_path, monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / name).write_text(PAGE)
    with pytest.raises(MissingExtraError, match=r'pip install "minerkit\[documents\]"'):
        read(tmp_path / name)


def test_text_needs_no_extra(tmp_path, monkeypatch):
    for module in ("trafilatura", "pypdfium2", "lxml"):
        monkeypatch.setitem(sys.modules, module, None)
    document, _ = one(tmp_path, "a.md", LONG)
    assert texts(document) == [LONG]
