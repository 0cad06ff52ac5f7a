"""The pipeline: its stages in order, from a raw corpus to a trained model."""

from minerkit.pipeline.stages import finish, format, ingest, search, select, train

__all__ = ["MINING", "STAGES"]

MINING = (
    ingest.STAGE,  # raw corpus -> queries, corpus, qrels, pairs
    search.STAGE,  # -> candidates
    select.STAGE,  # -> judged, negatives
    format.STAGE,  # -> train, dev
    finish.STAGE,  # -> rejected, stats, the resolved recipe
)
STAGES = (
    *MINING,
    train.STAGE,  # -> model
)
