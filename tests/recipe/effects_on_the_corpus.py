"""What the keys of `source`, `clean` and `split` change in what is ingested."""

import json
from typing import Any

import polars as pl
import pytest

from minerkit.errors import SourceError
from minerkit.recipe import load_recipe
from tests.support.recipe_effects import Kit, shows


def texts(run: Any, name: str = "queries") -> set[str]:
    return set(run.read(f"{name}.parquet")["text"])


def asked_of_hub(kit: Kit, monkeypatch, **source: Any) -> dict[str, Any]:
    """Read from a Hub that is not there, and say what it was asked for."""
    import datasets

    seen: dict[str, Any] = {}

    def load_dataset(name, config, **more):
        seen.update(name=name, config=config, **more)
        return datasets.Dataset.from_dict({"query": ["a question"], "positive": ["its answer"]})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    file = kit.text("h.yaml", json.dumps({"name": "h", "source": {"hub": "user/data", **source}}))
    from minerkit.sources import read

    seen["rows"] = sum(batch.rows for batch in read(load_recipe(file).source))
    return seen


@shows("source.hub")
def _(kit, monkeypatch):
    assert asked_of_hub(kit, monkeypatch)["name"] == "user/data"
    assert asked_of_hub(kit, monkeypatch, hub="user/more")["name"] == "user/more"


@shows("source.config")
def _(kit, monkeypatch):
    assert asked_of_hub(kit, monkeypatch)["config"] is None
    assert asked_of_hub(kit, monkeypatch, config="small")["config"] == "small"


@shows("source.split")
def _(kit, monkeypatch):
    assert asked_of_hub(kit, monkeypatch)["split"] == "train"
    assert asked_of_hub(kit, monkeypatch, split="test")["split"] == "test"


@shows("source.revision")
def _(kit, monkeypatch):
    assert asked_of_hub(kit, monkeypatch)["revision"] is None
    assert asked_of_hub(kit, monkeypatch, revision="v2")["revision"] == "v2"


@shows("source.path")
def _(kit):
    other = kit.rows("other.jsonl", [{"query": "another question", "positive": "another answer"}])
    assert texts(kit.ingested(other)) == {"another question"}
    assert "another question" not in texts(kit.ingested())


@shows("source.limit")
def _(kit):
    assert len(texts(kit.ingested(kit.pairs, source__limit=7))) == 7
    assert len(texts(kit.ingested(kit.pairs))) > 70


@shows("source.format")
def _(kit):
    assert any("Photoresist" in text for text in texts(kit.ingested(kit.reports, source__format="documents")))
    with pytest.raises(SourceError, match=r"reports are read with source\.format=documents"):
        kit.ingested(kit.reports)


@shows("source.max_bad")
def _(kit):
    good = json.dumps({"query": "a question", "positive": "an answer"})
    file = kit.text("bad.jsonl", f"{good}\n{{\n")
    with pytest.raises(SourceError, match=r"more than source\.max_bad=0\.01"):
        kit.ingested(file)
    assert len(kit.ingested(file, source__max_bad=0.5).read("queries.parquet")) == 1


@shows("source.columns")
def _(kit):
    file = kit.text("plain.tsv", "a question\tan answer\nanother question\tanother answer\n")
    assert len(texts(kit.ingested(file, source__columns=["query", "positive"]))) == 2
    with pytest.raises(SourceError, match="no column 'query'"):
        kit.ingested(file)


@shows("source.query")
def _(kit):
    assert all(text.startswith("also ") for text in texts(kit.ingested(kit.pairs, source__query="also")))


@shows("source.positive")
def _(kit):
    documents = texts(kit.ingested(kit.pairs, source__positive="longer"), "corpus")
    assert all(text.endswith("And that is all.") for text in documents)


@shows("source.relevance")
def _(kit):
    assert set(kit.ingested(kit.graded, source__relevance="grade").read("qrels.parquet")["relevance"]) == {
        0,
        1,
        2,
    }
    assert set(kit.ingested(kit.graded).read("qrels.parquet")["relevance"]) == {1}


@shows("source.min_relevance")
def _(kit):
    found = [
        len(
            kit.ingested(kit.graded, source__relevance="grade", source__min_relevance=least).read(
                "pairs.parquet"
            )
        )
        for least in (1, 2)
    ]
    assert found[0] == 2 * found[1] > 0


@shows("source.group")
def _(kit):
    assert kit.ingested(kit.pairs, source__group="story").read("queries.parquet")["group"][0] == "story 0"
    assert kit.ingested(kit.pairs).read("queries.parquet")["group"].null_count() > 0


CAPTIONS = """item,text,other
1,a red hat,one
1,a hat in red,two
1,red headwear,three
2,a blue coat,four
2,a coat,five
"""


def captions(kit: Kit, **source: Any) -> Any:
    file = kit.text("captions.csv", CAPTIONS)
    return kit.ingested(file, source__format="captions", source__group="item", **source)


@shows("source.text")
def _(kit):
    assert "a red hat" in texts(captions(kit))
    assert texts(captions(kit, source__text="other")) == {"one", "two", "three", "four", "five"}


@shows("source.pairing")
def _(kit):
    made = {name: len(captions(kit, source__pairing=name).read("pairs.parquet")) for name in PAIRS}
    assert made == PAIRS


PAIRS = {"all": 8, "once": 4, "next": 5, "first": 3}


@shows("source.fields")
def _(kit):
    row = "COL title VAL {} COL price VAL 5\tCOL title VAL {} COL price VAL 6\t1\n"
    file = kit.text("matches.txt", row.format("a hat", "the hat") + row.format("a coat", "the coat"))
    assert texts(kit.ingested(file, source__format="matches", source__fields=["title"])) == {
        "a hat",
        "a coat",
    }
    assert texts(kit.ingested(file, source__format="matches")) == {"a hat 5", "a coat 5"}


def documents(kit: Kit, **source: Any) -> Any:
    given = {f"source__{name}": value for name, value in source.items()}
    return kit.ingested(kit.reports, source__format="documents", **{"source__min_chars": 40, **given})


def answers(kit: Kit, **source: Any) -> dict[str, str]:
    """Which passage each question of the QA file got."""
    run = documents(kit, qa=str(kit.qa), **source)
    return dict(run.read("pairs.parquet").select("query", "positive").rows())


@shows("source.qa")
def _(kit):
    assert "What is mixed?" in answers(kit)
    assert "What is mixed?" not in texts(documents(kit))


@shows("source.queries")
def _(kit):
    assert not any(text.endswith("?") for text in texts(documents(kit, qa=str(kit.qa), queries="headings")))
    assert all(text.endswith("?") for text in texts(documents(kit, qa=str(kit.qa), queries="qa")))


@shows("source.report")
def _(kit):
    strange = [
        {"question": "What do ions do?", "answer": "ions strike the surface upright", "in": "resist.md"}
    ]
    strange += [{"question": "What is mixed?", "answer": "a resin", "in": "resist.md"}]
    file = str(kit.rows("strange.jsonl", strange))
    assert len(documents(kit, qa=file).read("queries.parquet")) == 2
    assert texts(documents(kit, qa=file, report="in")) == {"What is mixed?"}


@shows("source.passage")
def _(kit):
    assert len(set(answers(kit).values())) > 1
    (named,) = set(answers(kit, passage="part").values())
    assert named.startswith("Etching removes")


@shows("source.min_match")
def _(kit):
    assert "What do ions do?" in answers(kit, min_match=0.3)
    assert "What do ions do?" not in answers(kit, min_match=1)


@shows("source.id")
def _(kit):
    rows = [{"key": "first", "text": "A passage about hats that is long enough to stand alone in a corpus."}]
    rows += [{"key": "second", "text": "A passage about coats that is long enough to stand alone as well."}]
    table = kit.rows("table.jsonl", rows)
    qa = str(kit.rows("named.jsonl", [{"question": "What of coats?", "answer": "x", "at": "second"}]))
    given = {
        "source__format": "documents",
        "source__qa": qa,
        "source__passage": "at",
        "source__min_chars": 20,
    }
    (positive,) = kit.ingested(table, **given, source__id="key").read("pairs.parquet")["positive"]
    assert "coats" in positive
    with pytest.raises(SourceError, match="none of its 1 questions has its answer"):
        kit.ingested(table, **given)


@shows("source.min_chars")
def _(kit):
    assert min(map(len, texts(documents(kit), "corpus"))) < 100
    assert min(map(len, texts(documents(kit, min_chars=100), "corpus"))) >= 100


@shows("source.max_chars")
def _(kit):
    assert max(map(len, texts(documents(kit), "corpus"))) > 100
    assert max(map(len, texts(documents(kit, max_chars=100), "corpus"))) <= 100


@shows("source.reissue")
def _(kit):
    assert documents(kit).read("corpus.parquet")["group"].n_unique() == 2
    assert documents(kit, reissue=None).read("corpus.parquet")["group"].n_unique() == 3


def trec(kit: Kit, **other: str) -> Any:
    files = {
        "docs": "<DOC><DOCNO>D1</DOCNO><TEXT>Glass bends light.</TEXT></DOC>\n"
        "<DOC><DOCNO>D2</DOCNO><TEXT>Mirrors turn it back.</TEXT></DOC>\n",
        "topics": "<top><num>1</num><title>bending light</title></top>\n",
        "qrels": "1 0 D1 1\n",
    }
    path, topics, qrels = (kit.text(name, text) for name, text in (files | other).items())
    return kit.ingested(path, source__format="trec", source__topics=str(topics), source__qrels=str(qrels))


@shows("source.topics")
def _(kit):
    assert texts(trec(kit)) == {"bending light"}
    kit.forget()
    assert texts(trec(kit, topics="<top><num>1</num><title>lenses</title></top>\n")) == {"lenses"}
    kit.forget()


@shows("source.qrels")
def _(kit):
    assert trec(kit).read("pairs.parquet")["positive"].to_list() == ["Glass bends light."]
    kit.forget()
    assert trec(kit, qrels="1 0 D2 1\n").read("pairs.parquet")["positive"].to_list() == [
        "Mirrors turn it back."
    ]
    kit.forget()


# --- cleaning and the split ---------------------------------------------------------------------------


def reasons(run: Any) -> set[str]:
    return set(run.rejected(["ingest"])["reason"])


@shows("clean.min_chars")
def _(kit):
    assert reasons(kit.ingested(clean__min_chars=40)) >= {"query shorter than clean.min_chars"}
    assert "query shorter than clean.min_chars" not in reasons(kit.ingested())


@shows("clean.near_duplicate")
def _(kit):
    first = pl.read_ndjson(kit.pairs).head(30)
    near = first.with_columns(query=pl.col("also"), positive=pl.col("longer"))
    file = kit.rows("near.jsonl", pl.concat([first, near]).rows(named=True))
    found = {
        share: kit.mined(
            file,
            clean__near_duplicate=share,
            encoder__model="lsa",
            encoder__truncate_dim=32,
            mine__negatives=1,
        )
        for share in (0.7, None)
    }
    kept = {share: set(run.read("judged.parquet")["reason"].drop_nulls()) for share, run in found.items()}
    assert "near_duplicate" in kept[0.7] and "near_duplicate" not in kept[None]


@shows("clean.max_function_words")
def _(kit):
    rows = [{"query": "What does the text say?", "positive": "an answer"}]
    rows += [{"query": "What is a wafer?", "positive": "a slice"}]
    file = kit.rows("empty.jsonl", rows)
    assert len(texts(kit.ingested(file))) == 2
    assert texts(kit.ingested(file, clean__max_function_words=0.99)) == {"What is a wafer?"}


def dev(run: Any) -> set[str]:
    return set(run.read("queries.parquet").filter(pl.col("split") == "dev")["query_id"])


@shows("split.dev_queries")
def _(kit):
    assert len(dev(kit.ingested())) == 8
    assert not dev(kit.ingested(split__dev_queries=0))


@shows("split.by")
def _(kit):
    sides = {
        by: kit.ingested(source__group="story", split__by=by)
        .read("queries.parquet")
        .group_by("group")
        .agg(pl.col("split").n_unique())["split"]
        .max()
        for by in ("query", "group")
    }
    assert sides == {"query": 2, "group": 1}


@shows("split.seed")
def _(kit):
    assert dev(kit.ingested()) != dev(kit.ingested(split__seed=13))
