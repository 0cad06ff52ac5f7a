"""A config of a data set on the Hub: Parquet files, and what the card says of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from minerkit.errors import HubError

__all__ = ["Config", "Shard", "merged_card", "write_config"]

#: Bytes in memory from which a split is cut into several files, as `datasets` cuts them.
SHARD_BYTES = 500_000_000


@dataclass(frozen=True)
class Shard:
    """A Parquet file: its path in the repository, its place on disk, its split, rows and bytes in memory."""

    path: str
    file: Path
    split: str
    rows: int
    memory: int


@dataclass(frozen=True)
class Config:
    """A config as it goes to the Hub: its shards, and its columns as `datasets.Features`."""

    name: str
    shards: Sequence[Shard]
    features: Any


def write_config(name: str, splits: Mapping[str, pl.DataFrame], folder: Path) -> Config:
    """Write a config as `datasets.push_to_hub` lays it out: `config/split-00000-of-00001.parquet`.

    Args:
        name: The config's name.
        splits: Its splits.
        folder: Where the files go.

    Returns:
        The config. The same rows give the same bytes.
    """
    import datasets

    (folder / name).mkdir(parents=True)
    shards, features = [], None
    for split, frame in splits.items():
        count = math.ceil(frame.estimated_size() / SHARD_BYTES) or 1
        for number in range(count):
            first, end = (len(frame) * edge // count for edge in (number, number + 1))
            path = f"{name}/{split}-{number:05d}-of-{count:05d}.parquet"
            part = datasets.Dataset(_arrow(frame[first:end]))
            with (folder / path).open("wb") as stream:
                memory = part.to_parquet(stream)
            shards.append(Shard(path, folder / path, split, len(part), memory))
            features = part.features
    return Config(name, shards, features)


def merged_card(text: str, configs: Sequence[Config], there: str | None = None) -> str:
    """Complete a data set card with its configs, and with what only the card on the Hub says.

    Args:
        text: The card: Markdown after a YAML block.
        configs: The configs that go to the Hub; the first is what loads where no config is named, unless
            that is another one on the Hub already.
        there: The card on the Hub, if there is one.

    Returns:
        The card with its own keys and body, the other keys and configs of the card on the Hub, and `configs`
        and `dataset_info` as `datasets` writes them.

    Raises:
        HubError: The YAML block of a card is broken.
    """
    from datasets import DatasetInfo, SplitDict, SplitInfo
    from datasets.info import DatasetInfosDict
    from datasets.utils.metadata import MetadataConfigs

    card, others = _parsed(text, "the run's")
    if there is not None:
        old, others = _parsed(there, "the Hub's")
        for key, value in old.data.to_dict().items():
            if card.data.get(key) is None:
                card.data[key] = value
    names = [config.name for config in configs]
    taken = any(
        name == "default" or other.get("default") for name, other in others.items() if name not in names
    )
    infos, places = DatasetInfosDict(), MetadataConfigs()
    for config in configs:
        splits = SplitDict()
        for split in dict.fromkeys(shard.split for shard in config.shards):
            parts = [shard for shard in config.shards if shard.split == split]
            splits.add(SplitInfo(split, sum(part.memory for part in parts), sum(part.rows for part in parts)))
        infos[config.name] = DatasetInfo(
            config_name=config.name,
            features=config.features,
            splits=splits,
            download_size=sum(shard.file.stat().st_size for shard in config.shards),
            dataset_size=sum(shard.memory for shard in config.shards),
        )
        files = [{"split": split, "path": f"{config.name}/{split}-*"} for split in splits]
        first = {"default": True} if config is configs[0] and not taken else {}
        places[config.name] = {"data_files": files, **first}
    infos.to_dataset_card_data(card.data)
    places.to_dataset_card_data(card.data)
    return str(card)


def _parsed(text: str, whose: str) -> tuple[Any, dict[str, Any]]:
    """Read a card, and the configs it names."""
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
        raise HubError(f"the YAML block of {whose} README.md is broken ({reason}); mend it there") from error


def _arrow(frame: pl.DataFrame) -> Any:
    """Give a frame the types that users of `datasets` expect: string and list, not their large forms."""
    import pyarrow as pa

    def plain(kind: Any) -> Any:
        if pa.types.is_large_list(kind):
            return pa.list_(plain(kind.value_type))
        return pa.string() if pa.types.is_large_string(kind) else kind

    table = frame.to_arrow()
    return table.cast(pa.schema([field.with_type(plain(field.type)) for field in table.schema]))
