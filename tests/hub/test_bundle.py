import shutil
from pathlib import Path

import polars as pl
import pytest
import yaml

from minerkit.errors import RunError
from minerkit.hub.bundle import dataset_bundle, model_bundle, subsets
from minerkit.runtime.progress import Reporter
from minerkit.storage.run_folder import Run


@pytest.fixture
def run(sample_run, tmp_path) -> Run:
    return Run(Path(shutil.copytree(sample_run, tmp_path / "gooaq")))


def test_splits_without_rows_are_left_out(run):
    dev = run.read("dev.parquet")
    dev.clear().write_parquet(run.folder / "dev.parquet")
    splits_by_config = {name: list(splits) for name, splits in subsets(run)}
    assert splits_by_config["labeled-pair"] == ["train"]
    assert splits_by_config["corpus"] == ["corpus"]


def test_every_row_is_in_the_split_of_its_query(run):
    configs = dict(subsets(run))
    for name in ("pairs", "qrels", "queries"):
        assert sum(len(rows) for rows in configs[name].values()) == len(run.read(f"{name}.parquet"))
    dev = set(configs["queries"]["dev"]["text"])
    assert set(configs["pairs"]["dev"]["query"]) == dev
    assert not set(configs["pairs"]["train"]["query"]) & dev


def test_pairs_are_matched_to_queries_by_normalised_text(run):
    pairs = run.read("pairs.parquet").with_columns(pl.col("query").str.replace_all(" ", "  "))
    pairs.write_parquet(run.folder / "pairs.parquet")
    splits = dict(subsets(run))["pairs"]
    assert sum(len(rows) for rows in splits.values()) == len(pairs)


def test_a_pair_with_an_unknown_query_is_refused(run):
    pairs = pl.DataFrame({"query": ["who is this?"], "positive": ["nobody"]})
    pairs.write_parquet(run.folder / "pairs.parquet")
    with pytest.raises(RunError, match=r"1 rows name a query that queries\.parquet lacks"):
        list(subsets(run))


def test_the_card_describes_the_files(run, tmp_path):
    bundle = dataset_bundle(run, "user/name", tmp_path / "files", Reporter(quiet=True))
    metadata = yaml.safe_load(bundle.files["README.md"].read_text().split("---\n")[1])
    infos = {info["config_name"]: info for info in metadata["dataset_info"]}
    for config in bundle.configs:
        size = sum(bundle.files[shard.path].stat().st_size for shard in config.shards)
        assert infos[config.name]["download_size"] == size
        rows = {split["name"]: split["num_examples"] for split in infos[config.name]["splits"]}
        assert rows == {shard.split: shard.rows for shard in config.shards}
    by_name = {config["config_name"]: config for config in metadata["configs"]}
    assert by_name["pairs"]["data_files"] == [{"split": s, "path": f"pairs/{s}-*"} for s in ("train", "dev")]
    assert [name for name, config in by_name.items() if config.get("default")] == ["labeled-pair"]


def test_a_model_bundle_holds_all_files_of_the_model(run, tmp_path):
    for name in ("config.json", "1_Pooling/config.json"):
        (run.folder / "model" / name).parent.mkdir(parents=True, exist_ok=True)
        (run.folder / "model" / name).write_text("{}")
    bundle = model_bundle(run, "user/name", tmp_path)
    assert list(bundle.files) == ["1_Pooling/config.json", "config.json"]
