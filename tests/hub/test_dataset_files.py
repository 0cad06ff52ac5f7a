import polars as pl
import pytest
import yaml

from minerkit.errors import HubError
from minerkit.hub import dataset_files
from minerkit.hub.dataset_files import merge_card, write_config

FRAMES = {
    "labels": pl.DataFrame({"query": ["a", "甲 | 乙"], "text": ["x\ny", None], "label": [1, 0]}),
    "lists": pl.DataFrame(
        {"documents": [["x", "y"], []], "labels": [[1, 0], []], "scores": [[0.5, 0.25], []]}
    ),
    "types": pl.DataFrame(
        {
            "small": pl.Series([1, 2], dtype=pl.Int32),
            "score": pl.Series([0.5, None], dtype=pl.Float32),
            "flag": [True, False],
        }
    ),
}
TYPES = {
    "labels": ["Value('string')", "Value('string')", "Value('int64')"],
    "lists": ["List(Value('string'))", "List(Value('int64'))", "List(Value('float64'))"],
    "types": ["Value('int32')", "Value('float32')", "Value('bool')"],
}


def metadata(card: str) -> dict:
    return yaml.safe_load(card.split("---\n")[1])


@pytest.mark.parametrize("name", FRAMES)
def test_datasets_loads_the_same_rows_and_types(name, tmp_path):
    import datasets

    config = write_config(name, {"train": FRAMES[name]}, tmp_path)
    files = [str(shard.file) for shard in config.shards]
    loaded = datasets.load_dataset(
        "parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache")
    )
    assert loaded.to_list() == FRAMES[name].rows(named=True)
    assert [str(type_) for type_ in loaded.features.values()] == TYPES[name]
    assert loaded.features == config.features


def test_the_same_rows_give_the_same_bytes(tmp_path):
    configs = [write_config("labels", {"train": FRAMES["labels"]}, tmp_path / name) for name in ("a", "b")]
    assert configs[0].shards[0].file.read_bytes() == configs[1].shards[0].file.read_bytes()


def test_large_splits_are_divided_into_shards_of_equal_size(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset_files, "SHARD_BYTES", 300)
    frame = pl.DataFrame({"text": [f"text number {n}" for n in range(101)]})
    config = write_config("corpus", {"corpus": frame}, tmp_path)
    count = len(config.shards)
    assert count > 3
    assert [shard.path for shard in config.shards] == [
        f"corpus/corpus-{n:05d}-of-{count:05d}.parquet" for n in range(count)
    ]
    assert max(shard.rows for shard in config.shards) - min(shard.rows for shard in config.shards) <= 1
    assert (
        pl.concat([pl.read_parquet(shard.file) for shard in config.shards])["text"].to_list()
        == frame["text"].to_list()
    )


@pytest.fixture
def config(tmp_path):
    return write_config("triplet", {"train": FRAMES["labels"]}, tmp_path)


def test_the_default_config_of_the_card_on_the_hub_is_kept(config):
    hub_text = "---\nconfigs:\n- config_name: labeled-pair\n  default: true\n  data_files: a.csv\n---\n"
    merged = metadata(merge_card("---\nlicense: mit\n---\n# T\n", [config], hub_text))
    assert {c["config_name"]: c.get("default", False) for c in merged["configs"]} == {
        "labeled-pair": True,
        "triplet": False,
    }


def test_merging_twice_changes_nothing(config):
    text = "---\nlicense: mit\nlanguage:\n- zh\n---\n\n# 标题\n\n`a | b`\n\n---\n\nend\n"
    hub_text = "---\nviewer: false\nlicense: other\n---\nanother body\n"
    once = merge_card(text, [config], hub_text)
    assert merge_card(text, [config], once) == once
    assert once.endswith("\n# 标题\n\n`a | b`\n\n---\n\nend\n")
    assert (metadata(once)["license"], metadata(once)["viewer"]) == ("mit", False)


@pytest.mark.parametrize("owner", ["run", "Hub"])
@pytest.mark.parametrize(
    "yaml_block", ["license: [mit", "- a list", "configs: none", "configs:\n- data_files: x"]
)
def test_a_broken_card_is_reported_with_its_owner(config, owner, yaml_block):
    good, broken = "---\nlicense: mit\n---\n", f"---\n{yaml_block}\n---\n"
    text, hub_text = (broken, good) if owner == "run" else (good, broken)
    with pytest.raises(HubError, match=f"the YAML block of the {owner}'s README.md is broken"):
        merge_card(text, [config], hub_text)
