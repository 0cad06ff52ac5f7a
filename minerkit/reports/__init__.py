"""Everything a run says about itself: statistics, cards, tables for the terminal, the HTML page.

Frames and facts of a run come in; JSON-ready statistics go out, and what renders them: Markdown, rich
tables and one page of HTML.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
