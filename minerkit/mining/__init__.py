"""Mine hard negatives: retrieve candidates, filter out false negatives, draw negatives, format examples.

Vectors of queries and documents, qrels, exclusions and the recipe's `mine` and `format` sections come in.
Four frames go out, one a step: candidates (`retrieve`), candidates with the reason why a rule rejects them
(`filter_false_negatives`), negatives (`sample_negatives`), and training rows (`format_examples`).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
