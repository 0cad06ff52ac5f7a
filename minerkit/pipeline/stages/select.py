"""The stage that judges candidates and draws negatives."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import polars as pl

from minerkit.corpus.qrels import binary_qrels, count_positives
from minerkit.mining.filters import filter_false_negatives, rank_window, round_trip
from minerkit.mining.positions import to_ids, to_positions
from minerkit.mining.sampling import apply_quotas, rank_eligible
from minerkit.pipeline.context import Shard, Work, shards
from minerkit.reports.stats.distributions import verdicts
from minerkit.runtime.threads import ahead
from minerkit.storage.parquet import encode_row_group
from minerkit.storage.run_folder import MARKERS
from minerkit.storage.schema import SPLITS
from minerkit.storage.stage import Stage

__all__ = ["select"]

REJECTED = ("stage", "reason", "source", "text")


class _Judged(NamedTuple):
    """A shard whose candidates are judged: what `line_up` gives, and the lost queries, all by position."""

    split: str
    ids: dict[str, pl.Series]
    rows: pl.DataFrame
    chosen: pl.DataFrame
    accounts: pl.DataFrame
    lost: pl.DataFrame


def select(work: Work, stage: Stage) -> None:
    """Judge the candidates and draw the negatives, shard by shard."""
    recipe, rules = work.recipe, work.recipe.mine
    queries, qrels = work.run.read("queries.parquet"), binary_qrels(work.run.read("qrels.parquet"), recipe)
    excluded = work.run.read(f"{MARKERS}/excluded.parquet")
    counts_of = {
        split: count_positives(queries.filter(pl.col("split") == split)["query_id"], qrels)
        for split in SPLITS
    }
    relevant = qrels.filter(pl.col("relevance") > 0)
    places = {
        split: rank_window(rules, relevant.join(own, on="query_id", how="semi"))
        for split, own in counts_of.items()
    }

    found = work.run.parts("candidates.parquet")

    def judged(shard: Shard) -> _Judged:
        candidates, ids = found.coded(shard.number, "query_id", "doc_id")
        own = counts_of[shard.split][shard.start : shard.stop]
        shut = to_positions(excluded.join(own, on="query_id", how="semi"), ids)
        own = to_positions(own, {"query_id": ids["query_id"]})
        lost = round_trip(candidates, rules.round_trip).select("query_id")
        if len(lost):
            own = own.join(lost, on="query_id", how="anti", maintain_order="left")
            candidates = candidates.join(own, on="query_id", how="semi", maintain_order="left")
        rows = filter_false_negatives(candidates, shut, rules, places[shard.split])
        return _Judged(shard.split, ids, rows, *rank_eligible(rows, own, rules, ids), lost)

    def in_turn() -> Iterator[tuple[_Judged, int]]:
        """Tell each shard how many positives were kept before it: its share of the ratio begins there."""
        before = dict.fromkeys(SPLITS, 0)
        for part in ahead(judged, shards(queries)):
            yield part, before[part.split]
            before[part.split] += int(part.accounts.filter(~pl.col("dropped"))["positives"].sum())

    def drawn(turn: tuple[_Judged, int]) -> tuple[Any, Any, tuple[pl.DataFrame, ...]]:
        part, before = turn
        negatives, account = apply_quotas(part.chosen, part.accounts, rules, before)
        counts = verdicts(part.rows, negatives, part.split)
        told = to_ids(account, part.ids), counts, to_ids(part.lost, part.ids)
        return (
            encode_row_group("judged", part.rows, part.ids),
            encode_row_group("negatives", negatives, part.ids),
            told,
        )

    tellings = []
    with stage.table("judged.parquet") as add_judged, stage.table("negatives.parquet") as add_negatives:
        for rows, negatives, told in ahead(drawn, in_turn()):
            add_judged(rows)
            add_negatives(negatives)
            tellings.append(told)
    account, counts, missed = (pl.concat(parts) for parts in zip(*tellings, strict=True))
    lost = account.filter("dropped").join(queries, on="query_id", maintain_order="left")
    stage.write(f"{MARKERS}/accounts.parquet", account)
    stage.write(f"{MARKERS}/verdicts.parquet", counts)
    depth = f"finds none of its positives among the first {rules.round_trip} documents"
    reasons = [
        lost.select(
            "query_id",
            pl.format("{} of {}: {}", "found", "wanted", "text").alias("text"),
            reason=pl.lit("too few negatives"),
        ),
        missed.join(queries, on="query_id").select("query_id", "text", reason=pl.lit(depth)),
    ]
    rejected = pl.concat(reasons).sort("query_id").rename({"query_id": "source"})
    stage.write(
        f"{MARKERS}/select.rejected.parquet", rejected.with_columns(stage=pl.lit("mine")).select(REJECTED)
    )
