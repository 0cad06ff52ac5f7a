"""What a model card says of a training data set: size, columns, statistics, samples."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

__all__ = ["LAYOUT_ROWS", "Lengths", "counted", "dataset_stats", "layout_stats"]

#: Layout -> the rows sentence-transformers looks at, and the rows it says it has looked at. The cards
#: published with versions 3 to 5 stand on 1000. Version 6 states 100; it reads pieces of 8, the last whole.
LAYOUT_ROWS: Mapping[str, tuple[int, int]] = {"classic": (1000, 1000), "current": (104, 100)}
SAMPLES = 3
#: Integers of more values than a published card can list are shown by their range.
MOST_VALUES = 1000

#: Measures texts: n strings in, n integers out.
Lengths = Callable[[pl.Series], pl.Series]


def dataset_stats(
    frame: pl.DataFrame | pl.LazyFrame, rows: int | None = 1000, tokens: Lengths | None = None
) -> dict[str, Any]:
    """Describe a data set's columns, reading each of them once and in pieces.

    Args:
        frame: The data set.
        rows: Compute the statistics from the first so many rows; None: from all.
        tokens: Measures texts in tokens; None: characters.

    Returns:
        A JSON-ready mapping: size, columns, counted (rows looked at), statistics (column -> type, modality,
        details and the stored dtype) and samples (the first three rows, long texts cut). Texts are measured
        in characters or tokens, lists in elements; integers get the share of each value, other numbers min,
        mean and max. As in sentence-transformers, the first row decides on the type. Nulls count in shares,
        and are left out of ranges.
    """
    frame = frame.lazy()
    first = frame.head(SAMPLES).collect()
    size = int(frame.select(pl.len()).collect().item())
    head = frame if rows is None else frame.head(rows)
    # A column of this name tells several data sets apart in training; it is no input of the model.
    names = [name for name in first.columns if name != "dataset_name"]
    queries = [_measured(head.select(name), first.schema[name], tokens) for name in names]
    found = pl.collect_all(queries, engine="streaming")
    return {
        "size": size,
        "columns": names,
        "counted": size if rows is None else min(rows, size),
        "statistics": {
            name: _column(first[name], part, "tokens" if tokens else "characters")
            for name, part in zip(names, found, strict=True)
        },
        "samples": [[_sample(value) for value in row] for row in first.select(names).rows()],
    }


def layout_stats(
    frame: pl.DataFrame | pl.LazyFrame, layout: str = "classic", tokens: Lengths | None = None
) -> dict[str, Any]:
    """Describe a data set's columns from the rows that a layout of model cards looks at.

    Args:
        frame: The data set.
        layout: A key of `LAYOUT_ROWS`.
        tokens: Measures texts in tokens; None: characters.

    Returns:
        What `dataset_stats` gives, with `counted` as the library states it.
    """
    rows, stated = LAYOUT_ROWS[layout]
    found = dataset_stats(frame, rows, tokens)
    return {**found, "counted": min(found["counted"], stated)}


def counted(values: pl.LazyFrame) -> pl.LazyFrame:
    """Count how often each value of a column occurs.

    Args:
        values: One column.

    Returns:
        value, rows; sorted by value, null first.
    """
    value = pl.all().alias("value")
    return values.select(value).group_by("value").agg(pl.len().alias("rows")).sort("value")


def _measured(column: pl.LazyFrame, dtype: pl.DataType, tokens: Lengths | None) -> pl.LazyFrame:
    """Count the lengths of texts and lists and the values of labels; give the range of other numbers."""
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        text = pl.all().cast(pl.String)
        if tokens is None:
            return counted(column.select(text.str.len_chars()))
        return counted(column.select(text.map_batches(tokens, pl.Int64, is_elementwise=True)))
    if isinstance(dtype, pl.List | pl.Array):
        lists = pl.all().cast(pl.List(dtype.inner))
        return counted(column.select(lists.list.len()))
    if dtype.is_float():
        number = pl.all().cast(pl.Float64)
        return column.select(min=number.min(), mean=number.mean(), max=number.max())
    if dtype == pl.Boolean or dtype.is_integer():
        return counted(column)
    return column.head(0)


def _column(first: pl.Series, found: pl.DataFrame, unit: str) -> dict[str, Any]:
    value = first[0] if len(first) else None
    if isinstance(value, pl.Series):
        value = value.to_list()
    details: dict[str, str] = {}
    match value:
        case None if len(first):
            kind = "NoneType"
        case None:
            kind = str(first.dtype).lower()
        case str():
            kind, details = "string", _range(found, f" {unit}")
        case bool() | int():
            kind, details = type(value).__name__, _shares(found)
        case float():
            kind, row = "float", found.row(0, named=True)
            details = {name: str(round(row[name], 2) + 0.0) for name in ("min", "mean", "max")}  # no -0.0
        case list():
            kind, details = "list", _elements(found)
        case _:
            module = type(value).__module__
            name = type(value).__name__
            kind = name if module == "builtins" else f"{module}.{name}"
    return {
        "type": kind,
        "modality": _modality(value),
        "details": details,
        "dtype": str(first.dtype).lower().replace("(", "[").replace(")", "]"),
    }


def _modality(value: Any) -> str:
    """Describe what a text model takes a value for: a text, also a pair of texts, or chat messages."""
    match value:
        case str() | [str(), str()]:
            return "text"
        case {"role": _, "content": _} | [{"role": _, "content": _}, *_]:
            return "message"
    return ""


def _mean(present: pl.DataFrame) -> float:
    return int((present["value"].cast(pl.Int64) * present["rows"]).sum()) / int(present["rows"].sum())


def _range(found: pl.DataFrame, unit: str = "") -> dict[str, str]:
    present = found.drop_nulls()
    low, high = present["value"][0], present["value"][-1]
    return {"min": f"{low}{unit}", "mean": f"{round(_mean(present), 2)}{unit}", "max": f"{high}{unit}"}


def _elements(found: pl.DataFrame) -> dict[str, str]:
    present = found.drop_nulls()
    if len(present) == 1:
        return {"size": f"{present['value'][0]} elements"}
    return {**_range(found, " elements"), "mean": f"{_mean(present):.2f} elements"}


def _shares(found: pl.DataFrame) -> dict[str, str]:
    if len(found) > MOST_VALUES:
        return _range(found)
    total, about = found["rows"].sum(), "~" if len(found) > 1 else ""
    return {str(value): f"{about}{rows / total:.2%}" for value, rows in found.drop_nulls().rows()}


def _sample(value: Any) -> Any:
    """Take a value as JSON has it, or as text; long texts are cut where sentence-transformers cuts them."""
    if isinstance(value, str):
        return value if len(value) <= 1000 else f"{value[:1000]}..."
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return str(value)
    return value
