"""Numbers as the page shows them, each with the place in stats.json it was read from."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

__all__ = ["look_up", "number", "pointer", "shown"]


def pointer(*keys: str | int) -> str:
    """Name a place in a JSON document.

    Args:
        keys: Keys and indices from the root.

    Returns:
        A JSON Pointer (RFC 6901).
    """
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)


def look_up(stats: Any, place: str) -> Any:
    """Read a value.

    Args:
        stats: A JSON document.
        place: A JSON Pointer into it.

    Returns:
        The value there.
    """
    for part in place.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        stats = stats[int(key)] if isinstance(stats, list) else stats[key]
    return stats


def shown(value: Any, style: str = "count") -> str:
    """Write a number for people.

    Args:
        value: A number, a text, or None.
        style: count (1,234), share (12.3%), score (0.123), median (a count, halves kept) or text.

    Returns:
        What the page shows.
    """
    if value is None:
        return "none"
    formats = {"count": ",d", "share": ".1%", "score": ".3f", "median": ",.4g", "text": ""}
    return format(value, formats[style]).replace("-", "\N{MINUS SIGN}" if style != "text" else "-")


def number(stats: Mapping[str, Any], place: str, style: str = "count", tag: str = "span") -> Markup:
    """Set a number of stats.json.

    Args:
        stats: The account of the run.
        place: A JSON Pointer into it.
        style: How it is written; see `shown`.
        tag: The element that holds it: span, or tspan within a chart.

    Returns:
        An element that names the place, so that a test can hold the two equal.
    """
    element = Markup('<{tag} class="n" data-stat="{place}" data-style="{style}">{text}</{tag}>')
    return element.format(tag=tag, place=place, style=style, text=shown(look_up(stats, place), style))
