"""How much memory a run may use, and giving back what it does not need any more."""

from pathlib import Path

from minerkit.errors import RunError

__all__ = ["memory_budget", "release_memory"]

#: Bytes of a gigabyte, as `--memory-gb` counts them.
GB = 1 << 30
#: What Python, torch and polars take before any work is done, and the least that work needs.
LEAST = 1.0


def memory_budget(gigabytes: float | None) -> int:
    """Compute how many bytes of memory a run may use.

    Args:
        gigabytes: What the user allows; None: half of what is free on this machine, or in this container.

    Returns:
        Bytes.

    Raises:
        RunError: It is too little to work in.
    """
    if gigabytes is None:
        return max(_free() // 2, int(LEAST * GB))
    if gigabytes < LEAST:
        raise RunError(f"--memory-gb {gigabytes:g} is too little to work in; allow at least {LEAST:g}")
    return int(gigabytes * GB)


def release_memory() -> None:
    """Return free memory to the system; glibc would keep gigabytes of it."""
    import ctypes

    give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if give_back is not None:
        give_back(0)


def _free() -> int:
    import psutil

    free = int(psutil.virtual_memory().available)
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    try:  # a container's own limit, where it has one
        return min(free, int(limit.read_text()) - int(used.read_text()))
    except (OSError, ValueError):
        return free
