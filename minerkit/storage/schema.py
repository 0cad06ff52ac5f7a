"""The columns of every artefact, written once and checked wherever a frame is written or read."""

from collections.abc import Collection, Mapping

import polars as pl

from minerkit.errors import RunError

__all__ = ["ARTEFACT_COLUMNS", "SPLITS", "empty_artefact", "fit_artefact", "schema_violations"]

SPLITS = ("train", "dev")

STR, I32, F32 = pl.String, pl.Int32, pl.Float32

#: Artefact name -> column -> (dtype, may it be null?).
ARTEFACT_COLUMNS: Mapping[str, Mapping[str, tuple[type[pl.DataType], bool]]] = {
    "queries": {
        "query_id": (STR, False),
        "text": (STR, False),
        "split": (STR, False),
        "group": (STR, True),
    },
    "corpus": {"doc_id": (STR, False), "text": (STR, False), "group": (STR, True)},
    "qrels": {"query_id": (STR, False), "doc_id": (STR, False), "relevance": (I32, False)},
    "pairs": {"query": (STR, False), "positive": (STR, False)},
    "rejected": {"stage": (STR, False), "reason": (STR, False), "source": (STR, False), "text": (STR, True)},
    "candidates": {
        "query_id": (STR, False),
        "doc_id": (STR, False),
        "relevance": (I32, False),
        "source": (STR, False),
        "rank": (I32, True),
        "score": (F32, False),
        "rerank_score": (F32, True),
    },
    "judged": {
        "query_id": (STR, False),
        "doc_id": (STR, False),
        "source": (STR, False),
        "rank": (I32, True),
        "score": (F32, False),
        "rerank_score": (F32, True),
        "pos_score": (F32, False),
        "reason": (STR, True),
    },
    "negatives": {
        "query_id": (STR, False),
        "doc_id": (STR, False),
        "source": (STR, False),
        "rank": (I32, True),
        "score": (F32, False),
        "rerank_score": (F32, True),
        "fill": (STR, False),
    },
}


def empty_artefact(name: str) -> pl.DataFrame:
    """Make an artefact frame with no rows.

    Args:
        name: An artefact of `ARTEFACT_COLUMNS`.

    Returns:
        A frame with the artefact's columns and types.
    """
    return pl.DataFrame(schema={column: dtype for column, (dtype, _) in ARTEFACT_COLUMNS[name].items()})


def fit_artefact(name: str, frame: pl.DataFrame, positions: Collection[str] = ()) -> pl.DataFrame:
    """Bring a frame into an artefact's shape: its columns in order and cast; absent nullable ones added.

    Args:
        name: An artefact of `ARTEFACT_COLUMNS`.
        frame: A frame that has at least the artefact's required columns.
        positions: Columns that hold positions, int32, instead of ids.

    Returns:
        The frame with exactly the artefact's columns and types.

    Raises:
        RunError: A required column is missing or holds nulls.
    """
    columns = dict(ARTEFACT_COLUMNS[name])
    columns |= {column: (I32, False) for column in positions}
    frame = frame.with_columns(
        pl.lit(None, dtype=dtype).alias(column)
        for column, (dtype, nullable) in columns.items()
        if nullable and column not in frame.columns
    )
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise RunError(f"{name}: column {missing[0]!r} is missing; there are {', '.join(frame.columns)}")
    shaped = frame.select(pl.col(column).cast(dtype) for column, (dtype, _) in columns.items())
    faults = _violations(columns, shaped)
    if faults:
        raise RunError(f"{name}: {faults[0]}")
    return shaped


def schema_violations(name: str, frame: pl.DataFrame) -> list[str]:
    """Describe how a frame departs from an artefact's contract.

    Args:
        name: An artefact of `ARTEFACT_COLUMNS`.
        frame: The frame to look at.

    Returns:
        One line per fault; empty when the frame is as the contract has it.
    """
    return _violations(ARTEFACT_COLUMNS[name], frame)


def _violations(columns: Mapping[str, tuple[type[pl.DataType], bool]], frame: pl.DataFrame) -> list[str]:
    if frame.columns != list(columns):
        return [f"columns are {', '.join(frame.columns)}; expected {', '.join(columns)}"]
    faults = []
    for column, (dtype, nullable) in columns.items():
        if frame.schema[column] != dtype:
            faults.append(f"column {column!r} is {frame.schema[column]}; expected {dtype}")
        elif not nullable and frame[column].null_count():
            faults.append(f"column {column!r} has {frame[column].null_count()} null rows")
    return faults
