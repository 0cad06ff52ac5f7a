"""Raw rows, sorted into pairs and rejected rows; what every reader gives."""

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from minerkit import schema
from minerkit.errors import SourceError
from minerkit.recipe import Source

__all__ = ["BATCH_ROWS", "BLANK", "Batch", "batched", "checked", "require"]

#: Rows a batch.
BATCH_ROWS = 50_000
#: A line that is no row, and counts as none.
BLANK = "blank line"
PAIRS = {"query": pl.String, "positive": pl.String, "source": pl.String}


@dataclass(frozen=True)
class Batch:
    """Raw rows, read: `pairs` (query, positive, source) and `rejected` (the artefact's columns)."""

    rows: int
    pairs: pl.DataFrame
    rejected: pl.DataFrame


def batched(records: Iterable[tuple[str, Any]], source: Source) -> Iterator[Batch]:
    """Sort records into pairs and rejected rows, batch by batch.

    Args:
        records: Places, and rows as dicts; or, where a row cannot be read, the reason.
        source: The recipe's source, which names the columns.

    Yields:
        Batches in the order of the records.
    """
    records = iter(records)
    while part := list(itertools.islice(records, BATCH_ROWS)):
        yield checked(part, source)


def checked(records: Iterable[tuple[str, dict[str, Any] | str]], source: Source) -> Batch:
    """Sort records into pairs and rejected rows.

    Args:
        records: Places, and rows as dicts; or, where a row cannot be read, the reason.
        source: The recipe's source, which names the columns.

    Returns:
        One batch; blank lines count as no row.
    """
    pairs: list[tuple[str | None, str | None, str]] = []
    rejected: list[tuple[str, str, str]] = []
    rows = 0
    for place, record in records:
        if record == BLANK:
            continue
        rows += 1
        if not isinstance(record, dict):
            rejected.append((record, place, ""))
            continue
        query, positive = record.get(source.query), record.get(source.positive)
        positives = positive if isinstance(positive, list) else [positive]
        texts = [_text(value) for value in (query, *positives)]
        if "" in texts:
            whole = json.dumps(record, default=str, ensure_ascii=True)
            rejected.append(("not a text, or not UTF-8", place, whole[:200]))
        else:
            pairs.extend((texts[0], text, place) for text in texts[1:] or [None])
    frame = pl.DataFrame(pairs, schema=PAIRS, orient="row")
    bad = pl.DataFrame(rejected, schema=["reason", "source", "text"], orient="row")
    bad = bad.with_columns(pl.lit("read").alias("stage"))
    return Batch(rows, frame, schema.fit("rejected", bad) if len(bad) else schema.empty("rejected"))


def _text(value: Any) -> str | None:
    """Give a cell as text: None where there is none, "" where it cannot be a text."""
    if value is None or value == "":
        return None
    if isinstance(value, float):  # 2 for 2.0, as polars writes it; not a number is a missing value
        return None if math.isnan(value) else np.format_float_positional(value, trim="-")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        return ""
    try:
        value.encode()
    except UnicodeEncodeError:
        return ""
    return value


def require(place: Path | str, columns: Sequence[str], source: Source) -> None:
    """Refuse a table without the columns a source names.

    Args:
        place: The file or data set.
        columns: The columns there are.
        source: The recipe's source, which names the columns.

    Raises:
        SourceError: A column is missing; the message lists the ones there are.
    """
    for key in ("query", "positive"):
        wanted = getattr(source, key)
        if wanted not in columns:
            raise SourceError(
                f"{place}: no column {wanted!r} (source.{key}); there are: {', '.join(map(str, columns))}"
            )
