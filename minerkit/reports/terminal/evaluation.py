"""The tables of `minerkit eval`: a row a system, a column a metric."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

__all__ = ["render_comparison"]

Row = Mapping[str, Any]
#: What the rows are called, by the kind of system.
LABELS = {
    "encoder": "retrieved order ({})",
    "lexical": "{}",
    "base": "base model ({})",
    "trained": "trained model ({})",
    "model": "{}",
}
#: Places within which accuracy is shown where the recipe names none.
PLACES = (1, 10)
#: Further evaluators, the title of their table, and the part of their metrics it shows.
FURTHER = (("classification", "Positives told from negatives", ""), ("nano_beir", "NanoBEIR", "ndcg@10"))


def render_comparison(found: Mapping[str, Any]) -> RenderableType:
    """Set a comparison as tables.

    Args:
        found: What `minerkit.evaluation.compare_systems` gives.

    Returns:
        Something rich can print.
    """
    dev, rows = found["dev"], found["rows"]
    first = rows[0]["metrics"]
    headlines = [f"map@{dev['retrieved']}", "mrr@10", "ndcg@10"]
    named = ("accuracy", "precision", "recall") if dev["places"] else ("accuracy",)
    places = [f"{name}@{k}" for name in named for k in dev["places"] or PLACES]

    def ranking(row: Row, metric: str) -> str:
        value = row["metrics"][metric]
        compared = metric in headlines and row is not rows[0]
        return f"{value:.4f} ({value - first[metric]:+.4f})" if compared else f"{value:.4f}"

    reach = first[f"recall@{dev['reranked']}"]
    notes = [
        f"{dev['queries']:,} dev queries, {dev['positives']:,} positives, {dev['documents']:,} documents"
        + ("; in brackets the difference to the retrieved order." if len(rows) > 1 else ".")
    ]
    if any(row.get("family") == "cross_encoder" for row in rows):
        notes.append(
            f"A reranker orders the first {dev['reranked']} retrieved; {reach:.1%} of a query's positives "
            "are there on average."
        )
    parts: list[RenderableType] = [_table("Ranking of the dev split", [*headlines, *places], rows, ranking)]
    parts += [Text(), *(Text(note) for note in notes)]
    for section, title, part in FURTHER:

        def value(row: Row, metric: str, section: str = section) -> str:
            return f"{row[section][metric]:.4f}" if metric in row[section] else ""

        scored = [row for row in rows if section in row]
        given = dict.fromkeys(metric for row in scored for metric in row[section])
        shown = [metric for metric in given if metric.endswith(part) and "_base_" not in metric]
        if shown:
            parts += [Text(), _table(title, shown, scored, value)]
    return Group(*parts)


def _table(title: str, columns: Sequence[str], rows: Sequence[Row], cell: Callable[[Row, str], str]) -> Table:
    labels = [LABELS[row["kind"]].format(row["name"]) for row in rows]
    cells = [[cell(row, column) for column in columns] for row in rows]
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    table.add_column("", no_wrap=True, min_width=max(map(len, labels)))
    for column, values in zip(columns, zip(*cells, strict=True), strict=True):
        table.add_column(column, justify="right", no_wrap=True, min_width=max(map(len, (column, *values))))
    for label, row_cells in zip(labels, cells, strict=True):
        table.add_row(label, *row_cells)
    return table
