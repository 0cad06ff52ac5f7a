"""Statistics as tables for a terminal of 80 columns or a pipe; numbers are never cut."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

__all__ = ["quantile_table", "render_details", "render_profile"]

ENDS = {"0%": "min", "100%": "max"}


def render_profile(found: Mapping[str, Any], name: str) -> RenderableType:
    """Set a data set's profile as tables.

    Args:
        found: What `profile` gives.
        name: What the data set is called.

    Returns:
        Something rich can print.
    """
    columns = found["columns"]
    overview = _table("Columns", "type", "nulls", "distinct")
    for column, facts in columns.items():
        distinct = f"{facts['distinct']:,}" if "distinct" in facts else ""
        overview.add_row(Text(column), facts["type"], f"{facts['nulls']:,}", distinct)
    parts: list[RenderableType] = [Text(f"{name}: {found['rows']:,} rows"), overview]
    for key, title in (
        ("characters", "Length in characters"),
        ("tokens", "Length in tokens"),
        ("elements", "Elements a list"),
        ("values", "Values"),
    ):
        parts += quantile_table(title, {name: facts.get(key) for name, facts in columns.items()})
    parts += _shares("Scripts", {name: facts.get("scripts") for name, facts in columns.items()})
    parts += _shares("Labels", {name: facts.get("shares") for name, facts in columns.items()})
    if "per_query" in found:
        queries = found["per_query"]
        rows = {name: queries[name] for name in ("positives", "negatives")}
        parts += quantile_table(f"Documents a query ({queries['queries']:,} queries)", rows)
        if queries["both"]:
            parts.append(Text(f"{queries['both']:,} documents are positive and negative for one query"))
    return _spaced(parts)


def render_details(stats: Mapping[str, Any]) -> RenderableType:
    """Set what the account of a run says in depth as tables.

    Args:
        stats: A run's stats.json.

    Returns:
        Something rich can print.
    """
    texts, splits = stats["texts"], stats["rules"]
    parts: list[RenderableType] = []
    for key, title in (("characters", "Length in characters"), ("tokens", "Length in tokens")):
        parts += quantile_table(title, {name: facts.get(key) for name, facts in texts.items()})
    parts += _shares("Scripts", {name: facts["scripts"] for name, facts in texts.items()})
    parts += quantile_table(
        "Documents a query",
        {
            f"{split}, {name}": found
            for split, both in stats["per_query"].items()
            for name, found in both.items()
        },
    )
    rules = _table("Candidates by rule", *splits)
    rules.add_row("stored, positives left out", *(f"{found['candidates']:,}" for found in splits.values()))
    for reason in dict.fromkeys(reason for found in splits.values() for reason in found["refused"]):
        rules.add_row(
            Text(f"refused: {reason}"),
            *(_of(found["refused"].get(reason, 0), found["candidates"]) for found in splits.values()),
        )
    rules.add_row("eligible", *(_of(found["eligible"], found["candidates"]) for found in splits.values()))
    filled = ", those that fill gaps included" if _filled(stats) else ""
    rules.add_row(f"chosen{filled}", *(f"{found['chosen']:,}" for found in splits.values()))
    parts.append(rules)
    if len(splits) > 1:
        shared = stats["overlap"]
        parts.append(
            Text(f"Texts in both splits: {shared['queries']:,} queries, {shared['documents']:,} documents")
        )
    return _spaced(parts)


def quantile_table(title: str, rows: Mapping[str, Mapping[str, float] | None]) -> list[RenderableType]:
    """Set quantiles as a table, a row each.

    Args:
        title: Its title.
        rows: Row name to quantiles; rows without any are left out.

    Returns:
        The table; nothing where no row has quantiles.
    """
    filled = {name: row for name, row in rows.items() if row}
    if not filled:
        return []
    names = list(next(iter(filled.values())))
    table = _table(title, *(ENDS.get(name, name) for name in names))
    for name, row in filled.items():
        table.add_row(Text(name), *(_number(row[key]) for key in names))
    return [table]


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}"


def _filled(stats: Mapping[str, Any]) -> bool:
    return any(split["backfilled"] for split in stats["splits"].values())


def _of(part: int, whole: int) -> str:
    return f"{part:,} ({part / whole:.1%})" if whole else f"{part:,}"


def _shares(title: str, rows: Mapping[str, Mapping[str, float] | None]) -> list[RenderableType]:
    filled = {name: row for name, row in rows.items() if row}
    if not filled:
        return []
    table = Table(title=title, title_justify="left", box=None, show_header=False)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for name, row in filled.items():
        table.add_row(Text(name), Text(", ".join(f"{key} {share:.2%}" for key, share in row.items())))
    return [table]


def _table(title: str, *columns: str) -> Table:
    """Begin a table whose first column gives way, so that the numbers stay whole."""
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    table.add_column("", overflow="fold")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _spaced(parts: Iterable[RenderableType]) -> RenderableType:
    return Group(*(piece for part in parts for piece in (part, Text())))
