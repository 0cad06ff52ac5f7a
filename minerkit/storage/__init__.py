"""Files that survive a kill: the run folder, Parquet by row groups, shards of work, atomic writes, schemas.

Frames come in and lie in the run when a stage is done, all of them together; frames go out. Every room
above may use it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
