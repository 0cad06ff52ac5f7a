"""How well the dev split is ranked: by the encoder that mined, by BM25, and by models.

A mined run and models come in; evaluators of sentence-transformers and tables of metrics go out.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
