"""Bi-encoders: what turns a text into a vector, one file a backend."""

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.recipe import Encoder as EncoderSection

__all__ = ["Encoder", "Kind", "load_encoder"]

Kind = Literal["query", "document"]
Progress = Callable[[int], object]


class Encoder(Protocol):
    """Encodes texts; two encoders with the same fingerprint give the same vectors."""

    #: What a reader of the manifest must know about the scores, or "".
    note: str
    #: How the recipe wants the vectors stored: float16 or float32.
    dtype: str

    def fingerprint(self, kind: Kind) -> str:
        """Identify the vectors this encoder gives for queries or documents.

        Args:
            kind: query or document.

        Returns:
            A hexadecimal hash of everything the vectors depend on but the text.
        """
        ...

    def encode(self, texts: Sequence[str], kind: Kind, progress: Progress = id) -> npt.NDArray[np.float32]:
        """Encode texts.

        Args:
            texts: n strings.
            kind: query or document.
            progress: Called with the number of texts done, each time some are.

        Returns:
            float32 of shape (n, dim), of unit length when the recipe says `normalize`.
        """
        ...


def load_encoder(
    spec: EncoderSection, pairs: pl.DataFrame, texts: pl.Series, device: str = "auto", progress: Progress = id
) -> Encoder:
    """Load the encoder a recipe names, or make it from the run's own text.

    Args:
        spec: The recipe's `encoder` section.
        pairs: The train pairs (query, positive), from which `static` is trained.
        texts: All texts of the run, from which vocabularies are made.
        device: auto, cpu, cuda or mps.
        progress: Called with the number of pairs done while `static` is trained.

    Returns:
        The encoder.

    Raises:
        EncoderError: The model cannot be loaded.
    """
    if spec.model == "lsa":
        from minerkit.embeddings.encoders.lsa import LsaEncoder

        return LsaEncoder(spec, texts)
    from minerkit.embeddings.encoders.sentence_transformer import SentenceTransformerEncoder

    if spec.model == "static":
        from minerkit.embeddings.encoders.static import trained_folder

        folder = trained_folder(pairs, texts, progress)
        note = (
            "the static encoder was trained on the train pairs it scores: the scores of train positives are "
            "inflated, and margins below them let harder negatives through"
        )
        return SentenceTransformerEncoder(spec.model_copy(update={"model": str(folder)}), device, note)
    return SentenceTransformerEncoder(spec, device)
