"""How many tokens a model sees of a text."""

import threading
from collections.abc import Callable
from pathlib import Path

import polars as pl

from minerkit.errors import EncoderError

__all__ = ["token_lengths"]

#: Texts that are padded to one length at a time.
BATCH = 256


def token_lengths(model: str) -> Callable[[pl.Series], pl.Series] | None:
    """Load what a model cuts its input with.

    Args:
        model: A sentence-transformers model or cross-encoder, by Hub name or folder.

    Returns:
        A function from n texts to n token counts, special tokens included, cut at the model's limit. None for
        a model without an attention mask (a static one), whose model card counts characters.

    Raises:
        EncoderError: The model cannot be loaded.
    """
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # a cross-encoder's head goes unused here
    folder = Path(model).expanduser()
    if not folder.is_dir() and model.startswith((".", "/", "~")):
        raise EncoderError(f"--model: no folder {model}")
    try:
        loaded = SentenceTransformer(str(folder) if folder.is_dir() else model, device="cpu")
        masked = "attention_mask" in loaded.preprocess(["a"], task="document")
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise EncoderError(
            f"--model {model} cannot be loaded: {first}; with no network, name a folder"
        ) from error
    if not masked:
        return None
    alone = threading.Lock()  # a tokenizer's padding is state, and polars may call from several threads

    def lengths(texts: pl.Series) -> pl.Series:
        present = texts.drop_nulls().to_list()
        found: list[int] = []
        with alone:
            for start in range(0, len(present), BATCH):
                cut = loaded.preprocess(present[start : start + BATCH], task="document")
                found += cut["attention_mask"].sum(dim=1).tolist()
        return _filled(texts, pl.Series(found, dtype=pl.Int64))

    return lengths


def _filled(texts: pl.Series, found: pl.Series) -> pl.Series:
    """Put the counts where the texts are, null where there is none."""
    places = texts.is_not_null().cum_sum().cast(pl.Int64) - 1
    return found.gather(pl.select(pl.when(texts.is_not_null()).then(places)).to_series()).rename(texts.name)
