"""Candidates, the rules that judge them, the negatives drawn from them, and the training rows.

Queries and documents with vectors, qrels and the recipe's `mine` section come in; candidates, judged
candidates, negatives and rows in the recipe's format go out.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
