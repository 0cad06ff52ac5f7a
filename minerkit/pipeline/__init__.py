"""The stages in order, and the commands that do them: the only room that knows all others.

A recipe and a run folder come in; a run, a model, scores, a page and an upload come out.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
