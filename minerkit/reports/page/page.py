"""What the page says, in the order in which it says it; the template only sets it."""

import hashlib
import json
import shlex
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from markupsafe import Markup

from minerkit.recipe import Recipe
from minerkit.reports.page import charts
from minerkit.reports.page.charts import Histogram
from minerkit.reports.page.figures import look_up, number, pointer
from minerkit.reports.page.flow import flow
from minerkit.reports.stats.training_summary import before_after, describe_model, metric_name

__all__ = ["embedded", "page"]

#: Rejected raw rows shown of each reason, and the length their text is cut at.
REJECTS, REJECT_CHARACTERS = 3, 200
#: Characters that could end the script element, or a line of it, in some reader.
ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}
HISTOGRAMS = {
    "scores": Histogram(
        "scores", "Scores of positives and negatives", ("histograms", "scores"),
        ("negatives", "positives"), "score",
    ),
    "gaps": Histogram(
        "gaps", "Gap of each query", ("histograms", "gaps"), ("queries",), "gap",
    ),
    "queries": Histogram(
        "query-lengths", "Length of queries", ("histograms", "characters", "queries"),
        ("queries",), "characters", beyond=True,
    ),
    "documents": Histogram(
        "document-lengths", "Length of positives and negatives", ("histograms", "characters", "documents"),
        ("negatives", "positives"), "characters", beyond=True,
    ),
}  # fmt: skip


def page(
    stats: Mapping[str, Any],
    manifest: Mapping[str, Any],
    recipe: Recipe,
    recipe_text: str,
    rejected: pl.DataFrame,
    sample: Mapping[str, Any],
    folder: Path,
    assets: Mapping[str, str],
    training: Mapping[str, Any] | None = None,
) -> str:
    """Write the page.

    Args:
        stats: The account of the run: every number shown comes from it.
        manifest: Where encoder, inputs and versions are read.
        recipe: The resolved recipe.
        recipe_text: The same, as YAML.
        rejected: The rejected artefact.
        sample: What `sample_examples` gives.
        folder: The run folder, as the user named it.
        assets: page.css and browser.js.
        training: The account of the training of the run's model, where there is one.

    Returns:
        HTML that asks the network for nothing; its content security policy forbids it.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    style, script = (Markup(assets[name]) for name in ("page.css", "browser.js"))
    environment = Environment(
        loader=PackageLoader("minerkit.reports.page", ""), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    quoted = shlex.quote(str(folder))
    return environment.get_template("page.html").render(
        n=partial(number, stats), at=partial(look_up, stats), to=pointer, bar=charts.bar,
        stats=stats, manifest=manifest, recipe=recipe, recipe_text=recipe_text, sample=sample,
        style=style, script=script, policy=_policy(style, script), data=embedded(sample),
        again=f"minerkit mine -r {shlex.quote(str(folder / 'recipe.yaml'))} --out {quoted}",
        check=f"minerkit audit {quoted}",
        encoder=_short(recipe.encoder.model), source=recipe.source.hub or _short(recipe.source.path or ""),
        rules={key: value for key, value in recipe.mine.model_dump().items() if value is not None},
        flow=flow(stats, recipe.format.type),
        histograms={name: (chart, charts.histogram(stats, chart)) for name, chart in HISTOGRAMS.items()},
        rejects=_rejects(rejected), drawn=Counter(query["drawn"] for query in sample["queries"]),
        model=_model(training),
        dropped=[place for place, row in enumerate(stats["rejected"]) if row["stage"] == "mine"],
        no_negatives=recipe.format.type == "pair" and bool(stats["yield"]["negatives"]),
        unranked=stats["histograms"]["ranks"]["unranked"],
        judged=any(row["source"] == "judged" for row in stats["histograms"]["sources"]),
    )  # fmt: skip


def embedded(data: Any) -> Markup:
    """Write JSON that can stand in a script element: no text in it can end the element.

    Args:
        data: Something JSON can say.

    Returns:
        JSON in which <, >, & and the line separators U+2028 and U+2029 are escaped.
    """
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.translate(ESCAPES))


def _policy(style: str, script: str) -> str:
    """Allow this page's own style and script and nothing else, and no HTML made from text by the script."""

    def digest(text: str) -> str:
        return b64encode(hashlib.sha256(text.encode()).digest()).decode()

    return (
        f"default-src 'none'; style-src 'sha256-{digest(style)}'; script-src 'sha256-{digest(script)}'; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _model(training: Mapping[str, Any] | None) -> str:
    """Describe in a line what was trained on the rows, and what that changed."""
    if training is None:
        return ""
    kind = f"{describe_model(training)}, from {_short(training['model']['base'])}"
    if (measured := before_after(training)) is None:
        return kind
    return f"{kind}; {metric_name(training)} {measured[0]:.4f} before training, {measured[1]:.4f} after"


def _short(place: str) -> str:
    """Name a file or folder by its last two parts; other names stay."""
    path = Path(place)
    return "/".join(path.parts[-2:]) if path.is_absolute() else place


def _rejects(rejected: pl.DataFrame) -> list[dict[str, Any]]:
    """Take the first rejected raw rows of each reason."""
    rows = rejected.filter(pl.col("stage") != "mine")
    first = rows.filter(pl.int_range(pl.len()).over("stage", "reason") < REJECTS)
    short = first.with_columns(pl.col("text").fill_null("").str.slice(0, REJECT_CHARACTERS))
    return short.sort("stage", "reason", maintain_order=True).rows(named=True)
