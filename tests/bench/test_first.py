import pytest

from bench.first import measure


@pytest.mark.slow
def test_the_first_minute_is_measured_beside_the_imports():
    found = measure(1)
    assert found["empty"] > 0 and found["warm"] > 0
    assert found["warm_ratio"] == pytest.approx(found["warm"] / found["imports"], abs=0.01)
