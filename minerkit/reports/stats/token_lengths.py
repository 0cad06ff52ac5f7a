"""Token counts of texts, as a model sees them."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from minerkit.errors import EncoderError

__all__ = ["token_lengths"]

#: Number of texts that are padded together.
BATCH = 256
#: Texts that show whether the tokenizer alone gives the model's counts: blank, empty, long, mixed.
PROBES = ("a", " two  words\n", "", "Ünïcode 半导体 <mask> [SEP]", "many words " * 10_000)


def token_lengths(model: str) -> Callable[[pl.Series], pl.Series] | None:
    """Load a model's tokenizer as a function that counts tokens.

    Args:
        model: A sentence-transformers model or cross-encoder, by Hub name or folder.

    Returns:
        A function from n texts to n token counts, special tokens included, truncated at the model's limit.
        None for a model without an attention mask (a static one), whose model card counts characters.

    Raises:
        EncoderError: The model cannot be loaded.
    """
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # else it warns that a cross-encoder's head is not used
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
    lock = threading.Lock()  # a tokenizer's padding is state, and polars may call from several threads

    def count_by_model(texts: Sequence[str]) -> list[int]:
        counts: list[int] = []
        with lock:
            for start in range(0, len(texts), BATCH):
                inputs = loaded.preprocess(list(texts[start : start + BATCH]), task="document")
                counts += inputs["attention_mask"].sum(dim=1).tolist()
        return counts

    by_tokenizer = _count_by_tokenizer(loaded)
    same = by_tokenizer is not None and by_tokenizer(PROBES) == count_by_model(PROBES)
    count = by_tokenizer if by_tokenizer is not None and same else count_by_model

    def lengths(texts: pl.Series) -> pl.Series:
        distinct = texts.drop_nulls().unique()
        counts = pl.DataFrame(
            {"text": distinct, "tokens": pl.Series(count(distinct.to_list()), dtype=pl.Int64)}
        )
        rows = texts.rename("text").to_frame().join(counts, on="text", how="left", maintain_order="left")
        return rows["tokens"].rename(texts.name)

    return lengths


def _count_by_tokenizer(model: Any) -> Callable[[Sequence[str]], list[int]] | None:
    """Return a counter that uses the tokenizer alone, which takes a third of the time."""
    from tokenizers import Tokenizer

    inner = getattr(model.tokenizer, "backend_tokenizer", None)
    if inner is None:
        return None
    tokenizer = Tokenizer.from_str(inner.to_str())
    tokenizer.no_padding()
    return lambda texts: [len(encoded) for encoded in tokenizer.encode_batch_fast(list(texts))]
