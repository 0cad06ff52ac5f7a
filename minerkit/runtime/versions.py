"""Versions of Python and of the packages that a result depends on."""

import importlib.metadata
import platform

__all__ = ["package_versions"]

PACKAGES = (
    "minerkit",
    "torch",
    "sentence-transformers",
    "transformers",
    "polars",
    "pyarrow",
    "numpy",
    "rensa",
)


def package_versions(*more: str) -> dict[str, str]:
    """Return the installed versions of Python and packages.

    Args:
        more: Packages to name beside those that every run depends on.

    Returns:
        Python's version and those of the packages, by name.
    """
    return {"python": platform.python_version(), **{name: _version(name) for name in (*PACKAGES, *more)}}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
