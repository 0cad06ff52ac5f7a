"""The account of a training, for the terminal."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from minerkit.reports.stats.training_summary import before_after, describe_model, loading_lines, metric_name

__all__ = ["render_training"]


def render_training(training: Mapping[str, Any], folder: str) -> RenderableType:
    """Set the account of a training as a table, with the lines that load the model.

    Args:
        training: A run's training.json.
        folder: The run folder.

    Returns:
        Something rich can print.
    """
    table = Table(title="Training", title_justify="left", box=None, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    done, planned = training["steps"], training["planned_steps"]
    stopped = f" of {planned:,}, stopped early" if done < planned else ""
    lines = {
        "model": describe_model(training),
        "base": training["model"]["base"],
        "loss": f"{training['loss']['name']} ({training['loss']['class']})",
        "rows": f"{training['rows']:,} ({', '.join(training['columns'])})",
        "steps": f"{done:,}{stopped}, {training['epochs']:.3g} epochs",
        "time": f"{training['seconds']:,.0f} s on {training['device']}",
    }
    if training["resumed_from"]:
        lines["taken up at step"] = f"{training['resumed_from']:,}"
    measured = before_after(training)
    if measured is not None:
        before, after = measured
        lines[metric_name(training)] = f"{before:.4f} before, {after:.4f} after ({after - before:+.4f})"
    if training["best_step"]:
        lines["best at step"] = f"{training['best_step']:,}"
    for name, value in lines.items():
        table.add_row(name, Text(value))
    parts = [Text(f"Load {folder}/model:"), *(Text(f"  {line}") for line in loading_lines(training, folder))]
    return Group(table, Text(), *parts)
