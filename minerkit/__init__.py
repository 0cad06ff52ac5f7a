"""Leak-free hard negatives, training tables and search models from a corpus you already have."""

import lazy_loader

__version__ = "0.1.0"

# Public names are imported when they are first used, so that `import minerkit` stays light.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
