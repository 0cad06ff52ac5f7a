"""Raw rows, sorted into entries and rejected rows; what every shape of source gives.

An entry says one of two things: this document is judged for this query (with a grade, 0 for irrelevant), or
this document is there (query and grade are null).
"""

import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from minerkit.errors import SourceError
from minerkit.storage import fit_artefact

__all__ = [
    "BATCH_ROWS", "BLANK", "ENTRIES", "Batch", "Entry", "Record", "batched", "cell", "entries", "rejected",
    "require", "sorted_rows",
]  # fmt: skip

#: Rows a batch.
BATCH_ROWS = 50_000
#: A line that is no row, and counts as none.
BLANK = "blank line"
#: Characters of a rejected row that are kept to look at.
SHOWN = 200
ENTRIES = {
    "query": pl.String,
    "document": pl.String,
    "relevance": pl.Int32,
    "query_group": pl.String,
    "group": pl.String,
    "source": pl.String,
}
#: A place, and the row there; or, where it cannot be read, the reason.
Record = tuple[str, dict[str, Any] | str]


class Entry(NamedTuple):
    """A document, judged for a query or just there; the groups of the two; and the place it comes from."""

    query: str | None
    document: str | None
    relevance: int | None
    query_group: str | None
    group: str | None
    source: str


@dataclass(frozen=True)
class Batch:
    """Raw rows, read.

    `entries` has the columns of ENTRIES, `rejected` the artefact's; the first `bad` of the rejected rows
    cannot be read, the others are of no use; `notes` are what a user should know.
    """

    rows: int
    entries: pl.DataFrame
    rejected: pl.DataFrame
    bad: int = 0
    notes: Sequence[str] = field(default_factory=tuple)


def entries(found: Sequence[Entry]) -> pl.DataFrame:
    """Put entries in a frame.

    Args:
        found: Entries.

    Returns:
        A frame with the columns of ENTRIES.
    """
    return pl.DataFrame(found, schema=ENTRIES, orient="row")


def rejected(found: Sequence[tuple[str, str, str]]) -> pl.DataFrame:
    """Put rejected rows in a frame.

    Args:
        found: Reason, place and text of each.

    Returns:
        A frame with the columns of the rejected artefact.
    """
    frame = pl.DataFrame(found, schema=dict.fromkeys(("reason", "source", "text"), pl.String), orient="row")
    return fit_artefact("rejected", frame.with_columns(pl.lit("read").alias("stage")))


def batched(
    records: Iterable[Record], sort: Callable[[str, dict[str, Any]], list[Entry] | str]
) -> Iterator[Batch]:
    """Sort records into entries and rejected rows, batch by batch.

    Args:
        records: Places and rows.
        sort: Gives the entries of a row at a place; or the reason to reject it.

    Yields:
        Batches in the order of the records.
    """
    records = iter(records)
    while part := list(itertools.islice(records, BATCH_ROWS)):
        yield sorted_rows(part, sort)


def sorted_rows(records: Iterable[Record], sort: Callable[[str, dict[str, Any]], list[Entry] | str]) -> Batch:
    """Sort records into entries and rejected rows.

    Args:
        records: Places and rows.
        sort: Gives the entries of a row at a place; or the reason to reject it.

    Returns:
        One batch; blank lines count as no row.
    """
    kept: list[Entry] = []
    bad: list[tuple[str, str, str]] = []
    rows = 0
    for place, record in records:
        if record == BLANK:
            continue
        rows += 1
        if not isinstance(record, dict):
            bad.append((record, place, ""))
            continue
        found = sort(place, record)
        if isinstance(found, str):
            bad.append((found, place, json.dumps(record, default=str, ensure_ascii=True)[:SHOWN]))
        else:
            kept += found
    return Batch(rows, entries(kept), rejected(bad), len(bad))


def cell(value: Any) -> str | None:
    """Return a cell as text.

    Args:
        value: What a reader found in a row.

    Returns:
        None where there is nothing; "" where it cannot be a text, or is not UTF-8.
    """
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


def require(place: Path | str, columns: Sequence[str], wanted: Mapping[str, str | None]) -> None:
    """Refuse a table without the columns a source names.

    Args:
        place: The file or data set.
        columns: The columns there are.
        wanted: Key of the source section to the column it names; None: it names none.

    Raises:
        SourceError: A column is missing; the message lists the ones there are.
    """
    for key, column in wanted.items():
        if column is not None and column not in columns:
            raise SourceError(
                f"{place}: no column {column!r} (source.{key}); there are: {', '.join(map(str, columns))}"
            )
