"""Collect the files of a repository: the tables of a run as configs of a data set, its card, its model."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from minerkit.errors import RunError
from minerkit.hub.dataset_files import Config, merge_card, write_config
from minerkit.recipe import load_recipe
from minerkit.reports import dataset_card, hub_model_card
from minerkit.runtime import Reporter
from minerkit.storage import SPLITS, Run
from minerkit.text import normalise_text

__all__ = ["README", "Bundle", "dataset_bundle", "model_bundle", "subsets"]

README = "README.md"


@dataclass(frozen=True)
class Bundle:
    """The files of one repository.

    Attributes:
        repo_type: dataset or model.
        repo: Name of the repository, as user/name.
        files: Local file by path in the repository.
        card: The data set card without configs; "" for a model.
        configs: The configs of the data set.
    """

    repo_type: str
    repo: str
    files: dict[str, Path]
    card: str = ""
    configs: tuple[Config, ...] = ()

    def describe(self) -> dict[str, Any]:
        """List the files with rows (None for a file that is no table) and bytes, JSON-ready."""
        rows = {shard.path: shard.rows for config in self.configs for shard in config.shards}
        files = [
            {"path": path, "rows": rows.get(path), "bytes": file.stat().st_size}
            for path, file in self.files.items()
        ]
        return {"kind": self.repo_type, "repo": self.repo, "files": files}


def dataset_bundle(
    run: Run, repo: str, folder: Path, reporter: Reporter, model_repo: str | None = None
) -> Bundle:
    """Write the files of a run's data set, with its card.

    Args:
        run: A finished run.
        repo: The repository, as user/name.
        folder: An empty folder for the files.
        reporter: Receives progress.
        model_repo: The repository of the run's model, for the card; None: it is not uploaded.

    Returns:
        The bundle.

    Raises:
        RunError: A file of the run is missing or damaged.
        HubError: The YAML block of the card is broken.
    """
    configs = []
    with reporter.bar("Writing Parquet") as advance:
        for name, splits in subsets(run):
            configs.append(write_config(name, splits, folder))
            advance(sum(shard.rows for shard in configs[-1].shards))
    card = _card(run, repo, model_repo)
    (folder / README).write_text(merge_card(card, configs))
    files = {shard.path: shard.file for config in configs for shard in config.shards}
    return Bundle("dataset", repo, {**files, README: folder / README}, card, tuple(configs))


def model_bundle(run: Run, repo: str, folder: Path) -> Bundle:
    """List the files of a run's model, and write its card with the code that loads it from the Hub.

    Args:
        run: A run that holds `model/`.
        repo: The repository, as user/name.
        folder: The folder for the card.

    Returns:
        The bundle.
    """
    model = run.folder / "model"
    paths = sorted(file for file in model.rglob("*") if file.is_file())
    files = {file.relative_to(model).as_posix(): file for file in paths}
    if README in files:
        card = hub_model_card(files[README].read_text(encoding="utf-8"), repo)
        files[README] = folder / f"model-{README}"
        files[README].write_text(card, encoding="utf-8")
    return Bundle("model", repo, files)


def subsets(run: Run) -> Iterator[tuple[str, dict[str, pl.DataFrame]]]:
    """Read the tables of a run as configs of a data set, divided into splits.

    Args:
        run: A finished run.

    Yields:
        Name of a config, and its non-empty splits with the columns of the artefact. The training rows come
        first, in a config with the name of their format; this config, `pairs`, `queries` and `qrels` have the
        splits train and dev, `corpus` has the one split `corpus`, as in BEIR.

    Raises:
        RunError: A file of the run is missing or damaged, or has a query that `queries` lacks.
    """
    format_type = load_recipe(run.folder / "recipe.yaml").format.type
    yield format_type, _non_empty({split: run.read(f"{split}.parquet") for split in SPLITS})
    queries = run.read("queries.parquet")
    split_by_text = queries.select("split", key=normalise_text(pl.col("text"))).unique("key", keep="first")
    pairs = run.read("pairs.parquet").with_columns(key=normalise_text(pl.col("query")))
    yield (
        "pairs",
        _by_split(pairs.join(split_by_text, on="key", how="left", maintain_order="left").drop("key")),
    )
    yield "queries", _non_empty({split: queries.filter(pl.col("split") == split) for split in SPLITS})
    yield "corpus", _non_empty({"corpus": run.read("corpus.parquet")})
    split_by_id = queries.select("query_id", "split").unique("query_id", keep="first")
    qrels = run.read("qrels.parquet")
    yield "qrels", _by_split(qrels.join(split_by_id, on="query_id", how="left", maintain_order="left"))


def _card(run: Run, repo: str, model_repo: str | None) -> str:
    """Return the card of a run: as the user edited it, or new, with the code that loads it from the Hub."""
    file = run.folder / README
    text = file.read_text(encoding="utf-8") if file.is_file() else None
    return dataset_card(run, repo, model_repo) if text in (None, dataset_card(run)) else str(text)


def _by_split(rows: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Divide rows by their column `split`."""
    missing = rows["split"].null_count()
    if missing:
        raise RunError(f"{missing} rows name a query that queries.parquet lacks; run `minerkit mine` again")
    return _non_empty({split: rows.filter(pl.col("split") == split).drop("split") for split in SPLITS})


def _non_empty(splits: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Leave out splits without rows."""
    return {split: rows for split, rows in splits.items() if len(rows)}
