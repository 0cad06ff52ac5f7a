"""Charts as inline SVG: coordinates across are in percent, so that text keeps its size on any screen."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from minerkit.reports.page.figures import look_up, number, pointer

__all__ = ["Histogram", "Segment", "bar", "histogram", "ribbon", "stacked", "widths"]

#: Height of the plot, of a line of text above it and of the axis below it, in pixels.
PLOT, LINE, AXIS = 200, 20, 26
TICKS = 6
#: The least width of a part that is there at all, so that it can be seen, in percent.
HAIR = 0.4


@dataclass(frozen=True)
class Histogram:
    """What a histogram shows: series of counts at a place in stats.json, and how they are named."""

    name: str
    title: str
    place: tuple[str, ...]
    series: tuple[str, ...]
    unit: str
    beyond: bool = False


@dataclass(frozen=True)
class Segment:
    """A part of a bar: its name, its place in stats.json and its look."""

    name: str
    place: str
    look: str


def tag(name: str, *children: object, **attributes: object) -> Markup:
    """Write an element; whatever is not markup is escaped, and class_ stands for class.

    Args:
        name: The element.
        children: What is in it.
        attributes: Its attributes; _ stands for -.

    Returns:
        The element.
    """
    written = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _short(value))
        for key, value in attributes.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, written, Markup("").join(map(_child, children)))


def histogram(stats: Mapping[str, Any], chart: Histogram) -> Markup:
    """Draw one or two series of counts over each other, each as shares of its own total.

    Args:
        stats: The account of the run.
        chart: What to draw.

    Returns:
        An SVG with title, description, an axis, and a label and a line at the median of each series.
    """
    found = look_up(stats, pointer(*chart.place))
    beyond = found.get("beyond", {})
    counts = {name: [*found[name], *([beyond[name]] if chart.beyond else [])] for name in chart.series}
    shares = {name: [count / max(1, sum(part)) for count in part] for name, part in counts.items()}
    bars = max(map(len, shares.values()))
    low, high = found["from"], found["from"] + found["step"] * bars
    most = max((share for part in shares.values() for share in part), default=0) or 1.0
    top = LINE * len(shares) + 8

    def across(value: float) -> float:
        return 100 * (value - low) / (high - low) if high > low else 0.0

    areas = [
        tag("path", d=_steps(part, most), class_=f"area {name}", vector_effect="non-scaling-stroke")
        for name, part in shares.items()
    ]
    plot = tag(
        "svg", *areas,
        x=0, y=top, width="100%", height=PLOT, viewBox=f"0 0 {max(1, bars)} 100", preserveAspectRatio="none",
    )  # fmt: skip
    bottom = top + PLOT
    names = " and ".join(chart.series)
    return tag(
        "svg",
        tag("title", chart.title, id=f"chart-{chart.name}-title"),
        tag("desc", f"Histogram of {chart.title.lower()}: {names}. The numbers are in the table below it.",
            id=f"chart-{chart.name}-desc"),
        plot,
        *_grid(most, top),
        *_labels(stats, chart, across, top),
        *_axis(low, high, bottom, across, chart),
        class_="chart", role="img", width="100%", height=bottom + AXIS,
        aria_labelledby=f"chart-{chart.name}-title chart-{chart.name}-desc",
    )  # fmt: skip


def stacked(stats: Mapping[str, Any], segments: Sequence[Segment]) -> Markup:
    """Draw parts of a whole as one bar.

    Args:
        stats: The account of the run.
        segments: The parts; they fill the bar.

    Returns:
        An SVG that is hidden from screen readers: the list below it says the same.
    """
    sizes = [look_up(stats, segment.place) for segment in segments]
    start, parts = 0.0, []
    for segment, width in zip(segments, widths(sizes), strict=True):
        parts.append(
            tag("rect", x=f"{start:.3f}%", width=f"{width:.3f}%", height="100%", class_=segment.look)
        )
        start += width
    return tag("svg", *parts, class_="stack", width="100%", height=28, aria_hidden="true")


def widths(sizes: Sequence[int]) -> list[float]:
    """Share out a bar.

    Args:
        sizes: The parts of a whole.

    Returns:
        Percent of each; what is there at all gets at least HAIR.
    """
    wide = [max(HAIR, 100 * size / sum(sizes)) if size else 0.0 for size in sizes]
    return [100 * width / sum(wide) if width else 0.0 for width in wide]


def ribbon(source: float, target: float, look: str) -> Markup:
    """Draw how the first part of a bar becomes the first part of the next one.

    Args:
        source: Percent of the upper bar that go on.
        target: Percent of the lower bar they become.
        look: A class.

    Returns:
        An SVG that is hidden from screen readers.
    """
    path = f"M0,0H{source:.2f}C{source:.2f},60 {target:.2f},40 {target:.2f},100H0Z"
    return tag(
        "svg", tag("path", d=path, class_=look),
        class_="ribbon", viewBox="0 0 100 100", preserveAspectRatio="none", aria_hidden="true",
    )  # fmt: skip


def bar(share: float, look: str) -> Markup:
    """Draw one bar of a table.

    Args:
        share: Its length, 0..1 of the cell.
        look: Its class.

    Returns:
        An SVG that is hidden from screen readers: the cell beside it holds the number.
    """
    rect = tag("rect", width=f"{max(HAIR, 100 * share) if share else 0:.2f}%", height="100%", class_=look)
    return tag("svg", rect, class_="bar", width="100%", height=12, aria_hidden="true")


def _steps(shares: Sequence[float], most: float) -> str:
    """Outline bars without gaps, in a box 100 high."""
    corners = [f"V{100 - 100 * share / most:.2f}H{place + 1}" for place, share in enumerate(shares)]
    return f"M0,100{''.join(corners)}V100Z"


def _grid(most: float, top: int) -> list[Markup]:
    """Draw two to five lines across, with their shares."""
    step = _nice(most / 5)
    lines = []
    for place in range(1, int(most / step + 1e-9) + 1):
        y = top + PLOT * (1 - place * step / most)
        label = f"{place * step:.{0 if step >= 0.01 else 1}%}"
        lines.append(tag("line", x1=0, x2="100%", y1=y, y2=y, class_="grid"))
        lines.append(tag("text", label, x="100%", y=y - 4, text_anchor="end", class_="tick halo"))
    return lines


def _labels(stats: Mapping[str, Any], chart: Histogram, across: Any, top: int) -> list[Markup]:
    """Name each series where its median is: each label has its own line, and grows into the wider side."""
    found = []
    for row, name in enumerate(chart.series):
        place = pointer(*chart.place, "median", name)
        median = look_up(stats, place)
        if median is None:
            continue
        x, y = across(median), LINE * row + 14
        anchor, shift = ("start", 6) if x < 50 else ("end", -6)
        style = "median" if chart.beyond else "score"
        value = number(stats, place, style, "tspan")
        found += [
            tag("line", x1=f"{x:.2f}%", x2=f"{x:.2f}%", y1=y - 12, y2=top + PLOT, class_=f"mid {name}"),
            tag("text", tag("tspan", name, class_=f"name {name}"), " median ", value,
                x=f"{x:.2f}%", y=y, dx=shift, text_anchor=anchor, class_="label halo"),
        ]  # fmt: skip
    return found


def _axis(low: float, high: float, y: int, across: Any, chart: Histogram) -> list[Markup]:
    marks = [tag("line", x1=0, x2="100%", y1=y, y2=y, class_="base")]
    step = _nice((high - low) / TICKS)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    for place in range(math.ceil(low / step - 1e-9), int(high / step + 1e-9) + 1):
        x = across(place * step)
        anchor = "start" if x < 3 else "end" if x > 96 else "middle"
        text = f"{place * step + 0.0:,.{digits}f}".replace("-", "\N{MINUS SIGN}")
        marks.append(tag("line", x1=f"{x:.2f}%", x2=f"{x:.2f}%", y1=y, y2=y + 4, class_="base"))
        marks.append(tag("text", text, x=f"{x:.2f}%", y=y + 18, text_anchor=anchor, class_="tick"))
    return marks


def _nice(span: float) -> float:
    """Round up to 1, 2 or 5 times a power of ten."""
    if span <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(span))
    return next(float(f"{power * nice:.6g}") for nice in (1, 2, 5, 10) if power * nice >= span * 0.999)


def _short(value: object) -> object:
    return f"{value:g}" if isinstance(value, float) else value


def _child(value: object) -> Markup:
    return value if isinstance(value, Markup) else Markup.escape(str(value))
