"""From entries to queries, corpus and qrels, and to a dev split that shares no text with train.

Entries come in; deduplicated tables with ids, splits and links between near-duplicates go out, with the
rows that were rejected.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
