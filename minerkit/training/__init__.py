"""Rerankers and bi-encoders trained on rows, with checkpoints that a cut training goes on from.

Training rows, a base model and the recipe's `train` section come in; a trained model and an account of its
training go out.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
