"""The description of a data set, as tables for the terminal."""

from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from minerkit.reports.terminal.run_stats import render_run_stats
from minerkit.reports.terminal.tables import render_details, render_profile

__all__ = ["render_description"]


def render_description(data: str, found: dict[str, Any]) -> RenderableType:
    """Render the description of a data set as tables.

    Args:
        data: What was described.
        found: What `describe_dataset` returns.

    Returns:
        Something rich can print.
    """
    if not Path(data).is_dir():
        return render_profile(found, data)
    return Group(render_run_stats(found, data), Text(), render_details(found))
