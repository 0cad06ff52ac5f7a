"""Train rerankers and bi-encoders with sentence-transformers.

The room checks the loss and the training arguments of a recipe, loads or creates the base model, trains it,
and resumes an interrupted training from its last checkpoint. Training rows, a base model and the recipe's
`train` section come in; the trained model and the record of its training (`training.json`) go out, and
descriptions of losses for the cards.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
