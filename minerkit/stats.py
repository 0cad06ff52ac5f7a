"""The tables a model card shows of a data set: size, columns, statistics, samples."""

from typing import Any

import numpy as np
import polars as pl

__all__ = ["card", "dataset_stats"]

SAMPLES = 3
FEW_LABELS = 10


def dataset_stats(frame: pl.DataFrame, rows: int | None = 1000) -> dict[str, Any]:
    """Describe a data set's columns.

    Args:
        frame: The data set.
        rows: Compute the statistics from the first so many rows; None: from all.

    Returns:
        size, columns, counted (rows looked at), statistics (column -> type and details) and samples. Texts
        are measured in characters, lists in elements; integers get the share of each value in percent,
        other numbers min, mean and max.
    """
    head = frame if rows is None else frame.head(rows)
    return {
        "size": len(frame),
        "columns": frame.columns,
        "counted": len(head),
        "statistics": {name: _column(head[name]) for name in frame.columns},
        "samples": frame.head(SAMPLES).rows(),
    }


def _column(values: pl.Series) -> dict[str, Any]:
    present = values.drop_nulls()
    if values.dtype == pl.String:
        return {"type": "string", "details": _range(present.str.len_chars(), " characters")}
    if isinstance(values.dtype, pl.List):
        return {"type": "list", "details": _range(present.list.len(), " elements")}
    if values.dtype == pl.Boolean or (values.dtype.is_integer() and present.n_unique() <= FEW_LABELS):
        counts = present.rename("value").value_counts().sort("value")
        shares = {str(value): f"~{count / len(values):.2%}" for value, count in counts.rows()}
        return {"type": "bool" if values.dtype == pl.Boolean else "int", "details": shares}
    if values.dtype.is_numeric():
        kind = "int" if values.dtype.is_integer() else "float"
        return {"type": kind, "details": _range(present)}
    return {"type": str(values.dtype), "details": {}}


def _range(numbers: pl.Series, unit: str = "") -> dict[str, str]:
    if numbers.is_empty():
        return {}
    values = numbers.to_numpy()
    if numbers.dtype.is_float():
        return {
            name: f"{round(float(f(values)), 2)}"
            for name, f in (("min", np.min), ("mean", np.mean), ("max", np.max))
        }
    return {
        "min": f"{values.min()}{unit}",
        "mean": f"{round(float(values.mean()), 2)}{unit}",
        "max": f"{values.max()}{unit}",
    }


def card(stats: dict[str, Any]) -> str:
    """Write the statistics as the section "Training Dataset" of a sentence-transformers model card.

    Args:
        stats: What `dataset_stats` gives.

    Returns:
        Markdown.
    """
    names = [f"<code>{name}</code>" for name in stats["columns"]]
    listed = " and ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])}, and {names[-1]}"
    columns = stats["statistics"].values()
    lines = [
        f"* Size: {stats['size']:,} training samples",
        f"* Columns: {listed}",
        f"* Approximate statistics based on the first {stats['counted']} samples:",
        *_markdown(
            ["", *stats["columns"]],
            [
                ["type", *(column["type"] for column in columns)],
                ["details", *(_items(column["details"]) for column in columns)],
            ],
        ),
        "* Samples:",
        *_markdown(
            stats["columns"], [[f"<code>{_cell(value)}</code>" for value in row] for row in stats["samples"]]
        ),
    ]
    return "\n".join(lines)


def _items(details: dict[str, str]) -> str:
    if not details:
        return ""
    return "<ul>" + "".join(f"<li>{key}: {value}</li>" for key, value in details.items()) + "</ul>"


def _cell(value: Any) -> str:
    text = str(value)
    if len(text) > 1000:
        text = text[:1000] + "..."
    return text.replace("\n", "<br>").replace("|", "\\|")


def _markdown(header: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells: list[str]) -> str:
        return (
            "  | " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
        )

    rule = "  |" + "|".join(":" + "-" * (width + 1) for width in widths) + "|"
    return [line(header), rule, *(line(row) for row in rows)]
