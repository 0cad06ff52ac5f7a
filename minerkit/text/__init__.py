"""Texts and what makes two of them the same: normalisation, words, sentences, shingles, near-duplicates.

Series and expressions of texts come in; keys, tokens, sentences and pairs of similar texts go out. Every
room above may use it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
