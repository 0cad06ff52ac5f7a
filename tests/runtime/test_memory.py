import ctypes
from pathlib import Path

import numpy as np
import psutil
import pytest

from minerkit.errors import RunError
from minerkit.runtime.memory import memory_budget, release_memory


@pytest.fixture
def machine(monkeypatch):
    """Gives a machine so many free gigabytes, and a container its limit and use."""

    def of(free: float, limit: str | None = None, used: str = "0") -> None:
        files = {"/sys/fs/cgroup/memory.max": limit, "/sys/fs/cgroup/memory.current": used}

        def read(path: Path) -> str:
            found = files[str(path)]
            if found is None or limit is None:
                raise FileNotFoundError(path)
            return found

        memory = type("Memory", (), {"available": int(free * 2**30)})
        monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
        monkeypatch.setattr(Path, "read_text", read)

    return of


def test_half_of_what_is_free_is_used(machine):
    machine(24)
    assert memory_budget(None) == 12 * 2**30


def test_half_of_what_a_container_leaves_is_used(machine):
    machine(24, str(10 * 2**30), str(2 * 2**30))
    assert memory_budget(None) == 4 * 2**30


def test_a_container_without_a_limit_has_the_machines(machine):
    machine(24, "max\n")
    assert memory_budget(None) == 12 * 2**30


@pytest.mark.parametrize("free", [0.0, 0.5])
def test_a_full_machine_leaves_the_least(machine, free):
    machine(free)
    assert memory_budget(None) == 2**30


def test_what_is_allowed_is_used():
    assert memory_budget(2.5) == int(2.5 * 2**30)
    assert memory_budget(1) == 2**30


@pytest.mark.parametrize("gigabytes", [0, -3, 0.99])
def test_too_little_is_one_clear_line(gigabytes):
    with pytest.raises(
        RunError, match=f"--memory-gb {gigabytes:g} is too little to work in; allow at least 1"
    ):
        memory_budget(gigabytes)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="not glibc")
def test_what_is_free_goes_back_to_the_system():
    """Blocks too small to be mapped one by one stay in the process when they are freed, until it trims."""
    blocks = [np.ones(12_000) for _ in range(2000)]  # 192 MB
    last = np.ones(12_000)
    full = psutil.Process().memory_info().rss
    blocks.clear()
    release_memory()
    assert psutil.Process().memory_info().rss < full - 100e6
    assert last.sum() == 12_000
