import threading
import time

import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minerkit.runtime.threads import even_shares, prefetch_map, thread_map, torch_map


def test_results_come_in_the_order_of_the_items():
    def wait(seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    assert thread_map(wait, [0.05, 0.0, 0.02]) == [0.05, 0.0, 0.02]


def test_items_are_worked_on_at_the_same_time(monkeypatch):
    monkeypatch.setattr(pl, "thread_pool_size", lambda: 2)
    both = threading.Barrier(2, timeout=10)
    thread_map(lambda _: both.wait(), range(4))


def test_an_error_reaches_the_caller():
    def fail(item: int) -> None:
        raise ValueError(item)

    with pytest.raises(ValueError, match="7"):
        thread_map(fail, [7])


def test_a_single_item_has_all_cores_and_stays_in_its_thread(two_threads):
    found = list(torch_map(lambda _: (threading.get_ident(), torch.get_num_threads()), range(1)))
    assert found == [(threading.get_ident(), 2)]


def test_torch_works_alone_in_each_thread_and_as_before_afterwards(two_threads):
    found = list(torch_map(lambda item: (item, torch.get_num_threads()), range(20)))
    assert found == [(item, 1) for item in range(20)]
    assert torch.get_num_threads() == 2


def test_work_within_a_thread_goes_on_in_that_thread(two_threads):
    def inner(item: int) -> set[int]:
        return set(torch_map(lambda _: threading.get_ident(), range(5))) ^ {threading.get_ident()}

    assert list(torch_map(inner, range(6))) == [set()] * 6


def test_only_a_few_items_are_worked_on_ahead(monkeypatch):
    monkeypatch.setattr(pl, "thread_pool_size", lambda: 2)
    started: list[int] = []

    def work(item: int) -> int:
        started.append(item)
        return item

    results = prefetch_map(work, range(100))
    assert next(results) == 0
    results.close()
    assert len(started) <= 3


def test_an_error_comes_where_its_item_stands():
    def work(item: int) -> int:
        if item == 3:
            raise ValueError("three")
        return item

    results = torch_map(work, range(10))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)


@given(st.lists(st.integers(), max_size=40), st.integers(1, 9))
def test_shares_hold_all_items_in_order(items, threads):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "get_num_threads", lambda: threads)
        dealt = even_shares(items)
    assert [item for share in dealt for item in share] == items
    assert len(dealt) <= threads
