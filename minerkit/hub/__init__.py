"""Upload runs to the Hugging Face Hub, with one commit per repository and retries if the network fails.

A finished run and repository names come in. The run's tables (as configs of a data set), its cards and its
model go out to the Hub; callers get a list of the uploaded files. The room also checks names and write access
before a long run.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
