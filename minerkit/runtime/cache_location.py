"""Where minerkit keeps what it made once: embeddings and models."""

import os
from pathlib import Path

import platformdirs

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """Find the folder that holds embeddings and trained encoders, shared by all runs.

    Returns:
        `MINERKIT_CACHE`, or the platform's cache folder for minerkit.
    """
    return Path(os.environ.get("MINERKIT_CACHE") or platformdirs.user_cache_dir("minerkit"))
