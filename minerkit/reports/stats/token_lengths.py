"""How many tokens a model sees of a text."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from minerkit.errors import EncoderError

__all__ = ["token_lengths"]

#: Texts that are padded to one length at a time.
BATCH = 256
#: What shows whether the tokenizer alone cuts texts as the model does: blank, empty, long, mixed.
PROBES = ("a", " two  words\n", "", "Ünïcode 半导体 <mask> [SEP]", "many words " * 10_000)


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

    def preprocessed(texts: Sequence[str]) -> list[int]:
        found: list[int] = []
        with alone:
            for start in range(0, len(texts), BATCH):
                cut = loaded.preprocess(list(texts[start : start + BATCH]), task="document")
                found += cut["attention_mask"].sum(dim=1).tolist()
        return found

    direct = _direct(loaded)
    measure = direct if direct is not None and direct(PROBES) == preprocessed(PROBES) else preprocessed

    def lengths(texts: pl.Series) -> pl.Series:
        distinct = texts.drop_nulls().unique()
        counts = pl.DataFrame(
            {"text": distinct, "tokens": pl.Series(measure(distinct.to_list()), dtype=pl.Int64)}
        )
        rows = texts.rename("text").to_frame().join(counts, on="text", how="left", maintain_order="left")
        return rows["tokens"].rename(texts.name)

    return lengths


def _direct(model: Any) -> Callable[[Sequence[str]], list[int]] | None:
    """Count with the tokenizer alone, which takes a third of the time: nothing is padded or made a tensor."""
    from tokenizers import Tokenizer

    inner = getattr(model.tokenizer, "backend_tokenizer", None)
    if inner is None:
        return None
    alone = Tokenizer.from_str(inner.to_str())
    alone.no_padding()
    return lambda texts: [len(encoded) for encoded in alone.encode_batch_fast(list(texts))]
