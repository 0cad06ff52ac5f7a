"""Evaluate rankings of the dev split: those of the mining encoder, of BM25, and of models.

A mined run and models come in. Evaluators of sentence-transformers (for training) and tables of ranking
metrics (for the terminal, the cards and the report) go out.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
