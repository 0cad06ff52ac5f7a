"""Bi-encoders, and the vectors they give to texts, each encoded once and cached on disk.

The recipe's `encoder` section and texts come in; `Vectors`, in memory or on disk, go out.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
