"""The section "Training Dataset" of a model card, in the layouts sentence-transformers has had."""

import json
from collections.abc import Mapping, Sequence
from textwrap import indent
from typing import Any

from minerkit.training import Loss

__all__ = ["cell", "markdown_table", "training_dataset"]


def training_dataset(
    stats: Mapping[str, Any], layout: str = "classic", loss: Loss | None = None, kind: str = "training"
) -> str:
    """Write the section "Training Dataset" of a model card.

    Args:
        stats: What `dataset_stats` gives.
        layout: `classic`, as in the cards published with sentence-transformers 3 to 5, or `current`, as
            version 6 writes it, with a row for the modality.
        loss: The loss the model is trained with; None: not known, nothing is said of it.
        kind: `training` or `evaluation`.

    Returns:
        Markdown, cell for cell as sentence-transformers writes it.
    """
    names = [f"<code>{name}</code>" for name in stats["columns"]]
    listed = " and ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])}, and {names[-1]}"
    lines = [f"* Size: {stats['size']:,} {kind} samples", f"* Columns: {listed}"]
    if stats["size"]:
        lines += [
            f"* Approximate statistics based on the first {stats['counted']} samples:",
            _indented(_statistics(stats, layout)),
            "* Samples:",
            _indented(_samples(stats)),
        ]
    if loss is not None:
        lines += _loss(loss)
    return "\n".join(lines)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table with columns of even width.

    Args:
        header: The column names.
        rows: Rows of cells, as Markdown.

    Returns:
        Markdown.
    """
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        return f"| {' | '.join(padded)} |"

    rule = "|".join(":" + "-" * (width + 1) for width in widths)
    return "\n".join([line(header), f"|{rule}|", *(line(row) for row in rows)])


def cell(text: str) -> str:
    """Keep a text from breaking out of a table cell, as sentence-transformers does.

    Args:
        text: Any text.

    Returns:
        The text with `<br>` for line breaks and pipes escaped; HTML in it stays.
    """
    return text.replace("\n", "<br>").replace("|", "\\|")


def _statistics(stats: Mapping[str, Any], layout: str) -> str:
    columns = list(stats["statistics"].values())
    types = [column["type"] for column in columns]
    if layout == "classic":  # which knew integers only
        types = ["int" if kind == "bool" else kind for kind in types]
    rows = [["type", *types]]
    if layout == "current":
        rows.append(["modality", *(column["modality"] for column in columns)])
    rows.append(["details", *(_items(column["details"], layout) for column in columns)])
    return markdown_table(["", *stats["columns"]], rows)


def _items(details: Mapping[str, str], layout: str) -> str:
    if not details and layout == "current":  # the classic layout has a bullet without text here
        return ""
    return f"<ul><li>{'</li><li>'.join(f'{key}: {value}' for key, value in details.items())}</li></ul>"


def _samples(stats: Mapping[str, Any]) -> str:
    return markdown_table(
        stats["columns"],
        [[f"<code>{cell(_shown(value))}</code>" for value in row] for row in stats["samples"]],
    )


def _shown(value: Any) -> str:
    return f"{str(value[:5])[:-1]}, ...]" if isinstance(value, list) and len(value) > 5 else str(value)


def _indented(table: str) -> str:
    return indent(table, "  ")


def _loss(loss: Loss) -> list[str]:
    place = f"https://sbert.net/docs/package_reference/{loss.family}/losses.html#{loss.name.lower()}"
    line = f"* Loss: [<code>{loss.name}</code>]({place})"
    if loss.parameters is None:
        return [line]
    code = f"```json\n{json.dumps(loss.parameters, indent=4, default=str)}\n```"
    return [f"{line} with these parameters:", _indented(code)]
