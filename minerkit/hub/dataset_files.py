"""Write a config of a data set as Parquet files, and describe it in the YAML block of the card."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from minerkit.errors import HubError

__all__ = ["Config", "Shard", "merge_card", "write_config"]

#: Size in memory, in bytes, above which a split is divided into several files, as `datasets` does.
SHARD_BYTES = 500_000_000


@dataclass(frozen=True)
class Shard:
    """A Parquet file: path in the repository, local file, split, number of rows, and bytes in memory."""

    path: str
    file: Path
    split: str
    rows: int
    memory: int


@dataclass(frozen=True)
class Config:
    """A config of a data set: its shards, and its columns as `datasets.Features`."""

    name: str
    shards: Sequence[Shard]
    features: Any


def write_config(name: str, splits: Mapping[str, pl.DataFrame], folder: Path) -> Config:
    """Write a config as `datasets.push_to_hub` lays it out: `config/split-00000-of-00001.parquet`.

    Args:
        name: The name of the config.
        splits: Rows by split.
        folder: The folder for the files.

    Returns:
        The config; the same rows give the same bytes.
    """
    import datasets

    (folder / name).mkdir(parents=True)
    shards, features = [], None
    for split, frame in splits.items():
        count = math.ceil(frame.estimated_size() / SHARD_BYTES) or 1
        for number in range(count):
            start, end = len(frame) * number // count, len(frame) * (number + 1) // count
            path = f"{name}/{split}-{number:05d}-of-{count:05d}.parquet"
            rows = datasets.Dataset(_to_arrow(frame[start:end]))
            with (folder / path).open("wb") as stream:
                memory = rows.to_parquet(stream)
            shards.append(Shard(path, folder / path, split, len(rows), memory))
            features = rows.features
    return Config(name, shards, features)


def merge_card(text: str, configs: Sequence[Config], hub_text: str | None = None) -> str:
    """Add to a data set card its configs, and the keys that only the card on the Hub has.

    Args:
        text: The card: a YAML block, then Markdown.
        configs: The configs to upload; the first becomes the default config, unless the card on the Hub has
            another default.
        hub_text: The card on the Hub, if there is one.

    Returns:
        The card with its own keys and body, the further keys and configs of the card on the Hub, and
        `configs` and `dataset_info` as `datasets` writes them.

    Raises:
        HubError: The YAML block of a card is broken.
    """
    from datasets import DatasetInfo, SplitDict, SplitInfo
    from datasets.info import DatasetInfosDict
    from datasets.utils.metadata import MetadataConfigs

    card, card_configs = _parse_card(text, "the run's")
    if hub_text is not None:
        hub_card, card_configs = _parse_card(hub_text, "the Hub's")
        for key, value in hub_card.data.to_dict().items():
            if card.data.get(key) is None:
                card.data[key] = value
    names = [config.name for config in configs]
    has_default = any(
        name == "default" or config.get("default")
        for name, config in card_configs.items()
        if name not in names
    )
    infos, data_files = DatasetInfosDict(), MetadataConfigs()
    for config in configs:
        splits = SplitDict()
        for split in dict.fromkeys(shard.split for shard in config.shards):
            shards = [shard for shard in config.shards if shard.split == split]
            size, rows = sum(shard.memory for shard in shards), sum(shard.rows for shard in shards)
            splits.add(SplitInfo(split, size, rows))
        infos[config.name] = DatasetInfo(
            config_name=config.name,
            features=config.features,
            splits=splits,
            download_size=sum(shard.file.stat().st_size for shard in config.shards),
            dataset_size=sum(shard.memory for shard in config.shards),
        )
        files = [{"split": split, "path": f"{config.name}/{split}-*"} for split in splits]
        default = {"default": True} if config is configs[0] and not has_default else {}
        data_files[config.name] = {"data_files": files, **default}
    infos.to_dataset_card_data(card.data)
    data_files.to_dataset_card_data(card.data)
    return str(card)


def _parse_card(text: str, owner: str) -> tuple[Any, dict[str, Any]]:
    """Parse a card; also return its configs by name."""
    from datasets.info import DatasetInfosDict
    from datasets.utils.metadata import MetadataConfigs
    from huggingface_hub import DatasetCard
    from yaml import YAMLError

    try:
        card = DatasetCard(text)
        DatasetInfosDict.from_dataset_card_data(card.data)
        return card, MetadataConfigs.from_dataset_card_data(card.data)
    except (ValueError, TypeError, KeyError, AttributeError, YAMLError) as error:
        reason = " ".join(str(error).split())
        raise HubError(f"the YAML block of {owner} README.md is broken ({reason}); mend it there") from error


def _to_arrow(frame: pl.DataFrame) -> Any:
    """Convert a frame to Arrow with the types that `datasets` uses: string and list, not large ones."""
    import pyarrow as pa

    def without_large(type_: Any) -> Any:
        if pa.types.is_large_list(type_):
            return pa.list_(without_large(type_.value_type))
        return pa.string() if pa.types.is_large_string(type_) else type_

    table = frame.to_arrow()
    return table.cast(pa.schema([field.with_type(without_large(field.type)) for field in table.schema]))
