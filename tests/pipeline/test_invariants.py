"""Each promise is broken on purpose once; the audit names it."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from minerkit.pipeline import commands as pipeline
from minerkit.pipeline import finished
from minerkit.recipe.recipe import Recipe


@pytest.fixture(scope="module")
def clean_run(sample_pairs, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("audit")
    sample_pairs.head(250).write_parquet(folder / "pairs.parquet")
    spec = Recipe.model_validate(
        {
            "name": "t",
            "source": {"path": str(folder / "pairs.parquet")},
            "encoder": {"model": "lsa"},
            "split": {"dev_queries": 30},
            "mine": {"absolute_margin": 0.0, "min_score": -0.5},
        }
    )
    pipeline.mine(spec, folder / "run", "cpu")
    assert finished.audit_run(folder / "run") == []
    return folder / "run"


def edit(run: Path, name: str, change) -> None:
    path = run / f"{name}.parquet"
    change(pl.read_parquet(path)).write_parquet(path)


def first_negative_becomes(run: Path, document) -> None:
    """Put another document in the place of the first negative."""
    negatives = pl.read_parquet(run / "negatives.parquet")
    query = negatives["query_id"][0]
    doc = document(run, query)
    is_first = pl.int_range(pl.len()) == 0
    changed = negatives.with_columns(doc_id=pl.when(is_first).then(pl.lit(doc)).otherwise("doc_id"))
    changed.write_parquet(run / "negatives.parquet")


def positive_of(run: Path, query: str) -> str:
    return pl.read_parquet(run / "qrels.parquet").filter(pl.col("query_id") == query)["doc_id"][0]


def with_text(text_of):
    """Give a document of another query the text that `text_of` makes for this query."""

    def document(run: Path, query: str) -> str:
        corpus = pl.read_parquet(run / "corpus.parquet")
        doc = corpus["doc_id"][-1]
        text = text_of(run, query)
        is_doc = pl.col("doc_id") == doc
        corpus.with_columns(text=pl.when(is_doc).then(pl.lit(text)).otherwise("text")).write_parquet(
            run / "corpus.parquet"
        )
        return doc

    return document


def positive_text(run: Path, query: str) -> str:
    corpus = pl.read_parquet(run / "corpus.parquet")
    return corpus.filter(pl.col("doc_id") == positive_of(run, query))["text"][0]


def query_text(run: Path, query: str) -> str:
    return pl.read_parquet(run / "queries.parquet").filter(pl.col("query_id") == query)["text"][0]


BREACHES = {
    "no negative equals a positive of its query": lambda run: first_negative_becomes(run, positive_of),
    "no negative nearly duplicates a positive of its query": lambda run: first_negative_becomes(
        run, with_text(lambda r, q: positive_text(r, q) + " indeed")
    ),
    "no query is its own negative": lambda run: first_negative_becomes(
        run, with_text(lambda r, q: query_text(r, q).upper())
    ),
    "queries: ids are unique": lambda run: edit(run, "queries", lambda f: pl.concat([f, f.head(1)])),
    "corpus: texts are unique": lambda run: edit(
        run, "corpus", lambda f: pl.concat([f, f.head(1).with_columns(doc_id=pl.lit("d9999999"))])
    ),
    "negatives: doc_id resolves": lambda run: first_negative_becomes(run, lambda r, q: "d9999999"),
    "negatives: a document once a query": lambda run: edit(
        run, "negatives", lambda f: pl.concat([f.head(1), f])
    ),
    "negatives: scores are finite": lambda run: edit(
        run, "negatives", lambda f: f.with_columns(score=pl.lit(float("nan"), pl.Float32))
    ),
    "negatives honour absolute_margin": lambda run: edit(
        run, "negatives", lambda f: f.with_columns(score=pl.lit(0.99, pl.Float32))
    ),
    "negatives honour min_score": lambda run: edit(
        run, "negatives", lambda f: f.with_columns(score=pl.lit(-0.9, pl.Float32))
    ),
    "every positive has a score": lambda run: edit(
        run, "candidates", lambda f: f.filter(pl.col("relevance") == 0)
    ),
    "every query is filled or rejected": lambda run: edit(run, "negatives", lambda f: f.tail(len(f) - 2)),
    "the rows written are the positives and negatives": lambda run: edit(
        run, "train", lambda f: f.tail(len(f) - 1)
    ),
    "no text is in both train and dev": lambda run: edit(
        run, "train", lambda f: pl.concat([f, pl.read_parquet(run / "dev.parquet").head(1)])
    ),
    "files are as the manifest has them": lambda run: edit(run, "pairs", lambda f: f.head(3)),
    "judged: columns and types": lambda run: edit(run, "judged", lambda f: f.drop("reason")),
    "every entry is kept or rejected": lambda run: edit(run, "qrels", lambda f: f.tail(len(f) - 1)),
}


@pytest.mark.parametrize("check", BREACHES)
def test_a_breach_is_named_with_its_rows(clean_run, tmp_path, check):
    run = tmp_path / "run"
    shutil.copytree(clean_run, run)
    BREACHES[check](run)
    found = {breach.check: breach for breach in finished.audit_run(run)}
    assert check in found
    assert found[check].rows > 0
    assert found[check].examples


def test_a_ratio_that_is_off_is_named(clean_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(clean_run, run)
    text = (run / "recipe.yaml").read_text()
    (run / "recipe.yaml").write_text(
        text.replace("positive_ratio: null", "positive_ratio: 0.25").replace(
            "negatives: 5", "negatives: null"
        )
    )
    checks = [breach.check for breach in finished.audit_run(run)]
    assert "positives are 25.00% of each split" in checks


def test_the_manifest_is_read_as_it_is(clean_run):
    manifest = json.loads((clean_run / "manifest.json").read_text())
    assert manifest["rows"] == {"rows": 250, "entries": 250, "documents": 0}
