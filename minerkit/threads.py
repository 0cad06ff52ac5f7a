"""Work on all cores, for functions whose time goes to numpy and polars, which let go of Python's lock."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import polars as pl

__all__ = ["in_threads"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Apply a function to items, several at a time: as many as polars has threads.

    Args:
        function: May be called from several threads at once.
        items: What it is called with.

    Returns:
        What it returns, in the order of the items.
    """
    with ThreadPoolExecutor(pl.thread_pool_size()) as pool:
        return list(pool.map(function, items))
