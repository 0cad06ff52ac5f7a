"""The best documents of many queries under rules: exact, approximate with a measured recall, or by BM25.

Vectors (or texts) and a `Request` come in: how many documents, which pairs are excluded, the highest score
that may be found. `Hits` go out: positions and scores, the same on every machine.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
