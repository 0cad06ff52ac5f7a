"""The statistics of a model card's section "Training Dataset": size, columns, value ranges, samples."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

__all__ = ["LAYOUT_ROWS", "Lengths", "count_values", "dataset_stats", "layout_stats"]

#: Layout -> the number of rows sentence-transformers reads, and the number it states. Cards published with
#: versions 3 to 5 use 1000 rows. Version 6 states 100, but reads batches of 8 and the last one whole.
LAYOUT_ROWS: Mapping[str, tuple[int, int]] = {"classic": (1000, 1000), "current": (104, 100)}
SAMPLES = 3
#: Integer columns with more distinct values than this have a range instead of a share of each value.
MAX_LISTED_VALUES = 1000

#: Measures texts: n strings in, n integers out.
Lengths = Callable[[pl.Series], pl.Series]


def dataset_stats(
    frame: pl.DataFrame | pl.LazyFrame, rows: int | None = 1000, tokens: Lengths | None = None
) -> dict[str, Any]:
    """Compute statistics of a data set's columns; each column is streamed once.

    Args:
        frame: The data set.
        rows: Number of rows, from the first, to compute the statistics from; None: all.
        tokens: Counts the tokens of texts; None: count characters.

    Returns:
        A JSON-ready mapping: size, columns, counted (number of rows read), statistics (column -> type,
        modality, details and the stored dtype) and samples (the first three rows, long texts truncated).
        Texts are measured in characters or tokens, lists in elements; integers get the share of each value,
        other numbers min, mean and max. As in sentence-transformers, the first row decides the type. Nulls
        count in shares and are left out of ranges.
    """
    frame = frame.lazy()
    first = frame.head(SAMPLES).collect()
    size = int(frame.select(pl.len()).collect().item())
    head = frame if rows is None else frame.head(rows)
    # sentence-transformers uses this column to select a loss per data set; it is not an input of the model.
    names = [name for name in first.columns if name != "dataset_name"]
    plans = [_summary(head.select(name), first.schema[name], tokens) for name in names]
    summaries = pl.collect_all(plans, engine="streaming")
    return {
        "size": size,
        "columns": names,
        "counted": size if rows is None else min(rows, size),
        "statistics": {
            name: _column(first[name], summary, "tokens" if tokens else "characters")
            for name, summary in zip(names, summaries, strict=True)
        },
        "samples": [[_sample(value) for value in row] for row in first.select(names).rows()],
    }


def layout_stats(
    frame: pl.DataFrame | pl.LazyFrame, layout: str = "classic", tokens: Lengths | None = None
) -> dict[str, Any]:
    """Compute statistics of a data set's columns from the rows that a model card layout reads.

    Args:
        frame: The data set.
        layout: A key of `LAYOUT_ROWS`.
        tokens: Counts the tokens of texts; None: count characters.

    Returns:
        The result of `dataset_stats`, with `counted` as the library states it.
    """
    rows, stated = LAYOUT_ROWS[layout]
    stats = dataset_stats(frame, rows, tokens)
    return {**stats, "counted": min(stats["counted"], stated)}


def count_values(values: pl.LazyFrame) -> pl.LazyFrame:
    """Count how often each value of a column occurs.

    Args:
        values: One column.

    Returns:
        value, rows; sorted by value, null first.
    """
    value = pl.all().alias("value")
    return values.select(value).group_by("value").agg(pl.len().alias("rows")).sort("value")


def _summary(column: pl.LazyFrame, dtype: pl.DataType, tokens: Lengths | None) -> pl.LazyFrame:
    """Count text lengths, list lengths or label values; compute min, mean and max of floats."""
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        text = pl.all().cast(pl.String)
        if tokens is None:
            return count_values(column.select(text.str.len_chars()))
        return count_values(column.select(text.map_batches(tokens, pl.Int64, is_elementwise=True)))
    if isinstance(dtype, pl.List | pl.Array):
        lists = pl.all().cast(pl.List(dtype.inner))
        return count_values(column.select(lists.list.len()))
    if dtype.is_float():
        number = pl.all().cast(pl.Float64)
        return column.select(min=number.min(), mean=number.mean(), max=number.max())
    if dtype == pl.Boolean or dtype.is_integer():
        return count_values(column)
    return column.head(0)


def _column(first: pl.Series, summary: pl.DataFrame, unit: str) -> dict[str, Any]:
    """Describe a column by its first values and its summary."""
    value = first[0] if len(first) else None
    if isinstance(value, pl.Series):
        value = value.to_list()
    details: dict[str, str] = {}
    match value:
        case None if len(first):
            type_name = "NoneType"
        case None:
            type_name = str(first.dtype).lower()
        case str():
            type_name, details = "string", _range(summary, f" {unit}")
        case bool() | int():
            type_name, details = type(value).__name__, _shares(summary)
        case float():
            type_name, row = "float", summary.row(0, named=True)
            details = {name: str(round(row[name], 2) + 0.0) for name in ("min", "mean", "max")}  # no -0.0
        case list():
            type_name, details = "list", _elements(summary)
        case _:
            module = type(value).__module__
            name = type(value).__name__
            type_name = name if module == "builtins" else f"{module}.{name}"
    return {
        "type": type_name,
        "modality": _modality(value),
        "details": details,
        "dtype": str(first.dtype).lower().replace("(", "[").replace(")", "]"),
    }


def _modality(value: Any) -> str:
    """Return the modality a text model sees in a value: text (also a pair of texts) or message (chat)."""
    match value:
        case str() | [str(), str()]:
            return "text"
        case {"role": _, "content": _} | [{"role": _, "content": _}, *_]:
            return "message"
    return ""


def _mean(counts: pl.DataFrame) -> float:
    return int((counts["value"].cast(pl.Int64) * counts["rows"]).sum()) / int(counts["rows"].sum())


def _range(counts: pl.DataFrame, unit: str = "") -> dict[str, str]:
    counts = counts.drop_nulls()
    low, high = counts["value"][0], counts["value"][-1]
    return {"min": f"{low}{unit}", "mean": f"{round(_mean(counts), 2)}{unit}", "max": f"{high}{unit}"}


def _elements(counts: pl.DataFrame) -> dict[str, str]:
    counts = counts.drop_nulls()
    if len(counts) == 1:
        return {"size": f"{counts['value'][0]} elements"}
    return {**_range(counts, " elements"), "mean": f"{_mean(counts):.2f} elements"}


def _shares(counts: pl.DataFrame) -> dict[str, str]:
    if len(counts) > MAX_LISTED_VALUES:
        return _range(counts)
    total, about = counts["rows"].sum(), "~" if len(counts) > 1 else ""
    return {str(value): f"{about}{rows / total:.2%}" for value, rows in counts.drop_nulls().rows()}


def _sample(value: Any) -> Any:
    """Return a value as JSON, or as text; truncate long texts where sentence-transformers does."""
    if isinstance(value, str):
        return value if len(value) <= 1000 else f"{value[:1000]}..."
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return str(value)
    return value
