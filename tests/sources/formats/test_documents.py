"""Reports and texts in tables, cut into passages, with their headings as queries."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minerkit.recipe.recipe import Source
from minerkit.sources.documents.chunk import cut
from minerkit.sources.formats import documents as reports
from minerkit.sources.formats.documents import MOST_PASSAGES
from tests.sources.documents.test_reader import column, pdf
from tests.support.reading import batch, fault, rejected

RESIST = (
    "光刻胶由树脂、光引发剂、溶剂和添加剂调配而成，涂在晶圆表面之后经过曝光和显影，把掩模上的图形留在胶层里。"
)
MARKET = (
    "全球光刻胶的主要供应商集中在日本，几家公司合计占据了七成以上的份额，极紫外产品则几乎全部由它们供应。"
)
ETCHING = (
    "刻蚀把没有被胶层盖住的薄膜去掉，离子垂直轰击表面，侧壁因此陡直，选择比高的配方可以少伤到下面的材料。"
)
REPORTS = {
    "resist.md": f"# 光刻胶研究报告\n\n{RESIST}\n\n## 一、市场格局\n\n{MARKET}\n",
    "etching.txt": f"刻蚀简报\n\n一、原理\n\n{ETCHING}\n",
}


def folder(path: Path, files: dict[str, str | bytes]) -> Path:
    for name, data in files.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def spec(path: Path | str, **keys) -> Source:
    return Source.model_validate({"path": str(path), "format": "documents", "min_chars": 30, **keys})


def queries(source: Source) -> list[tuple]:
    return batch(source).entries.drop_nulls("query").select("query", "document", "group", "source").rows()


def documents(source: Source) -> list[tuple]:
    entries = batch(source).entries
    return entries.filter(entries["query"].is_null()).select("document", "group", "source").rows()


# --- reports ---------------------------------------------------------------------------------------------


def test_headings_are_queries_and_every_passage_is_a_document(tmp_path):
    source = spec(folder(tmp_path, REPORTS))
    assert queries(source) == [
        ("刻蚀 原理", ETCHING, "etching.txt", "etching.txt:5"),
        ("光刻胶", RESIST, "resist.md", "resist.md:3"),
        ("光刻胶 市场格局", MARKET, "resist.md", "resist.md:7"),
    ]
    assert documents(source) == [row[1:] for row in queries(source)]
    assert batch(source).entries.drop_nulls("query")["relevance"].to_list() == [1, 1, 1]
    assert (batch(source).rows, batch(source).bad, rejected(source)) == (2, 0, [])


def test_passages_of_one_section_share_its_query(tmp_path):
    source = spec(folder(tmp_path, {"a.md": f"# 光刻胶\n\n{RESIST}\n\n{MARKET}\n"}), max_chars=60)
    assert [row[:2] for row in queries(source)] == [("光刻胶", RESIST), ("光刻胶", MARKET)]


def test_without_a_longest_passage_paragraphs_set_it(tmp_path):
    source = spec(folder(tmp_path, {"a.md": "# 光刻胶\n\n短文。\n", **REPORTS}), max_chars=None)
    assert len(documents(source)) == 3


def test_a_heading_that_says_nothing_is_rejected_and_its_passage_kept(tmp_path):
    source = spec(folder(tmp_path, {"a.md": f"# 概述\n\n{RESIST}\n", "b.md": f"# 市场格局图\n\n{MARKET}\n"}))
    assert [row[0] for row in queries(source)] == ["市场格局图"]
    assert rejected(source) == [("a.md:3", "heading that says nothing")]
    assert len(documents(source)) == 2


def test_a_heading_above_a_whole_chapter_is_rejected_once(tmp_path):
    many = "\n\n".join(
        f"{RESIST[:40]}第{number}段说的是另外一件事情。" for number in range(MOST_PASSAGES + 1)
    )
    files = {"a.md": f"# 光刻胶大全\n\n{many}\n", "b.md": REPORTS["resist.md"]}
    source = spec(folder(tmp_path, files), max_chars=80)
    assert len(documents(source)) == MOST_PASSAGES + 3
    assert {row[0] for row in queries(source)} == {"光刻胶", "光刻胶 市场格局"}
    assert rejected(source) == [("a.md:3", "heading above more than 20 passages")]


def test_a_heading_that_two_reports_have_is_weighed_in_each(tmp_path, monkeypatch):
    monkeypatch.setattr(reports, "MOST_PASSAGES", 1)
    files = {"a.md": f"# 光刻胶\n\n{RESIST}\n", "b.md": f"# 光刻胶\n\n{MARKET}\n"}
    assert len(queries(spec(folder(tmp_path, files)))) == 2


def test_reports_without_a_telling_heading_need_a_qa_file(tmp_path):
    source = spec(folder(tmp_path, {"a.txt": f"{RESIST}\n\n{MARKET}\n"}))
    assert (
        fault(source) == f"{tmp_path}: no heading in it says enough to be a query; name a QA file (source.qa)"
    )


# --- groups, and what stands twice -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["resist-v2.md", "resist_v3.md", "resist(2).md", "resist_修订版.md", "resist V2.md"]
)
def test_versions_are_one_group_by_their_names(tmp_path, name):
    files = {"resist.md": REPORTS["resist.md"], name: f"# 光刻胶\n\n{ETCHING}\n"}
    assert {row[1] for row in documents(spec(folder(tmp_path, files)))} == {min(files)}


def test_versions_are_one_group_by_their_texts(tmp_path):
    again = REPORTS["resist.md"].replace("七成以上", "七成多")
    found = documents(spec(folder(tmp_path, {"a.md": REPORTS["resist.md"], "b.md": again})))
    assert {row[1] for row in found} == {"a.md"}
    apart = documents(spec(tmp_path, reissue=None))
    assert {row[1] for row in apart} == {"a.md", "b.md"}


def test_text_and_name_link_versions_together(tmp_path):
    # c_v2 repeats a, and goes by the name of c_v1, which says something else.
    files = {
        "a.md": f"# 光刻\n\n{RESIST}\n",
        "c_v1.md": f"# 刻蚀\n\n{ETCHING}\n",
        "c_v2.md": f"# 涂胶\n\n{RESIST}{RESIST}\n",
    }
    assert {row[1] for row in documents(spec(folder(tmp_path, files)))} == {"a.md"}


TRADITIONAL = (
    "全球光刻膠的主要供應商集中在日本，幾家公司合計占據了七成以上的份額，極紫外產品則幾乎全部由它們供應。"
)


@pytest.mark.parametrize("again", [MARKET, TRADITIONAL, MARKET.replace("，", ",")])
def test_a_passage_that_stands_elsewhere_is_rejected(tmp_path, again):
    files = {"a.md": f"# 光刻胶\n\n{MARKET}\n", "b.md": f"# 供应\n\n{again}\n\n## 原料\n\n{ETCHING}\n"}
    source = spec(folder(tmp_path, files))
    assert rejected(source) == [("b.md:3", "passage that stands elsewhere")]
    assert [row[0] for row in documents(source)] == [MARKET, ETCHING]


def test_a_passage_goes_by_all_its_names(tmp_path):
    (first,) = cut(
        spec(folder(tmp_path, {"a.md": f"# 甲\n\n{RESIST}\n", "b.md": f"# 乙\n\n{RESIST}\n"}))
    ).parts
    assert (first.names, first.reports) == (("a.md#0", "b.md#0"), ("a.md", "b.md"))


# --- files that cannot be read ---------------------------------------------------------------------------


def test_gb18030_is_read_and_said(tmp_path):
    source = spec(folder(tmp_path, {"a.md": REPORTS["resist.md"].encode("gb18030")}))
    assert queries(source)[1][:2] == ("光刻胶 市场格局", MARKET)
    assert batch(source).notes == (f"{tmp_path}/a.md: read as gb18030",)


def test_each_file_that_cannot_be_used_is_one_row_with_its_reason(tmp_path):
    pytest.importorskip("pypdfium2")
    files = {
        "resist.md": REPORTS["resist.md"],
        "locked.pdf": pdf(column(RESIST), encrypted=True),
        "scanned.pdf": pdf([], []),
        "notes.docx": b"PK",
        "odd.txt": b"\xff\x81\x00\x81",
        "empty.txt": "",
    }
    source = spec(folder(tmp_path, files))
    assert rejected(source) == [
        ("empty.txt", "no text"),
        ("locked.pdf", "encrypted PDF: a password is needed"),
        ("notes.docx", "not one of .txt, .text, .md, .markdown, .html, .htm, .xhtml, .pdf"),
        ("odd.txt", "unknown encoding"),
        ("scanned.pdf", "no text layer: scanned pages need OCR first"),
    ]
    assert batch(source).rows == 6


def test_a_pdf_with_a_blank_page_is_one_row(tmp_path):
    pytest.importorskip("pypdfium2")
    lines = [(50, 560, 16, "光刻胶"), *column(RESIST)]
    source = spec(folder(tmp_path, {"a.pdf": pdf(lines, [])}))
    assert batch(source).rows == 1
    assert rejected(source) == [("a.pdf:2", "page without text")]


def test_a_folder_without_a_readable_file_is_one_clear_line(tmp_path):
    folder(tmp_path, {"a.docx": b"PK"})
    assert fault(spec(tmp_path)).startswith(f"no readable file in {tmp_path} (source.path, --input)")
    assert fault(spec(tmp_path / "no")).startswith(f"no file at {tmp_path}/no (source.path, --input)")


def test_limit_counts_reports(tmp_path):
    source = spec(folder(tmp_path, REPORTS), limit=1)
    assert batch(source).rows == 1
    assert {row[1] for row in documents(source)} == {"etching.txt"}


# --- texts in tables -------------------------------------------------------------------------------------


def lines(*rows: dict) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def test_texts_in_a_table_are_cut_and_named(tmp_path):
    rows = [{"id": "p1", "text": f"{RESIST}\n\n{MARKET}", "story": "s1"}, {"id": 2, "text": ETCHING}]
    found = cut(
        spec(folder(tmp_path, {"a.jsonl": lines(*rows)}) / "a.jsonl", id="id", group="story", max_chars=60)
    )
    assert [(part.text, part.names, part.group, part.source) for part in found.parts] == [
        (RESIST, ("p1", "p1#0"), "s1", "a.jsonl:1"),
        (MARKET, ("p1", "p1#1"), "s1", "a.jsonl:1"),
        (ETCHING, ("2", "2#0"), "a.jsonl:2", "a.jsonl:2"),
    ]


def test_a_text_in_a_table_may_stay_whole(tmp_path):
    rows = [{"text": RESIST * 9}, {"text": "短。"}]
    found = cut(spec(folder(tmp_path, {"a.jsonl": lines(*rows)}) / "a.jsonl", max_chars=None))
    assert [part.text for part in found.parts] == [RESIST * 9, "短。"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"id": "p9", "text": None}, "empty text"),
        ({"id": "p9", "text": " "}, "empty text"),
        ({"id": "p9", "text": ["a"]}, "not a text, or not UTF-8"),
        ({"id": {"x": 1}, "text": MARKET}, "not a text, or not UTF-8"),
        ({"id": "p1", "text": MARKET}, "id given before"),
        ({"id": "p9", "text": f"{RESIST}\n"}, "passage that stands elsewhere"),
        ({"id": "p9", "text": "短。"}, "shorter than min_chars, alone and with its neighbours"),
    ],
)
def test_a_row_of_no_use_says_why(tmp_path, row, reason):
    data = lines({"id": "p1", "text": RESIST}, row, {"text": ETCHING})
    found = cut(spec(folder(tmp_path, {"a.jsonl": data}) / "a.jsonl", id="id"))
    assert [(place, why) for why, place, _ in found.rejected] == [("a.jsonl:2", reason)]
    assert [part.text for part in found.parts] == [RESIST, ETCHING]
    assert found.rows == 3
    assert found.bad == (reason == "not a text, or not UTF-8")


def test_rows_that_cannot_be_read_come_first(tmp_path):
    data = lines({"text": ""}, {"text": RESIST}) + "cut\n"
    found = cut(spec(folder(tmp_path, {"a.jsonl": data}) / "a.jsonl"))
    assert [place for _, place, _ in found.rejected] == ["a.jsonl:3", "a.jsonl:1"]
    assert found.bad == 1


def test_tables_beside_a_readme_are_read_and_reports_beside_tables_win(tmp_path):
    folder(tmp_path, {"README.md": "# 说明\n\n" + MARKET})
    pq.write_table(pa.table({"text": [RESIST, ETCHING]}), tmp_path / "data.parquet")
    assert [part.text for part in cut(spec(tmp_path)).parts] == [RESIST, ETCHING]
    folder(tmp_path, {"report.md": REPORTS["resist.md"]})
    assert [part.text for part in cut(spec(tmp_path)).parts] == [MARKET, RESIST]


def test_a_lone_readme_is_a_report(tmp_path):
    assert len(cut(spec(folder(tmp_path, {"README.md": REPORTS["resist.md"]}))).parts) == 2


def test_a_missing_text_column_lists_those_there_are(tmp_path):
    file = folder(tmp_path, {"a.jsonl": lines({"body": RESIST})}) / "a.jsonl"
    assert fault(spec(file)) == f"{file}: no column 'text' (source.text); there are: body"


TEXTS = st.lists(
    st.sampled_from([RESIST, MARKET, ETCHING, "短。", "", "| a | b |", "1 2 3 4 5 6 7 8 9"]), max_size=6
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS, TEXTS)
def test_every_paragraph_is_in_a_passage_or_rejected(tmp_path, one, other):
    files = {
        "a.md": "# 光刻胶\n\n" + "\n\n".join(one),
        "b.md": "# 刻蚀\n\n" + "\n\n".join(other) + f"\n\n{RESIST[5:]}",
    }
    found = cut(spec(folder(tmp_path, files)))
    texts = [part.text for part in found.parts] + [text for _, _, text in found.rejected]
    assert len(found.parts) == len({part.text for part in found.parts})
    for paragraph in filter(None, [*one, *other]):
        assert any("".join(paragraph.split()) in "".join(text.split()) for text in texts), paragraph


# --- real reports ----------------------------------------------------------------------------------------


def test_headings_of_real_reports(real_data):
    found = batch(spec(real_data / "semi_reports_zh/md", min_chars=64))
    asked = found.entries.drop_nulls("query")
    assert len(asked) > 100
    assert asked["query"].n_unique() > 0.9 * len(asked)
    assert asked["query"].str.len_chars().max() <= 100
    assert (
        not asked["query"].str.contains(r"报告$|^[\d一二三四五六七八九十]+[.、]|[\x{1F300}-\x{1FAFF}]").any()
    )
