"""Work on all cores, for functions whose time goes to numpy, polars and torch, which drop Python's lock."""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import polars as pl

__all__ = ["even_shares", "prefetch_map", "thread_map", "torch_map"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def thread_map(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Apply a function to items, several at a time: as many as polars has threads.

    Args:
        function: May be called from several threads at once.
        items: What it is called with.

    Returns:
        What it returns, in the order of the items.
    """
    return list(prefetch_map(function, items))


def prefetch_map(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Apply a function to items while its results are used: as many threads as polars has work ahead.

    Args:
        function: May be called from several threads at once.
        items: What it is called with.

    Yields:
        What it returns, in the order of the items.
    """
    threads = pl.thread_pool_size()
    with ThreadPoolExecutor(threads) as pool:
        yield from _ahead(pool, threads, function, items)


def _ahead(
    pool: ThreadPoolExecutor, threads: int, function: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Result]:
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def torch_map(
    function: Callable[[Item], Result], items: Iterable[Item], device: str = "cpu"
) -> Iterator[Result]:
    """Apply a torch function to items: on a CPU in a thread a core, each of which works alone.

    Threads that each have a piece of work of their own need not wait for each other within it. What is called
    from within such a thread, or works on a GPU, goes on in the same thread.

    Args:
        function: May be called from several threads at once.
        items: What it is called with.
        device: A torch device.

    Yields:
        What it returns, in the order of the items; a few of them are worked on ahead.
    """
    if device == "cpu" and "torch" not in sys.modules:  # then no thread of torch's needs to be held back
        yield from prefetch_map(function, items)
        return
    import torch

    threads = torch.get_num_threads() if device == "cpu" else 1
    alone = isinstance(items, Sized) and len(items) == 1  # all cores are left to what is called
    if threads == 1 or alone:
        yield from map(function, items)
        return
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield from _ahead(pool, threads, function, items)
    finally:
        torch.set_num_threads(threads)  # in part, it holds for the whole process


def even_shares(items: list[Item]) -> list[list[Item]]:
    """Deal items out to the threads of `torch_map`, in runs of about the same length."""
    import torch

    size = max(1, -(-len(items) // torch.get_num_threads()))
    return [items[at : at + size] for at in range(0, len(items), size)]
