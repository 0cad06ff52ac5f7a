"""Read data sets from the Hugging Face Hub: their rows, or their files as they are."""

import itertools
from collections.abc import Iterator, Mapping

from minerkit.errors import SourceError
from minerkit.recipe import Source
from minerkit.sources.records import Record, require

__all__ = ["hub_fault", "hub_files", "hub_records"]


def hub_records(source: Source, wanted: Mapping[str, str | None]) -> Iterator[Record]:
    """Read the rows of a Hub data set.

    Args:
        source: A recipe's source with a data set's name.
        wanted: Key of the source section to the column it names; None: it names none.

    Yields:
        Places and rows; no more than source.limit.

    Raises:
        SourceError: The Hub or the data set cannot be reached, or lacks a column.
    """
    import datasets

    name = str(source.hub)
    try:
        data = datasets.load_dataset(
            name,
            source.config,
            split=source.split,
            revision=source.revision,
            streaming=source.limit is not None,
        )
        require(name, list(data.column_names or next(iter(data))), wanted)
        for number, row in enumerate(itertools.islice(data, source.limit)):
            yield f"{name}[{number}]", row
    except SourceError:
        raise
    except Exception as error:
        raise SourceError(hub_fault(name, error)) from error


def hub_files(source: Source) -> str:
    """Fetch the files of a Hub data set.

    Args:
        source: A recipe's source with a data set's name.

    Returns:
        The folder they are in.

    Raises:
        SourceError: The Hub or the data set cannot be reached.
    """
    import huggingface_hub

    name = str(source.hub)
    try:
        return str(huggingface_hub.snapshot_download(name, repo_type="dataset", revision=source.revision))
    except Exception as error:
        raise SourceError(hub_fault(name, error)) from error


def hub_fault(name: str, error: Exception) -> str:
    """Explain in one line why a data set cannot be had.

    Args:
        name: The data set.
        error: What the client raised.

    Returns:
        What, where, and what to do.
    """
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    kinds = {type(link).__name__ for link in chain}
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if kinds & {
        "ConnectError",
        "ConnectionError",
        "ConnectTimeout",
        "OfflineModeIsEnabled",
        "LocalEntryNotFoundError",
    }:
        return (
            f"cannot reach the Hub for data set {name}; run with --sample for the bundled corpus, "
            "or with --input PATH for a local copy"
        )
    return f"data set {name} cannot be read from the Hub: {first}"
