"""Latent semantic analysis: TF-IDF over words and parts of words, then a truncated SVD; for small corpora."""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.errors import EncoderError
from minerkit.recipe import Encoder as EncoderSection
from minerkit.text import tokenize

__all__ = ["LsaEncoder"]

DIMENSIONS, SEED, VERSION = 256, 12, "lsa-3"


class LsaEncoder:
    """An encoder fitted on the run's own texts (Deerwester et al. 1990)."""

    note = ""

    def __init__(self, spec: EncoderSection, texts: pl.Series) -> None:
        """Fit the encoder.

        Args:
            spec: The recipe's `encoder` section.
            texts: All texts of the run.

        Raises:
            EncoderError: The texts hold too few words.
        """
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._spec = spec
        self.dtype: str = spec.dtype
        self._tfidf = TfidfVectorizer(analyzer=_terms, sublinear_tf=True, dtype=np.float32)
        try:
            matrix = self._tfidf.fit_transform(texts.to_list())
        except ValueError as error:
            raise EncoderError("encoder.model=lsa: the corpus holds no words; use another encoder") from error
        dims = min(spec.truncate_dim or DIMENSIONS, min(matrix.shape) - 1)
        if dims < 2:
            raise EncoderError("encoder.model=lsa: the corpus is too small; use another encoder")
        self._svd = TruncatedSVD(dims, random_state=SEED).fit(matrix)
        digest = hashlib.blake2b(digest_size=16)
        for text in texts:
            digest.update(text.encode() + b"\0")
        digest.update(f"{VERSION} {dims} {spec.normalize} {spec.dtype}".encode())
        self._fingerprint = digest.hexdigest()

    def fingerprint(self, kind: str) -> str:
        """Identify the vectors: they depend on every text of the run."""
        return self._fingerprint

    def encode(
        self, texts: Sequence[str], kind: str, progress: Callable[[int], object] = id
    ) -> npt.NDArray[np.float32]:
        """Encode texts; one without a known word becomes the zero vector."""
        rows = np.asarray(self._svd.transform(self._tfidf.transform(texts)), dtype=np.float32)
        if self._spec.normalize:
            length = np.linalg.norm(rows, axis=1, keepdims=True)
            rows = rows / np.maximum(length, np.finfo(np.float32).tiny)
        progress(len(texts))
        return rows


def _terms(text: str) -> list[str]:
    """List a text's words and their four-letter parts: "egg" and "eggs" have something in common."""
    terms = []
    for word in tokenize(text):
        padded = f" {word} "
        terms.append(word)
        terms += [padded[start : start + 4] for start in range(len(word) - 1)]
    return terms
