"""Encode the texts of a run, each once, into vectors that are cached on disk."""

from minerkit.embeddings.cache import EmbeddingCache
from minerkit.embeddings.encoder import Encoder, Kind
from minerkit.embeddings.vectors import Vectors
from minerkit.runtime import Reporter
from minerkit.text import Texts

__all__ = ["embed_texts"]

#: The share of the memory that mapped embeddings of queries may take, and those of documents; of larger
#: tables rows are read.
MAPPED = 4


def embed_texts(encoder: Encoder, texts: Texts, kind: Kind, memory: int, reporter: Reporter) -> Vectors:
    """Encode texts, but for those whose vectors are cached.

    Args:
        encoder: The bi-encoder.
        texts: n texts.
        kind: query or document.
        memory: Bytes that mining may use.
        reporter: Where progress goes.

    Returns:
        n vectors, in the order of the texts.

    Raises:
        CacheError: The vectors cannot be kept on disk.
    """
    title = "Encoding queries" if kind == "query" else "Encoding documents"
    with reporter.bar(title, len(texts)) as advance:
        cache = EmbeddingCache(encoder.fingerprint(kind), encoder.dtype)
        return cache.embed(
            texts,
            lambda part, done: encoder.encode(part, kind, done),
            advance,
            reporter.say,
            memory // MAPPED,
        )
