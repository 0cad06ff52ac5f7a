"""The stage that accounts for everything: rejected rows, statistics, the resolved recipe."""

import json
from typing import Any

import polars as pl

from minerkit.pipeline.context import Context
from minerkit.pipeline.stage import Stage
from minerkit.recipe import Recipe, recipe_yaml
from minerkit.reports import handwritten_notes, run_stats
from minerkit.storage import MARKERS, SPLITS, StageOutput

__all__ = ["STAGE"]


def _settings(recipe: Recipe) -> dict[str, Any]:
    return {"recipe": recipe.model_dump(mode="json"), "card": handwritten_notes(recipe)}


def _finish(context: Context, output: StageOutput) -> None:
    """Count the run, and write down how it was made."""
    run = context.run
    rejected = run.rejected(["ingest", "select"])
    frames = {name: run.read(f"{name}.parquet") for name in ("queries", "qrels", "negatives")}
    frames["corpus"] = run.scan(f"{MARKERS}/documents.parquet").select("doc_id").collect()
    # Positives are all that statistics need of the candidates, and counts all that they need of the judged.
    frames["positives"] = run.between("candidates.parquet", None, pl.col("relevance") > 0)
    frames |= {name: run.read(f"{MARKERS}/{name}.parquet") for name in ("accounts", "verdicts")}
    frames["rejected"] = rejected
    files = {name: run.scan(f"{name}.parquet") for name in ("corpus", "pairs", *SPLITS)}
    facts = {name: run.facts(name) for name in ("ingest", "search")}
    output.write("rejected.parquet", rejected)
    output.write_text("recipe.yaml", recipe_yaml(context.recipe))
    output.write_text("stats.json", json.dumps(run_stats(frames, files, facts), indent=1, ensure_ascii=False))


STAGE = Stage(
    name="finish",
    version=6,
    settings=_settings,
    reads=(
        "candidates.parquet",
        "corpus.parquet",
        "dev.parquet",
        "negatives.parquet",
        "pairs.parquet",
        "qrels.parquet",
        "queries.parquet",
        "train.parquet",
        f"{MARKERS}/accounts.parquet",
        f"{MARKERS}/documents.parquet",
        f"{MARKERS}/ingest.rejected.parquet",
        f"{MARKERS}/select.rejected.parquet",
        f"{MARKERS}/verdicts.parquet",
    ),
    writes=("recipe.yaml", "rejected.parquet", "stats.json"),
    perform=_finish,
)
