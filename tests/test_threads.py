import threading
import time

import polars as pl
import pytest

from minerkit.threads import in_threads


def test_results_come_in_the_order_of_the_items():
    def wait(seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    assert in_threads(wait, [0.05, 0.0, 0.02]) == [0.05, 0.0, 0.02]


def test_items_are_worked_on_at_the_same_time(monkeypatch):
    monkeypatch.setattr(pl, "thread_pool_size", lambda: 2)
    both = threading.Barrier(2, timeout=10)
    in_threads(lambda _: both.wait(), range(4))


def test_an_error_reaches_the_caller():
    def fail(item: int) -> None:
        raise ValueError(item)

    with pytest.raises(ValueError, match="7"):
        in_threads(fail, [7])
