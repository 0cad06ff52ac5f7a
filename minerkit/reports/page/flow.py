"""A run as a flow: bars from raw rows down to training rows, and what goes on from each to the next."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from minerkit.reports.page.charts import Segment, ribbon, stacked, widths
from minerkit.reports.page.figures import look_up, pointer

__all__ = ["Step", "flow"]

#: Shades of grey that tell reasons apart.
SHADES = 3
#: Name, place of the whole, parts.
Bar = tuple[str, str, list[Segment]]


@dataclass(frozen=True)
class Step:
    """A bar: its name, where in stats.json its whole stands, its parts, and how they are drawn."""

    name: str
    place: str
    segments: list[Segment]
    stack: Markup
    ribbon: Markup


def flow(stats: Mapping[str, Any], shape: str) -> list[Step]:
    """Follow a run from its raw rows to its training rows.

    Args:
        stats: The account of the run.
        shape: The format of the training rows.

    Returns:
        The bars, from the top.
    """
    found = stats["yield"]
    labeled = shape == "labeled-pair"
    # Of pairs, no candidate becomes a part.
    candidates = [] if shape == "pair" else [_candidates(found)]
    bars = [*_input(found), _queries(found), *candidates, _rows(stats, labeled)]
    # A whole widens into the whole below it; but negatives are only a part of labelled pairs.
    last = widths([found["negatives"], found["positives"]])[0] if labeled else 100.0
    targets = [100.0] * (len(bars) - 2) + [last]
    ribbons = [_onward(stats, bar[2], target) for bar, target in zip(bars[:-1], targets, strict=True)]
    return [
        Step(name, place, segments, stacked(stats, segments), below)
        for (name, place, segments), below in zip(bars, [*ribbons, Markup()], strict=True)
    ]


def _input(found: Mapping[str, Any]) -> list[Bar]:
    """Show raw rows; where a row gives several pairs, the pairs are a bar of their own."""
    unreadable, unusable = _lost(found, "unreadable"), _lost(found, "unusable")
    what = "pairs and documents" if found["loose_documents"] else "pairs"
    kept = Segment(f"{what} kept", "/yield/pairs", "kept")
    if found["pairs_read"] == found["readable_rows"]:
        return [("Raw rows", "/yield/raw_rows", [kept, *unusable, *unreadable])]
    readable = Segment("rows read", "/yield/readable_rows", "kept")
    return [
        ("Raw rows", "/yield/raw_rows", [readable, *unreadable]),
        (f"{what.capitalize()} read", "/yield/pairs_read", [kept, *unusable]),
    ]


def _queries(found: Mapping[str, Any]) -> Bar:
    parts = [
        Segment(f"{split} queries", pointer("yield", "kept_queries", split), f"kept {split}")
        for split in found["kept_queries"]
    ]
    if found["dropped_queries"]:
        parts.append(Segment("queries dropped", "/yield/dropped_queries", "lost"))
    return "Queries", "/yield/queries", parts


def _candidates(found: Mapping[str, Any]) -> Bar:
    parts = [Segment("mined as negatives", "/yield/mined", "negatives")]
    if found["backfilled"]:
        parts.append(Segment("backfilled as negatives", "/yield/backfilled", "negatives fill"))
    parts.append(Segment("eligible, but not needed", "/yield/unused", "unused"))
    return "Candidates", "/yield/candidates", [*parts, *_lost(found, "refused", "refused by ")]


def _rows(stats: Mapping[str, Any], labeled: bool) -> Bar:
    if labeled:
        parts = [Segment(kind, f"/yield/{kind}", kind) for kind in ("negatives", "positives")]
    else:
        parts = [
            Segment(f"{split} rows", pointer("splits", split, "rows"), f"kept {split}")
            for split in stats["splits"]
        ]
    return "Training rows", "/yield/rows", parts


def _lost(found: Mapping[str, Any], kind: str, verb: str = "") -> list[Segment]:
    return [
        Segment(f"{verb}{reason}", pointer("yield", kind, reason), f"lost r{place % SHADES}")
        for place, reason in enumerate(found[kind])
    ]


def _onward(stats: Mapping[str, Any], segments: list[Segment], target: float) -> Markup:
    """Draw what goes on from a bar: all that is not lost or unused."""
    sizes = widths([look_up(stats, segment.place) for segment in segments])
    on = [not segment.look.startswith(("lost", "unused")) for segment in segments]
    look = "to-negatives" if segments[0].look == "negatives" else "to-kept"
    return ribbon(sum(size for size, goes in zip(sizes, on, strict=True) if goes), target, look)
