"""Raw corpora of every format, read in batches from local files or the Hub.

The recipe's `source` section comes in; batches of entries go out, with every row that could not be one and
why.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
