"""What a recipe may say, and how its file is found, read, checked, copied and written.

A name or a YAML file comes in; a `Recipe`, whose sections hold every default, goes out to all rooms after
it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
