import shutil
from pathlib import Path

import polars as pl
import pytest
import yaml

from minerkit.errors import RunError
from minerkit.hub.bundle import data_bundle, model_bundle, subsets
from minerkit.runtime.progress import Reporter
from minerkit.storage.run_folder import Run


@pytest.fixture
def run(sample_run, tmp_path) -> Run:
    return Run(Path(shutil.copytree(sample_run, tmp_path / "gooaq")))


def test_splits_without_rows_are_left_out(run):
    dev = run.read("dev.parquet")
    dev.clear().write_parquet(run.folder / "dev.parquet")
    found = {name: list(splits) for name, splits in subsets(run)}
    assert found["labeled-pair"] == ["train"]
    assert found["corpus"] == ["corpus"]


def test_every_row_lands_in_the_split_of_its_query(run):
    found = dict(subsets(run))
    for name in ("pairs", "qrels", "queries"):
        assert sum(len(part) for part in found[name].values()) == len(run.read(f"{name}.parquet"))
    dev = set(found["queries"]["dev"]["text"])
    assert set(found["pairs"]["dev"]["query"]) == dev
    assert not set(found["pairs"]["train"]["query"]) & dev


def test_pairs_written_in_another_spelling_find_their_query(run):
    pairs = run.read("pairs.parquet").with_columns(pl.col("query").str.replace_all(" ", "  "))
    pairs.write_parquet(run.folder / "pairs.parquet")
    found = dict(subsets(run))["pairs"]
    assert sum(len(part) for part in found.values()) == len(pairs)


def test_a_pair_without_a_query_is_no_run_to_push(run):
    pairs = pl.DataFrame({"query": ["who is this?"], "positive": ["nobody"]})
    pairs.write_parquet(run.folder / "pairs.parquet")
    with pytest.raises(RunError, match=r"1 rows name a query that queries\.parquet lacks"):
        list(subsets(run))


def test_the_card_says_what_the_files_hold(run, tmp_path):
    bundle = data_bundle(run, "user/name", tmp_path / "files", Reporter(quiet=True))
    said = yaml.safe_load(bundle.files["README.md"].read_text().split("---\n")[1])
    infos = {info["config_name"]: info for info in said["dataset_info"]}
    for config in bundle.configs:
        size = sum(bundle.files[shard.path].stat().st_size for shard in config.shards)
        assert infos[config.name]["download_size"] == size
        rows = {split["name"]: split["num_examples"] for split in infos[config.name]["splits"]}
        assert rows == {shard.split: shard.rows for shard in config.shards}
    places = {config["config_name"]: config for config in said["configs"]}
    assert places["pairs"]["data_files"] == [{"split": s, "path": f"pairs/{s}-*"} for s in ("train", "dev")]
    assert [name for name, config in places.items() if config.get("default")] == ["labeled-pair"]


def test_a_model_is_all_its_files(run, tmp_path):
    for name in ("config.json", "1_Pooling/config.json"):
        (run.folder / "model" / name).parent.mkdir(parents=True, exist_ok=True)
        (run.folder / "model" / name).write_text("{}")
    bundle = model_bundle(run, "user/name", tmp_path)
    assert list(bundle.files) == ["1_Pooling/config.json", "config.json"]
