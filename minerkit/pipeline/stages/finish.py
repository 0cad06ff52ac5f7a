"""The stage that accounts for everything."""

import json

import polars as pl

from minerkit.pipeline.context import Work
from minerkit.recipe.load import recipe_yaml
from minerkit.reports.stats.run_statistics import run_stats
from minerkit.storage.run_folder import MARKERS
from minerkit.storage.schema import SPLITS
from minerkit.storage.stage import Stage

__all__ = ["finish"]


def finish(work: Work, stage: Stage) -> None:
    """Account for everything: rejected rows, statistics, the resolved recipe."""
    run = work.run
    rejected = run.rejected(["ingest", "select"])
    frames = {name: run.read(f"{name}.parquet") for name in ("queries", "qrels", "negatives")}
    frames["corpus"] = run.scan(f"{MARKERS}/documents.parquet").select("doc_id").collect()
    # Positives are all that statistics need of the candidates, and counts all that they need of the judged.
    frames["positives"] = run.between("candidates.parquet", None, pl.col("relevance") > 0)
    frames |= {name: run.read(f"{MARKERS}/{name}.parquet") for name in ("accounts", "verdicts")}
    frames["rejected"] = rejected
    files = {name: run.scan(f"{name}.parquet") for name in ("corpus", "pairs", *SPLITS)}
    facts = {name: (run.marker(name) or {})["facts"] for name in ("ingest", "search")}
    stage.write("rejected.parquet", rejected)
    stage.write_text("recipe.yaml", recipe_yaml(work.recipe))
    stage.write_text("stats.json", json.dumps(run_stats(frames, files, facts), indent=1, ensure_ascii=False))
