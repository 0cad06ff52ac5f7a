"""The stage that writes the training rows, shard by shard."""

from typing import Any

import polars as pl

from minerkit.mining import format_examples
from minerkit.pipeline.context import Context
from minerkit.pipeline.shards import Shard, query_shards
from minerkit.pipeline.stage import Stage, sections
from minerkit.recipe import Recipe
from minerkit.runtime import prefetch_map
from minerkit.storage import MARKERS, SPLITS, Run, StageOutput, empty_artefact, encode_row_group

__all__ = ["STAGE"]

#: The place of a row, from 0.
PLACE = pl.int_range(pl.len(), dtype=pl.Int32)


def _settings(recipe: Recipe) -> dict[str, Any]:
    return {**sections(recipe, "format"), "names": recipe.names, "negatives": recipe.mine.negatives}


def _format(context: Context, output: StageOutput) -> None:
    """Write the rows of each split; a split without rows has columns all the same."""
    recipe, run = context.recipe, context.run
    queries = run.read("queries.parquet")
    lost = run.read(f"{MARKERS}/select.rejected.parquet")["source"]
    width = recipe.mine.negatives or _most_negatives(run)
    ids = run.scan(f"{MARKERS}/documents.parquet").select("doc_id").collect()["doc_id"]
    texts, candidates = context.document_texts(), run.row_groups("candidates.parquet")

    def rows(split: str, own: pl.DataFrame, relevant: pl.DataFrame) -> Any:
        negatives = run.between("negatives.parquet", own["query_id"])
        used = pl.concat([relevant["doc_id"], negatives["doc_id"]]).unique().sort()
        corpus = used.to_frame("doc_id").with_columns(text=PLACE)
        made = format_examples(
            own.with_columns(text=PLACE), corpus, relevant, negatives, recipe.format, recipe.names, width
        )
        # Texts, which stand in many rows, are positions until they are written.
        documents = texts.gather(ids.search_sorted(used))
        kinds = made.schema.items()
        written = {name: documents for name, kind in kinds if kind in (pl.Int32, pl.List(pl.Int32))}
        return encode_row_group(split, made, written | {recipe.names[0]: own["text"]})

    def formatted(shard: Shard) -> Any:
        own = queries.filter(pl.col("split") == shard.split)[shard.start : shard.stop]
        own = own.filter(~pl.col("query_id").is_in(lost.implode()))
        relevant = candidates.one(shard.number, "query_id", "doc_id", "score", where=pl.col("relevance") > 0)
        return rows(shard.split, own, relevant.join(own, on="query_id", how="semi", maintain_order="left"))

    with output.table("train.parquet") as add_train, output.table("dev.parquet") as add_dev:
        add = {"train": add_train, "dev": add_dev}
        for split in SPLITS:
            add[split](rows(split, queries.clear(), empty_artefact("candidates")))
        parts = query_shards(queries)
        for shard, made in zip(parts, prefetch_map(formatted, parts), strict=True):
            add[shard.split](made)


def _most_negatives(run: Run) -> int:
    counts = run.scan("negatives.parquet").group_by("query_id").len()
    return int(counts.select(pl.col("len").max().fill_null(0)).collect(engine="streaming").item())


STAGE = Stage(
    name="format",
    version=2,
    settings=_settings,
    reads=(
        "candidates.parquet",
        "corpus.parquet",
        "negatives.parquet",
        "queries.parquet",
        f"{MARKERS}/documents.parquet",
        f"{MARKERS}/select.rejected.parquet",
    ),
    writes=("dev.parquet", "train.parquet"),
    perform=_format,
)
