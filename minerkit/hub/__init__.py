"""Uploads to the Hugging Face Hub: one commit a repository, tried again where the network fails.

A finished run and repository names come in; its subsets, cards and model go out to the Hub.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
