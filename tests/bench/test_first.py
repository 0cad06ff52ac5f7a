import pytest

from bench.first import measure


@pytest.mark.slow
def test_the_first_minute_is_compared_with_the_imports():
    figures = measure(1)
    assert figures["empty"] > 0 and figures["warm"] > 0
    assert figures["warm_ratio"] == pytest.approx(figures["warm"] / figures["imports"], abs=0.01)
