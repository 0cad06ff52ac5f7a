"""The card of a trained model: what sentence-transformers writes of it, completed from the run.

The library writes most of the card from what it has seen of the training. What it is told here are names, the
licence, an example and the whole log; what it has no place for is put into the text afterwards.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl

from minerkit.recipe import Recipe
from minerkit.reports.cards.mining_facts import data_name, is_sample
from minerkit.reports.cards.reproduction import reproduction
from minerkit.reports.cards.training_dataset import training_dataset
from minerkit.reports.stats.column_stats import layout_stats
from minerkit.storage import Run
from minerkit.training import Loss

__all__ = ["hub_model_card", "save_with_card"]

#: The lines that load a model, on the Hub as the library writes them, and beside its card.
LOADED = '# Download from the 🤗 Hub\nmodel = {}("{}")'
LOADED_HERE = '# Name the folder that holds this card\nmodel = {}("{}")'
KINDS = {"cross_encoder": "Reranker", "sentence_transformer": "Bi-encoder"}
#: Documents of the example, and the characters of each after which it is cut.
EXAMPLES, LONGEST = 5, 1000
#: Where codecarbon believes a machine to be whose place it cannot find out.
NOWHERE = (46.8, -71.2)


def save_with_card(
    model: Any,
    folder: Path,
    recipe: Recipe,
    run: Run,
    counts: Mapping[str, Any],
    account: Mapping[str, Any],
    evaluator: Any,
) -> None:
    """Save a trained model with its card.

    Args:
        model: The CrossEncoder or SentenceTransformer, as its trainer leaves it.
        folder: Where it goes; the card is README.md in it.
        recipe: The recipe it was trained by.
        run: The run whose rows it learned from.
        counts: What `reproduction` takes of its train split.
        account: What training.json holds.
        evaluator: What measured it; None: nothing did.
    """
    card = model.model_card_data
    _tell_names(card, recipe)
    _tell_example(card, run, recipe.train.family)
    card.training_logs = list(_log(account, evaluator))
    emissions = _emissions(card)
    model.save_pretrained(str(folder))
    file = folder / "README.md"
    if emissions is not None:
        _note_emissions(file, emissions)
    text = _completed(file.read_text(encoding="utf-8"), recipe, run, counts, account)
    file.write_text(_without_folders(text, recipe.model_dump()), encoding="utf-8")


def hub_model_card(text: str, repo: str) -> str:
    """Let a card load its model from the Hub.

    Args:
        text: The card, as it lies beside the model.
        repo: The model's name on the Hub.

    Returns:
        The card with that name in the lines that load the model.
    """
    return _loaded(text, LOADED_HERE, LOADED, repo)


def _tell_names(card: Any, recipe: Recipe) -> None:
    """Tell the library what it cannot know of the model, and does not have to ask the Hub for."""
    base = recipe.train.base
    if base != "scratch" and not Path(base).expanduser().is_dir():
        card.base_model = card.base_model or base
    start = card.base_model.rpartition("/")[2] if card.base_model else KINDS[recipe.train.family]
    name = f"{recipe.name} sample" if is_sample(recipe) else data_name(recipe)
    card.model_name = f"{start} trained on {name}"
    if recipe.languages:
        card.set_language(recipe.languages)
    card.license = recipe.license if recipe.license != "unknown" else None
    card.add_tags("minerkit")
    if recipe.train.family == "sentence_transformer":
        card.task_name = "semantic search"
    for data in card.train_datasets:
        data["name"] = name
        if recipe.source.hub:
            data["id"] = recipe.source.hub
            card.datasets = [recipe.source.hub]


def _tell_example(card: Any, run: Run, family: str) -> None:
    """Give the library a query, held out where there is one, with a positive and its hardest negatives."""
    scored = run.read("candidates.parquet").sort("score", descending=True, maintain_order=True)
    positives = scored.filter(pl.col("relevance") > 0)
    # Where the encoder puts a positive first, what follows is hard and most likely negative.
    found = scored.unique("query_id", keep="first").filter(pl.col("relevance") > 0)
    queries = run.read("queries.parquet").join(positives, on="query_id", how="semi", maintain_order="left")
    order = [pl.col("split") != "dev", ~pl.col("query_id").is_in(found["query_id"].implode())]
    query, query_text = queries.sort(order, maintain_order=True).select("query_id", "text").row(0)
    eligible = run.read("judged.parquet").filter(pl.col("reason").is_null()).sort("score", descending=True)
    chosen = [
        rows.filter(pl.col("query_id") == query).select("doc_id").head(count)
        for rows, count in ((positives, 1), (eligible, EXAMPLES - 1))
    ]
    documents = pl.concat(chosen).join(run.read("corpus.parquet"), on="doc_id", maintain_order="left")
    query_text, shown = query_text[:LONGEST], [text[:LONGEST] for text in documents["text"]]
    pairs = [[query_text, text] for text in shown]
    card.ir_model = True
    card.usage_examples = pairs if family == "cross_encoder" else [query_text, *shown]


def _log(account: Mapping[str, Any], evaluator: Any) -> Iterator[dict[str, Any]]:
    """List the whole log as the library would, had it seen all of a training that was taken up again."""
    columns = [name for name in _primary_metrics(evaluator) if name in account["after"]] if evaluator else []

    def shown(metrics: Mapping[str, float]) -> dict[str, float | str]:
        return {name: _beside_base(metrics, name) for name in columns if name in metrics}

    if evaluator is not None:
        yield {"Epoch": -1, "Step": -1, **shown(account["before"])}
    for row in account["history"]:
        loss = {"Training Loss": row["loss"]} if "loss" in row else {}
        yield {"Epoch": row["epoch"], "Step": row["step"], **loss, **shown(row.get("metrics", {}))}
    if evaluator is not None:
        yield {"Epoch": -1, "Step": -1, **shown(account["after"])}


def _primary_metrics(evaluator: Any) -> Iterator[str]:
    """Name the metric of each evaluator, those that an evaluator is made of first."""
    for part in getattr(evaluator, "evaluators", ()):
        yield from _primary_metrics(part)
    if evaluator.primary_metric not in (None, "sequential_score"):
        yield evaluator.primary_metric


def _beside_base(metrics: Mapping[str, float], name: str) -> float | str:
    """Write a metric with its difference to that of the retrieved order, where there is one."""
    scope, _, metric = name.rpartition("_")
    base = metrics.get(f"{scope}_base_{metric}")
    return metrics[name] if base is None else f"{metrics[name]:.4f} ({metrics[name] - base:+.4f})"


def _emissions(card: Any) -> Any | None:
    """Find what codecarbon measured. The library asks a tracker while it runs, so it gets one that does."""
    tracker = getattr(card.code_carbon_callback, "tracker", None)
    found = getattr(tracker, "final_emissions_data", None)
    if found is not None:
        running = SimpleNamespace(_start_time=0, _prepare_emissions_data=lambda: found)
        card.code_carbon_callback = SimpleNamespace(tracker=running)
    return found


def _note_emissions(file: Path, emissions: Any) -> None:
    """Add the hours, and whose electricity was reckoned with."""
    from huggingface_hub import metadata_load, metadata_save

    data = metadata_load(file)
    hours = emissions.duration / 3600
    data["co2_eq_emissions"]["hours_used"] = round(hours, 3)
    mix = f"- **Electricity Mix**: {emissions.country_name}"
    if (emissions.latitude, emissions.longitude) == NOWHERE:
        mix += ", which codecarbon takes where it cannot find out the place"
    else:
        data["co2_eq_emissions"]["geographical_location"] = emissions.country_name
    metadata_save(file, data)
    lines = f"- **Hours Used**: {hours:.3f} hours\n{mix}\n"
    text = file.read_text(encoding="utf-8")
    file.write_text(_put(text, r"(?<=kg of CO2\n)", lines), encoding="utf-8")


def _completed(
    text: str, recipe: Recipe, run: Run, counts: Mapping[str, Any], account: Mapping[str, Any]
) -> str:
    """Put into the card what the library has no place for; where a heading is missing, it is left out."""
    loss = account["loss"]
    named = Loss(loss["class"], account["model"]["family"], loss["parameters"] or None)
    rows = layout_stats(run.read("train.parquet").lazy(), "classic")
    section = training_dataset(rows, "classic", named)
    text = _put(text, r"(?<=\n)\* Size: .*?(?=\n+### Training Hyperparameters\n)", section)
    if account["resumed_from"] is not None:
        note = f"Measured from step {account['resumed_from']:,} on, where the training was taken up again.\n"
        for heading in ("Environmental Impact", "Training Time"):
            text = _put(text, rf"(?<=\n### {heading}\n)", f"{note}\n")
    version = f"- minerkit: {account['versions']['minerkit']}\n"
    text = _put(text, r"(?<=\n### Framework Versions\n)", version)
    text = _loaded(text, LOADED, LOADED_HERE, "model")
    again = reproduction(recipe, counts, account)
    return _put(text, r"(?<=\n)(?=## (?:Additional Resources|Citation)\n)", again)


def _loaded(text: str, old: str, new: str, name: str) -> str:
    """Write the lines that load the model in another way."""
    pattern = re.escape(old).replace(r"\{\}", r"([\w./-]+)")
    return re.sub(pattern, lambda found: new.format(found[1], name), text, count=1)


def _put(text: str, pattern: str, new: str) -> str:
    return re.sub(pattern, lambda _: new, text, count=1, flags=re.DOTALL)


def _without_folders(text: str, values: Any) -> str:
    """Leave of the recipe's absolute paths the last part, wherever the library wrote them."""
    if isinstance(values, dict):
        for value in values.values():
            text = _without_folders(text, value)
    elif isinstance(values, str) and len(Path(values).expanduser().parts) > 2:
        path = Path(values).expanduser()
        text = text.replace(str(path), path.name) if path.is_absolute() else text
    return text
