"""BEIR folders and TREC collections."""

import gzip
import json
import shutil
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minerkit.recipe.recipe import Source
from minerkit.sources.formats import judged as collection
from minerkit.sources.reader import read
from tests.support.reading import batch, fault, put, rejected

CORPUS = [
    {"_id": "d1", "title": "Lenses", "text": "Glass bends light."},
    {"_id": "d2", "title": "", "text": "Mirrors turn it back."},
    {"_id": "d3", "title": "Prisms", "text": ""},
    {"_id": 4, "text": "Gratings split it."},
]
QUERIES = [{"_id": "q1", "text": "what bends light"}, {"_id": "q2", "text": "what splits light"}]
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\nq2\td3\t1\nq2\t4\t1\n"


def lines(rows: list) -> str:
    return "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)


def beir(folder: Path, corpus=CORPUS, queries=QUERIES, qrels=QRELS, **keys) -> Source:
    put(folder, "corpus.jsonl", lines(corpus))
    put(folder, "queries.jsonl", lines(queries))
    put(folder, "qrels.tsv", qrels)
    return Source.model_validate({"path": str(folder), "format": "beir", **keys})


def judged(source: Source) -> list[tuple]:
    frame = batch(source).entries.drop_nulls("relevance")
    return frame.select("query", "document", "relevance", "source").rows()


def documents(source: Source) -> list[tuple]:
    entries = batch(source).entries
    return entries.filter(entries["relevance"].is_null()).select("document", "source").rows()


# --- BEIR ------------------------------------------------------------------------------------------------


def test_a_beir_folder_gives_judgements_and_all_documents(tmp_path):
    source = beir(tmp_path)
    assert judged(source) == [
        ("what bends light", "Lenses Glass bends light.", 2, "qrels.tsv:2"),
        ("what bends light", "Mirrors turn it back.", 0, "qrels.tsv:3"),
        ("what splits light", "Prisms", 1, "qrels.tsv:4"),
        ("what splits light", "Gratings split it.", 1, "qrels.tsv:5"),
    ]
    assert documents(source) == [
        ("Lenses Glass bends light.", "corpus.jsonl:1"),
        ("Mirrors turn it back.", "corpus.jsonl:2"),
        ("Prisms", "corpus.jsonl:3"),
        ("Gratings split it.", "corpus.jsonl:4"),
    ]
    assert batch(source).rows == 4 + 2 + 4
    assert rejected(source) == []


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_packed_files_are_read(tmp_path, packing):
    source = beir(tmp_path / "plain", qrels="")
    for name in ("corpus.jsonl", "queries.jsonl"):
        data = (tmp_path / "plain" / name).read_bytes()
        packed = gzip.compress(data) if packing == "gz" else pa.compress(data, codec="zstd", asbytes=True)
        put(tmp_path / "packed", f"{name}.{packing}", packed)
    data = QRELS.encode()
    packed = gzip.compress(data) if packing == "gz" else pa.compress(data, codec="zstd", asbytes=True)
    (tmp_path / "packed" / "qrels").mkdir()
    put(tmp_path / "packed", f"qrels/train.tsv.{packing}", packed)
    assert len(judged(source.model_copy(update={"path": str(tmp_path / "packed")}))) == 4


def test_qrels_need_no_header_and_no_unix_line_ends(tmp_path):
    body = "\ufeff" + QRELS.split("\n", 1)[1].replace("\n", "\r\n") + "\r\n"
    assert len(judged(beir(tmp_path, qrels=body))) == 4


def test_the_split_chooses_the_judgements(tmp_path):
    source = beir(tmp_path, split="dev")
    (tmp_path / "qrels.tsv").unlink()
    put(tmp_path, "qrels/dev.tsv", QRELS)
    put(tmp_path, "qrels/test.tsv", "q1\td1\t1\n")
    assert len(judged(source)) == 4
    assert len(judged(source.model_copy(update={"split": "test"}))) == 1
    assert fault(source.model_copy(update={"split": "train"})) == (
        f"{tmp_path}: no qrels.tsv and no qrels/train.tsv; set source.split to one of dev, test"
    )


def test_limit_counts_judgements(tmp_path):
    source = beir(tmp_path, limit=2)
    assert len(judged(source)) == 2
    assert len(documents(source)) == 4
    assert rejected(source) == [("queries.jsonl:2", "no judgement of this query was read")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"title": "no id", "text": "x"}, "no _id"),
        ({"_id": "", "text": "x"}, "no _id"),
        ({"_id": ["d9"], "text": "x"}, "no _id"),
        ({"_id": "d9", "text": ["x"]}, "not a text, or not UTF-8"),
        ({"_id": "d9", "title": {}, "text": "x"}, "not a text, or not UTF-8"),
        ({"_id": "d1", "text": "another"}, "id given before"),
        ('{"_id": "d9", "text": "cut\n', "not JSON: Invalid control character at at character 27"),
    ],
)
def test_a_bad_document_says_why(tmp_path, row, reason):
    source = beir(tmp_path, corpus=[*CORPUS[:3], row, CORPUS[3]])
    assert rejected(source) == [("corpus.jsonl:4", reason)]
    assert len(documents(source)) == 4
    assert len(judged(source)) == 4


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("q1\td9\t1", "judges an unknown document"),
        ("q9\td1\t1", "judges an unknown query"),
        ("q1\td1", "2 fields, not 3"),
        ("q1 d1 1", "1 fields, not 3"),
        ("q1\t0\td1\t1", "4 fields, not 3"),
        ("q1\td1\thigh", "relevance is not a number"),
        ("q1\td1\t0.5", "relevance is not a whole number"),
    ],
)
def test_a_bad_judgement_says_why(tmp_path, line, reason):
    source = beir(tmp_path, qrels=f"{QRELS}{line}\nq1\t4\t-1\n")
    assert rejected(source) == [("qrels.tsv:6", reason)]
    assert judged(source)[-1] == ("what bends light", "Gratings split it.", 0, "qrels.tsv:7")


def test_a_bad_first_line_of_qrels_is_not_taken_for_a_header(tmp_path):
    source = beir(tmp_path, qrels="q1 d1 1\nq1\td1\t1\n")
    assert ("qrels.tsv:1", "1 fields, not 3") in rejected(source)


def test_a_query_that_nobody_judged_is_rejected(tmp_path):
    source = beir(tmp_path, queries=[*QUERIES, {"_id": "q3", "text": "what absorbs light"}])
    found = batch(source)
    assert found.rejected.select("source", "reason", "text").rows() == [
        ("queries.jsonl:3", "no judgement of this query was read", "what absorbs light")
    ]
    assert found.bad == 0


def test_a_document_without_text_stays_and_is_left_to_cleaning(tmp_path):
    source = beir(tmp_path, corpus=[*CORPUS, {"_id": "d5", "title": "", "text": ""}])
    assert documents(source)[-1] == ("", "corpus.jsonl:5")


def test_a_file_that_is_not_there_is_named(tmp_path):
    source = beir(tmp_path)
    (tmp_path / "queries.jsonl").unlink()
    assert fault(source) == (
        f"{tmp_path}: no queries.jsonl; format beir needs corpus.jsonl, queries.jsonl and qrels"
    )


def test_a_folder_without_judgements_is_refused(tmp_path):
    source = beir(tmp_path)
    (tmp_path / "qrels.tsv").unlink()
    assert fault(source) == f"{tmp_path}: no qrels.tsv and no qrels/train.tsv; format beir needs judgements"


def test_a_wrong_folder_is_one_clear_line(tmp_path):
    source = beir(tmp_path / "cacm")
    assert fault(source.model_copy(update={"path": str(tmp_path)})) == (
        f"{tmp_path}: no corpus.jsonl; format beir needs corpus.jsonl, queries.jsonl and qrels"
    )
    assert fault(source.model_copy(update={"path": str(tmp_path / "no")})) == (
        f"no folder {tmp_path}/no (source.path); format beir needs one with corpus.jsonl"
    )


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"corpus": []}, "corpus.jsonl: no document with a text in it"),
        (
            {"corpus": [{"id": "d1", "text": "x"}]},
            "corpus.jsonl: no document with a text in it (corpus.jsonl:1: no _id)",
        ),
        ({"corpus": [{"_id": "d1", "body": "x"}]}, "corpus.jsonl: no document with a text in it"),
        ({"queries": []}, "queries.jsonl: no query with a text in it"),
        ({"queries": [{"_id": "q1", "query": "x"}]}, "queries.jsonl: no query with a text in it"),
        ({"corpus": [*CORPUS, {}], "queries": []}, "queries.jsonl: no query with a text in it"),
        ({"qrels": ""}, "qrels.tsv: no judgement of these queries and documents in it"),
        (
            {"qrels": "q1\tx\t1\nx\td1\t1\n"},
            "qrels.tsv: no judgement of these queries and documents in it "
            "(qrels.tsv:1: judges an unknown document)",
        ),
        (
            {"qrels": "1 0 d1 1\n1 0 d2 1\n"},
            "qrels.tsv: no judgement of these queries and documents in it (qrels.tsv:1: 1 fields, not 3)",
        ),
    ],
)  # fmt: skip
def test_a_part_with_nothing_of_use_is_named(tmp_path, keys, message):
    assert fault(beir(tmp_path, **keys)) == f"{tmp_path}/{message}"


def test_many_unknown_ids_are_one_clear_line(tmp_path):
    source = beir(tmp_path, qrels=f"{QRELS}q1\tx\t1\nq7\td1\t1\n")
    assert fault(source) == (
        f"{tmp_path}: 2 of 12 rows cannot be read, more than source.max_bad=0.01 allows (first: qrels.tsv:6: "
        "judges an unknown document); mend the file or raise the share"
    )


IDS = st.sampled_from(["1", "2", "3", ""])
ROWS = st.fixed_dictionaries({"_id": IDS, "text": st.sampled_from(["a", "b", ""])})
JUDGEMENTS = st.tuples(IDS, IDS, st.sampled_from(["0", "1", "2", "x"]))


def fates(name: str, rows: list[dict]) -> tuple[dict[str, str], list[tuple]]:
    """The text of each id, and the places and reasons of the rows that are rejected."""
    texts: dict[str, str] = {}
    lost = []
    for number, row in enumerate(rows, 1):
        if row["_id"] in ("", *texts):
            lost.append((f"{name}:{number}", "id given before" if row["_id"] else "no _id"))
        else:
            texts[row["_id"]] = row["text"]
    return texts, lost


@given(st.lists(ROWS, max_size=5), st.lists(ROWS, max_size=5), st.lists(JUDGEMENTS, max_size=8))
def test_every_document_query_and_judgement_is_in_or_rejected(corpus, queries, rows):
    corpus, queries = ([{"_id": "x", "text": "x"}, *part] for part in (corpus, queries))
    rows = [("x", "x", "1"), *rows]
    folder = Path(tempfile.mkdtemp())
    try:
        found = batch(beir(folder, corpus, queries, "".join("\t".join(row) + "\n" for row in rows)))
    finally:
        shutil.rmtree(folder)
    docs, lost = fates("corpus.jsonl", corpus)
    asked, others = fates("queries.jsonl", queries)
    lost += others
    kept, named = [], set()
    for number, (query, document, grade) in enumerate(rows, 1):
        if grade == "x":
            lost.append((f"qrels.tsv:{number}", "relevance is not a number"))
        elif query not in asked:
            lost.append((f"qrels.tsv:{number}", "judges an unknown query"))
        elif document not in docs:
            lost.append((f"qrels.tsv:{number}", "judges an unknown document"))
        else:
            named.add(query)
            kept.append((asked[query], docs[document], int(grade), f"qrels.tsv:{number}"))
    places = {row["_id"]: f"queries.jsonl:{number}" for number, row in reversed([*enumerate(queries, 1)])}
    lost += [(places[name], "no judgement of this query was read") for name in asked if name not in named]
    entries = found.entries
    assert sorted(found.rejected.select("source", "reason").rows()) == sorted(lost)
    assert entries.drop_nulls("relevance").select("query", "document", "relevance", "source").rows() == kept
    assert entries.filter(entries["relevance"].is_null())["document"].to_list() == list(docs.values())
    assert found.rows == len(corpus) + len(queries) + len(rows)
    assert found.bad == sum("no judgement" not in reason for _, reason in lost)


def test_documents_come_in_parts_and_ids_are_known_across_them(tmp_path, monkeypatch):
    corpus = [*CORPUS, {"_id": "d1", "text": "again"}, {"_id": "d7", "text": "last"}]
    source = beir(tmp_path, corpus=corpus)
    whole = batch(source)
    monkeypatch.setattr(collection, "BATCH_ROWS", 2)
    parts = list(read(source.model_copy(update={"max_bad": 1.0})))
    assert [len(part.entries) for part in parts][:3] == [2, 2, 1]
    assert batch(source).entries.equals(whole.entries)
    assert [row[0] for row in rejected(source)] == ["corpus.jsonl:5"]


# --- TREC ------------------------------------------------------------------------------------------------

DOCS = """<DOC>
<DOCNO> FT911-1 </DOCNO>
<DATE>910514</DATE>
<HEADLINE>Lenses</HEADLINE>
<TEXT>Glass &amp; plastic
bend light.</TEXT>
</DOC>
<DOC><DOCNO>FT911-2</DOCNO><TEXT>Mirrors turn it back if a < b.</TEXT></DOC>
"""
TOPICS = """<top>
<num> Number: 301
<title> Topic: bending light

<desc> Description:
What bends light?
</top>
<top><num>302</num><title>turning back</title></top>
"""
TREC_QRELS = "301 0 FT911-1 1\n302 0 FT911-2 2\n302 0 FT911-1 -1\n"


def trec(
    folder: Path, docs=DOCS, topics=TOPICS, qrels=TREC_QRELS, names=("docs/ft91", "topics", "qrels"), **keys
):
    paths = [put(folder, name, data) for name, data in zip(names, (docs, topics, qrels), strict=True)]
    given = dict(zip(("path", "topics", "qrels"), map(str, paths), strict=True))
    return Source.model_validate({"format": "trec", **given, **keys})


def test_a_trec_collection_gives_judgements_and_all_documents(tmp_path):
    source = trec(tmp_path)
    assert judged(source) == [
        ("bending light", "Lenses Glass & plastic bend light.", 1, "qrels:1"),
        ("turning back", "Mirrors turn it back if a < b.", 2, "qrels:2"),
        ("turning back", "Lenses Glass & plastic bend light.", 0, "qrels:3"),
    ]
    assert [place for _, place in documents(source)] == ["ft91[1]", "ft91[2]"]
    assert batch(source).rows == 2 + 2 + 3
    assert rejected(source) == []


def test_topics_as_attributes_with_queries_are_read(tmp_path):
    topics = '<topics><topic number="301"><query>bending</query><question>What?</question></topic></topics>'
    assert judged(trec(tmp_path, topics=topics))[0][0] == "bending"


@pytest.mark.parametrize(
    ("name", "topics"),
    [
        ("topics.tsv", "301\tbending light\n302\tturning back\n"),
        ("topics.tsv", "qid\tquery\n301\tbending light\n302\tturning back\n"),
        (
            "topics.jsonl",
            lines([{"qid": 301, "query": "bending light"}, {"qid": 302, "query": "turning back"}]),
        ),
        ("topics.gz", gzip.compress(TOPICS.encode())),
    ],
)
def test_topics_may_be_tables_or_packed(tmp_path, name, topics):
    source = trec(tmp_path, topics=topics, names=("docs/ft91", name, "qrels"))
    assert [row[0] for row in judged(source)[:2]] == ["bending light", "turning back"]
    assert rejected(source) == []


def test_documents_may_be_tables(tmp_path):
    docs = lines(
        [{"docno": "FT911-1", "title": "Lenses", "text": "Glass."}, {"id": "FT911-2", "contents": "M."}]
    )
    source = trec(tmp_path, docs=docs, names=("docs.jsonl", "topics", "qrels"))
    assert [row[1] for row in judged(source)[:2]] == ["Lenses Glass.", "M."]


def test_a_folder_may_hold_all_three_and_more(tmp_path):
    source = trec(tmp_path, names=("ft91", "topics", "qrels"))
    put(tmp_path, "README", "A collection.")
    put(tmp_path, "more/ft92", DOCS.replace("FT911", "FT921"))
    whole = source.model_copy(update={"path": str(tmp_path)})
    assert len(documents(whole)) == 4
    assert rejected(whole) == [("README", "no <DOC> in it")]
    assert batch(whole).bad == 0
    assert documents(whole)[2][1] == "more/ft92[1]"


def test_gb18030_is_read_and_said(tmp_path):
    text = "中国的芯片公司在这些年里发展得很快，他们的产品也有了很大的进步。"
    docs = f"<DOC><DOCNO>FT911-1</DOCNO><TEXT>{text}</TEXT></DOC>".encode("gb18030")
    source = trec(tmp_path, docs=docs, qrels="301 0 FT911-1 1\n")
    assert judged(source)[0][1] == text
    assert batch(source).notes == (f"{tmp_path}/docs/ft91: read as gb18030",)


def test_an_unknown_encoding_is_rejected(tmp_path):
    source = trec(tmp_path)
    put(tmp_path, "docs/ft92", b"<DOC><DOCNO>\xff\xfe\x00\x81</DOCNO></DOC>")
    source = source.model_copy(update={"path": str(tmp_path / "docs")})
    assert rejected(source) == [("ft92", "unknown encoding; convert it to UTF-8")]
    assert len(documents(source)) == 2


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ("<DOC><TEXT>x</TEXT></DOC>", "no <DOCNO>"),
        ("<DOC><DOCNO> </DOCNO>x</DOC>", "no <DOCNO>"),
        ("<DOC><DOCNO>FT9</DOCNO>cut", "no </DOC>"),
        ("<DOC><DOCNO>FT911-2</DOCNO>again</DOC>", "id given before"),
    ],
)
def test_a_bad_document_of_trec_swallows_no_other(tmp_path, part, reason):
    source = trec(tmp_path, docs=DOCS + part + "\n<DOC><DOCNO>FT911-3</DOCNO>last</DOC>")
    assert rejected(source) == [("ft91[3]", reason)]
    assert documents(source)[-1] == ("last", "ft91[4]")


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ("<top><title>x</title></top>", "no <num>"),
        ("<top><num>303</num><title> </title></top>", "no <title>"),
        ("<top><num>303</num><title>x</title>", "no </top>"),
        ("<top><num>301</num><title>x</title></top>", "id given before"),
    ],
)
def test_a_bad_topic_swallows_no_other(tmp_path, part, reason):
    topics = TOPICS.replace("<top><num>302", part + "<top><num>302")
    source = trec(tmp_path, topics=topics)
    assert rejected(source) == [("topics[2]", reason)]
    assert len(judged(source)) == 3


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("301 0 FT9 1", "judges an unknown document"),
        ("309 0 FT911-1 1", "judges an unknown query"),
        ("301 FT911-1 1", "3 fields, not 4"),
        ("301 0 FT911-1 yes", "relevance is not a number"),
    ],
)
def test_a_bad_line_of_trec_qrels_says_why(tmp_path, line, reason):
    assert rejected(trec(tmp_path, qrels=f"{TREC_QRELS}{line}\n")) == [("qrels:4", reason)]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"docs": "no tags"}, "docs/ft91: no document with a text in it"),
        ({"topics": "no tags"}, "topics: no query with a text in it"),
        ({"topics": ""}, "topics: no query with a text in it"),
        ({"topics": "<top><num>1</num></top>"}, "topics: no query with a text in it (topics[1]: no <title>)"),
        ({"qrels": "\n"}, "qrels: no judgement of these queries and documents in it"),
        (
            {"qrels": "1\tFT911-1\t1\n"},
            "qrels: no judgement of these queries and documents in it (qrels:1: 3 fields, not 4)",
        ),
    ],
)
def test_a_part_of_trec_with_nothing_of_use_is_named(tmp_path, keys, message):
    assert fault(trec(tmp_path, **keys)) == f"{tmp_path}/{message}"


def test_a_missing_topics_file_is_one_clear_line(tmp_path):
    source = trec(tmp_path)
    (tmp_path / "topics").unlink()
    assert fault(source).startswith(f"no file at {tmp_path}/topics")


# --- real corpora ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "docs", "queries", "judgements"), [("vaswani_npl", 11_429, 93, 2_083), ("cacm", 3_204, 52, 796)]
)
def test_real_collections(real_data, name, docs, queries, judgements):
    source = Source.model_validate({"path": str(real_data / name / "beir"), "format": "beir"})
    assert len(documents(source)) == docs
    assert len(judged(source)) == judgements
    assert len({row[0] for row in judged(source)}) == queries
    assert {reason for _, reason in rejected(source)} <= {"no judgement of this query was read"}
