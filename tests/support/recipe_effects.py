"""Small corpora, and what recipes make of them; the same recipe is not made twice."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from minerkit.pipeline import ingest, mine
from minerkit.recipe import Recipe, load_recipe
from minerkit.reports import dataset_card
from minerkit.storage import Run

RESIST = (
    "Photoresist is mixed from a resin, a photoactive compound and a solvent, and spread on the wafer before "
    "it is exposed."
)
MARKET = "Most of the world's photoresist comes from Japan, where four makers share most of what is sold."
ETCHING = (
    "Etching removes the film that no resist covers; ions strike the surface upright, and leave steep walls "
    "behind them."
)
#: Reports; the second is a later issue of the first, with a sentence more.
REPORTS = {
    "resist.md": f"# Photoresist\n\n## What it is made of\n\n{RESIST}\n\n## Who sells it\n\n{MARKET}\n",
    "update.md": f"# Photoresist\n\n## What it is made of\n\n{RESIST}\n\n## Who sells it\n\n{MARKET}\n\n"
    "## What is new\n\nTwo of them have opened works abroad since, and a third has announced that it will.\n",
    "etching.md": f"# Etching\n\n## How it works\n\n{ETCHING}\n",
}
#: The first answer stands in a report word for word, the second nearly, the third in two reports' words.
QA = [
    {"question": "Where does photoresist come from?", "answer": "comes from Japan", "in": "resist.md",
     "part": "etching.md#0"},
    {"question": "What do ions do?", "answer": "ions strike the wafer surface upright and leave steep walls",
     "in": "etching.md", "part": "etching.md#0"},
    {"question": "What is mixed?", "answer": "a resin, a photoactive compound and a solvent",
     "in": "update.md", "part": "etching.md#0"},
]  # fmt: skip
#: The defaults that make runs of the pairs small.
BASE = {
    "split.dev_queries": 8,
    "mine.negatives": 3,
    "encoder.model": "lsa",
    "encoder.truncate_dim": 32,
    "license": "mit",
}


WORDS = [" ".join(f"a{i} b{j} c" for j in range(8)) for i in range(8)]
#: The check of each key; a check takes fixtures by name.
CHECKS: dict[str, Callable[..., None]] = {}


def shows(key: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register the check that shows what a key does."""

    def keep(check: Callable[..., None]) -> Callable[..., None]:
        CHECKS[key] = check
        return check

    return keep


class Kit:
    """Makes runs of small corpora, each recipe once."""

    def __init__(self, folder: Path, pairs: pl.DataFrame) -> None:
        """Write the corpora.

        Args:
            folder: An empty folder.
            pairs: query, positive.
        """
        self.folder, self._runs = folder, dict[str, Run]()
        number = pl.int_range(pl.len())
        graded = pairs.with_columns(
            story=pl.format("story {}", number // 4),
            also=pl.format("also {}", pl.col("query")),
            longer=pl.format("{} And that is all.", pl.col("positive")),
            grade=(number % 2 + 1).cast(pl.Int64),
        )
        # Every question is judged with the answer after its own, too.
        wrong = graded.with_columns(
            positive=pl.col("positive").shift(-1).fill_null("none"), grade=pl.lit(0, pl.Int64)
        )
        self.pairs = self.rows("pairs.jsonl", graded.rows(named=True))
        self.graded = self.rows("graded.jsonl", pl.concat([graded, wrong]).rows(named=True))
        self.reports = folder / "reports"
        self.reports.mkdir()
        for name, text in REPORTS.items():
            (self.reports / name).write_text(text)
        self.qa = self.rows("qa.jsonl", QA)

    def rows(self, name: str, rows: list[dict[str, Any]]) -> Path:
        """Write a file of one object a line."""
        return self.text(name, "".join(json.dumps(row) + "\n" for row in rows))

    def text(self, name: str, text: str) -> Path:
        """Write a file."""
        file = self.folder / name
        file.write_text(text)
        return file

    def recipe(self, source: Path | None = None, **keys: Any) -> Recipe:
        """Load a recipe of the pairs, or of another source with nothing else said.

        Args:
            source: Its file or folder; None: the pairs.
            keys: Keys of the recipe, with two underscores for a dot.
        """
        given = {} if source else BASE
        file = self.text(
            "kit.yaml", json.dumps({"name": "kit", "source": {"path": str(source or self.pairs)}})
        )
        return load_recipe(file, {**given, **{key.replace("__", "."): value for key, value in keys.items()}})

    def ingested(self, source: Path | None = None, **keys: Any) -> Run:
        """Ingest a recipe."""
        return self._run(ingest, self.recipe(source, **keys))

    def mined(self, source: Path | None = None, **keys: Any) -> Run:
        """Mine a recipe."""
        if keys:
            self.mined()
        return self._run(mine, self.recipe(source, **keys))

    def forget(self) -> None:
        """Make runs anew whose files have changed since."""
        self._runs.clear()

    def card(self, **keys: Any) -> str:
        """Write the card of a mined recipe."""
        return dataset_card(self.mined(**keys))

    def _run(self, make: Any, recipe: Recipe) -> Run:
        key = f"{make.__name__} {recipe.model_dump_json()}"
        if key not in self._runs:
            out = self.folder / f"run{len(self._runs)}"
            first = self._runs.get(f"mine {self.recipe().model_dump_json()}")
            if make is mine and first is not None and recipe.source == self.recipe().source:
                shutil.copytree(first.folder, out)  # what the key does not change is not done again
            self._runs[key] = make(recipe, out)
        return self._runs[key]


def scores(run: Run) -> pl.DataFrame:
    """Give the negatives of a run with the score of their query's lowest positive.

    Args:
        run: A mined run.

    Returns:
        query_id, doc_id, rank, score, pos_score, in float64.
    """
    judged = run.read("judged.parquet").select("query_id", "doc_id", pl.col("pos_score").cast(pl.Float64))
    found = run.read("negatives.parquet").join(judged, on=["query_id", "doc_id"])
    return found.with_columns(pl.col("score").cast(pl.Float64))


def per_query(run: Run) -> pl.Series:
    """Count the negatives of each query that has some."""
    return run.read("negatives.parquet")["query_id"].value_counts()["count"]


def stats(run: Run) -> dict[str, Any]:
    """Read what a run says of its train split."""
    return dict(run.read_json("stats.json")["splits"]["train"])
