"""What the machine gives: memory, threads, devices, compiled loops, progress on stderr, loaded models.

Nothing of a run comes in; budgets, mapped results and models go out. Every other room may use it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
