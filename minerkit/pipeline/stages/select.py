"""The stage that applies the rules to the candidates and draws the negatives, shard by shard."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import polars as pl

from minerkit.corpus import binary_qrels, count_positives
from minerkit.mining import (
    apply_quotas,
    draw_negatives,
    filter_false_negatives,
    rank_window,
    round_trip,
    to_ids,
    to_positions,
)
from minerkit.pipeline.context import Context
from minerkit.pipeline.shards import Shard, query_shards
from minerkit.pipeline.stage import Stage, sections
from minerkit.recipe import Recipe
from minerkit.reports import count_verdicts
from minerkit.runtime import prefetch_map
from minerkit.storage import MARKERS, SPLITS, StageOutput, encode_row_group

__all__ = ["STAGE"]


class _Filtered(NamedTuple):
    """A shard after the rules: what `draw_negatives` returns, and queries without round trip, by position."""

    split: str
    ids: dict[str, pl.Series]
    judged: pl.DataFrame
    chosen: pl.DataFrame
    accounts: pl.DataFrame
    lost: pl.DataFrame


class _Drawn(NamedTuple):
    """A shard whose negatives are drawn: row groups to write, and its accounts by id."""

    judged: Any
    negatives: Any
    accounts: pl.DataFrame
    verdicts: pl.DataFrame
    lost: pl.DataFrame


def _settings(recipe: Recipe) -> dict[str, Any]:
    return {**sections(recipe, "mine"), "min_relevance": recipe.source.min_relevance}


def _select(context: Context, output: StageOutput) -> None:
    """Judge the candidates and draw the negatives."""
    run, rules = context.run, context.recipe.mine
    queries = run.read("queries.parquet")
    accounts, counts, missed = [], [], []
    with output.table("judged.parquet") as add_judged, output.table("negatives.parquet") as add_negatives:
        for part in _drawn_shards(context, queries):
            add_judged(part.judged)
            add_negatives(part.negatives)
            accounts.append(part.accounts)
            counts.append(part.verdicts)
            missed.append(part.lost)
    account = pl.concat(accounts)
    output.write(f"{MARKERS}/accounts.parquet", account)
    output.write(f"{MARKERS}/verdicts.parquet", pl.concat(counts))
    lost = account.filter("dropped").join(queries, on="query_id", maintain_order="left")
    rejected = _rejected(lost, pl.concat(missed).join(queries, on="query_id"), rules.round_trip)
    output.write(f"{MARKERS}/select.rejected.parquet", rejected)


def _drawn_shards(context: Context, queries: pl.DataFrame) -> Iterator[_Drawn]:
    """Judge and draw shard after shard, on all cores."""
    run, recipe, rules = context.run, context.recipe, context.recipe.mine
    qrels = binary_qrels(run.read("qrels.parquet"), recipe)
    excluded = run.read(f"{MARKERS}/excluded.parquet")
    positives = {
        split: count_positives(queries.filter(pl.col("split") == split)["query_id"], qrels)
        for split in SPLITS
    }
    relevant = qrels.filter(pl.col("relevance") > 0)
    windows = {
        split: rank_window(rules, relevant.join(own, on="query_id", how="semi"))
        for split, own in positives.items()
    }
    found = run.row_groups("candidates.parquet")

    def filtered(shard: Shard) -> _Filtered:
        candidates, ids = found.coded(shard.number, "query_id", "doc_id")
        own = positives[shard.split][shard.start : shard.stop]
        closed = to_positions(excluded.join(own, on="query_id", how="semi"), ids)
        own = to_positions(own, {"query_id": ids["query_id"]})
        lost = round_trip(candidates, rules.round_trip).select("query_id")
        if len(lost):
            own = own.join(lost, on="query_id", how="anti", maintain_order="left")
            candidates = candidates.join(own, on="query_id", how="semi", maintain_order="left")
        judged = filter_false_negatives(candidates, closed, rules, windows[shard.split])
        return _Filtered(shard.split, ids, judged, *draw_negatives(judged, own, rules, ids), lost)

    def in_order() -> Iterator[tuple[_Filtered, int]]:
        """Give each shard with the positives kept before it: its share of the exact ratio begins there."""
        before = dict.fromkeys(SPLITS, 0)
        for part in prefetch_map(filtered, query_shards(queries)):
            yield part, before[part.split]
            before[part.split] += int(part.accounts.filter(~pl.col("dropped"))["positives"].sum())

    def drawn(turn: tuple[_Filtered, int]) -> _Drawn:
        part, before = turn
        negatives, account = apply_quotas(part.chosen, part.accounts, rules, before)
        return _Drawn(
            encode_row_group("judged", part.judged, part.ids),
            encode_row_group("negatives", negatives, part.ids),
            to_ids(account, part.ids),
            count_verdicts(part.judged, negatives, part.split),
            to_ids(part.lost, part.ids),
        )

    return prefetch_map(drawn, in_order())


def _rejected(short: pl.DataFrame, missed: pl.DataFrame, depth: int | None) -> pl.DataFrame:
    """List dropped queries with the reason: too few negatives, or no round trip."""
    few = short.select(
        "query_id",
        pl.format("{} of {}: {}", "found", "wanted", "text").alias("text"),
        reason=pl.lit("too few negatives"),
    )
    reason = f"finds none of its positives among the first {depth} documents"
    astray = missed.select("query_id", "text", reason=pl.lit(reason))
    rejected = pl.concat([few, astray]).sort("query_id").rename({"query_id": "source"})
    return rejected.select(pl.lit("mine").alias("stage"), "reason", "source", "text")


STAGE = Stage(
    name="select",
    version=3,
    settings=_settings,
    reads=("candidates.parquet", "qrels.parquet", "queries.parquet", f"{MARKERS}/excluded.parquet"),
    writes=(
        "judged.parquet",
        "negatives.parquet",
        f"{MARKERS}/accounts.parquet",
        f"{MARKERS}/select.rejected.parquet",
        f"{MARKERS}/verdicts.parquet",
    ),
    perform=_select,
)
