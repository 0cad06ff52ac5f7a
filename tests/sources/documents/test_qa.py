"""QA files and the passages that answer them."""

import json
from pathlib import Path

import polars as pl
import pytest

from minerkit.errors import SourceError
from minerkit.recipe.recipe import Source
from minerkit.sources.reader import read

REPORTS = {
    "wafers.md": (
        "# 硅片\n\n十二英寸硅片的直径为300毫米，面积约为八英寸硅片的2.25倍，单片可切出的芯片数量明显更多，"
        "因此主流先进工艺都在这个尺寸上。扩产周期通常需要两年以上，价格随供需起伏。\n"
    ),
    "etching.md": (
        "# 刻蚀\n\n原子层刻蚀把过程拆成两个自限制的步骤，先用气体改性最表面的一层原子，"
        "再用低能离子把改性层剥离，循环一次大约去除一层原子。它的优点是损伤小、均匀性好，缺点是速度慢。\n"
    ),
}


def ingest(folder: Path, rows: list[dict], **keys) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Questions with their passages, and the rejected rows."""
    (folder / "reports").mkdir(exist_ok=True)
    for name, text in REPORTS.items():
        (folder / "reports" / name).write_text(text)
    file = folder / "qa.jsonl"
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    spec = {"path": str(folder / "reports"), "format": "documents", "qa": str(file), "min_chars": 30, **keys}
    batches = list(read(Source.model_validate(spec)))
    entries = pl.concat([batch.entries for batch in batches])
    return entries.drop_nulls("query"), pl.concat([batch.rejected for batch in batches])


def test_an_answer_finds_the_passage_that_holds_it_and_its_group(tmp_path):
    rows = [{"question": "硅片多大？", "answer": "直径为300毫米"}]
    found, _ = ingest(tmp_path, rows)
    row = found.row(0, named=True)
    assert row["document"].startswith("十二英寸硅片")
    assert (row["relevance"], row["group"], row["query_group"]) == (1, "wafers.md", "wafers.md")
    assert row["source"] == "qa.jsonl:1"


@pytest.mark.parametrize(
    "answer",
    [
        ["无", "损伤小、均匀性好"],
        [{"text": "损伤小、均匀性好", "answer_start": 3}],
        {"text": ["损伤小、均匀性好"], "answer_start": [3]},
    ],
)
def test_answers_may_be_lists_or_as_squad_has_them(tmp_path, answer):
    found, _ = ingest(tmp_path, [{"question": "优点？", "answer": answer}])
    assert found["group"].to_list() == ["etching.md"]


def test_an_answer_in_no_passage_is_rejected_with_the_best_candidate(tmp_path):
    rows = [
        {"question": "优点？", "answer": "损伤小、均匀性好"},
        {
            "question": "氧化镓如何长晶？",
            "answer": "氧化镓试验线采用导模法生长单晶，首批样品交给设备厂评估。",
        },
    ]
    found, rejected = ingest(tmp_path, rows)
    assert len(found) == 1
    lost = rejected.filter(pl.col("source") == "qa.jsonl:2").row(0, named=True)
    assert lost["reason"] == "answer in no passage"
    assert "best: " in lost["text"] and ".md:" in lost["text"]


def test_a_passage_may_be_named(tmp_path):
    rows = [{"question": "一", "id": "etching.md#0"}, {"question": "二", "id": "etching.md#9"}]
    found, rejected = ingest(tmp_path, rows, passage="id")
    assert found["group"].to_list() == ["etching.md"]
    assert rejected.filter(pl.col("reason") == "names an unknown passage")["text"].to_list() == [
        "二 | etching.md#9"
    ]


def test_an_answer_is_looked_for_in_the_report_it_names(tmp_path):
    rows = [
        {"question": "一", "answer": "约", "report": "wafers"},
        {"question": "二", "answer": "约", "report": "etching.md"},
        {"question": "三", "answer": "约", "report": "lithography"},
    ]
    assert all("约" in text for text in REPORTS.values())
    found, rejected = ingest(tmp_path, rows, report="report")
    assert found["group"].to_list() == ["wafers.md", "etching.md"]
    assert "names an unknown report" in rejected["reason"].to_list()


def test_every_row_is_an_entry_or_rejected(tmp_path):
    rows = [
        {"question": "优点？", "answer": "损伤小、均匀性好"},
        {"question": "", "answer": "损伤小"},
        {"question": "空", "answer": ""},
        {"question": "空", "answer": None},
        {"question": True, "answer": "损伤小"},
    ]
    found, rejected = ingest(tmp_path, rows, max_bad=1)
    lost = rejected.filter(pl.col("source").str.starts_with("qa.jsonl"))
    assert sorted([*found["source"], *lost["source"]]) == [f"qa.jsonl:{i}" for i in range(1, 6)]
    assert lost["reason"].to_list().count("no answer") == 2


def test_a_file_that_matches_nothing_is_one_clear_line(tmp_path):
    rows = [{"question": "谁？", "answer": "某个与报告毫无关系的人物在海边散步"}]
    with pytest.raises(SourceError) as caught:
        ingest(tmp_path, rows)
    message = str(caught.value)
    assert "none of its 1 questions" in message and "qa.jsonl:1" in message and "\n" not in message


def test_a_missing_column_lists_those_there_are(tmp_path):
    with pytest.raises(
        SourceError, match=r"no column 'evidence' .source\.positive.; there are: question, answer"
    ):
        ingest(tmp_path, [{"question": "一", "answer": "约"}], positive="evidence")


def test_texts_in_a_table_are_passages_too(tmp_path):
    table = tmp_path / "contexts.csv"
    table.write_text("id,text\na,Rotors spin.\nb,Stators stand still.\nc,Rotors spin.\n")
    qa = tmp_path / "qa.csv"
    qa.write_text("question,answer,at\nwhat spins?,Rotors,a\nwhat stands?,still,b\n")
    spec = {"path": str(table), "format": "documents", "id": "id", "max_chars": None, "qa": str(qa)}
    by_text = pl.concat([b.entries for b in read(Source.model_validate(spec))])
    by_name = pl.concat([b.entries for b in read(Source.model_validate({**spec, "passage": "at"}))])
    assert by_text.equals(by_name)
    assert by_text["document"].to_list() == [
        "Rotors spin.", "Stators stand still.", "Rotors spin.", "Stators stand still.",
    ]  # fmt: skip


@pytest.mark.slow
def test_cmrc_answers_find_their_own_context(real_data):
    file = real_data / "cmrc2018" / "squad-style-data" / "cmrc2018_trial.json"
    spec = {"path": str(file), "format": "documents", "text": "context", "max_chars": None, "qa": str(file)}
    batch = next(read(Source.model_validate({**spec, "positive": "answers"})))
    truth: dict[str, set[str]] = {}
    for article in json.loads(file.read_text())["data"]:
        for paragraph in article["paragraphs"]:
            for row in paragraph["qas"]:
                truth.setdefault(row["question"], set()).add(paragraph["context"])
    found = batch.entries.drop_nulls("query").select("query", "document").rows()
    right = sum(document in truth[query] for query, document in found)
    assert right >= 0.98 * len(found) > 900
