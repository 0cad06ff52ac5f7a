"""What of a run goes to the Hub: its subsets as configs of a data set, its card, its model."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from minerkit.errors import RunError
from minerkit.hub.dataset_files import Config, merged_card, write_config
from minerkit.recipe import load_recipe
from minerkit.reports import dataset_card, hub_model_card
from minerkit.runtime import Reporter
from minerkit.storage import SPLITS, Run
from minerkit.text import normalise_text

__all__ = ["README", "Bundle", "data_bundle", "model_bundle", "subsets"]

README = "README.md"


@dataclass(frozen=True)
class Bundle:
    """All that belongs into one repository: path there to file here; of a data set, its card and configs."""

    kind: str
    repo: str
    files: dict[str, Path]
    card: str = ""
    configs: tuple[Config, ...] = ()

    def listed(self) -> dict[str, Any]:
        """List the files with rows (None where a file has none) and bytes, for JSON."""
        rows = {shard.path: shard.rows for config in self.configs for shard in config.shards}
        files = [
            {"path": path, "rows": rows.get(path), "bytes": file.stat().st_size}
            for path, file in self.files.items()
        ]
        return {"kind": self.kind, "repo": self.repo, "files": files}


def data_bundle(
    run: Run, repo: str, folder: Path, reporter: Reporter, model_repo: str | None = None
) -> Bundle:
    """Write the files of a run's data set, with the card as it looks in a repository of its own.

    Args:
        run: A finished run.
        repo: The repository, as user/name.
        folder: An empty folder, where the files go.
        reporter: Where progress goes.
        model_repo: Where the run's model goes, for the card; None: nowhere.

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
    (folder / README).write_text(merged_card(card, configs))
    files = {shard.path: shard.file for config in configs for shard in config.shards}
    return Bundle("dataset", repo, {**files, README: folder / README}, card, tuple(configs))


def model_bundle(run: Run, repo: str, folder: Path) -> Bundle:
    """List the files of a run's model, its card with the lines that load it from the Hub.

    Args:
        run: A run that holds `model/`.
        repo: The repository, as user/name.
        folder: Where that card goes.

    Returns:
        The bundle.
    """
    home = run.folder / "model"
    paths = sorted(file for file in home.rglob("*") if file.is_file())
    files = {file.relative_to(home).as_posix(): file for file in paths}
    if README in files:
        card = hub_model_card(files[README].read_text(encoding="utf-8"), repo)
        files[README] = folder / f"model-{README}"
        files[README].write_text(card, encoding="utf-8")
    return Bundle("model", repo, files)


def subsets(run: Run) -> Iterator[tuple[str, dict[str, pl.DataFrame]]]:
    """Sort a run's rows into what a user loads.

    Args:
        run: A finished run.

    Yields:
        A config and its splits, with the artefact's columns; splits without rows are left out. The mined
        format comes first, under its own name; it, `pairs`, `queries` and `qrels` have the splits train and
        dev, `corpus` has the one split `corpus`, as in BEIR.

    Raises:
        RunError: A file of the run is missing or damaged, or names a query that `queries` lacks.
    """
    mined = load_recipe(run.folder / "recipe.yaml").format.type
    yield mined, _filled({split: run.read(f"{split}.parquet") for split in SPLITS})
    queries = run.read("queries.parquet")
    by_text = queries.select("split", key=normalise_text(pl.col("text"))).unique("key", keep="first")
    pairs = run.read("pairs.parquet").with_columns(key=normalise_text(pl.col("query")))
    yield "pairs", _by_split(pairs.join(by_text, on="key", how="left", maintain_order="left").drop("key"))
    yield "queries", _filled({split: queries.filter(pl.col("split") == split) for split in SPLITS})
    yield "corpus", _filled({"corpus": run.read("corpus.parquet")})
    by_id = queries.select("query_id", "split").unique("query_id", keep="first")
    qrels = run.read("qrels.parquet")
    yield "qrels", _by_split(qrels.join(by_id, on="query_id", how="left", maintain_order="left"))


def _card(run: Run, repo: str, model_repo: str | None) -> str:
    """Give the card of a run: as somebody has edited it, else with the lines that load it from the Hub."""
    file = run.folder / README
    text = file.read_text(encoding="utf-8") if file.is_file() else None
    return dataset_card(run, repo, model_repo) if text in (None, dataset_card(run)) else str(text)


def _by_split(rows: pl.DataFrame) -> dict[str, pl.DataFrame]:
    lost = rows["split"].null_count()
    if lost:
        raise RunError(f"{lost} rows name a query that queries.parquet lacks; run `minerkit mine` again")
    return _filled({split: rows.filter(pl.col("split") == split).drop("split") for split in SPLITS})


def _filled(splits: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    return {split: rows for split, rows in splits.items() if len(rows)}
