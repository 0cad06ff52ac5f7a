"""The site of the documentation: plain Markdown, built by Sphinx with MyST."""

from minerkit import __version__

project = "minerkit"
author = "The minerkit authors"
release = version = __version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxcontrib.mermaid",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "minerkit"
myst_heading_anchors = 3
myst_fence_as_directive = ["mermaid"]
myst_enable_extensions = ["fieldlist"]
default_role = "literal"
autodoc_typehints = "none"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
# Links to what other packages document are not checked: the build needs no network.
nitpicky = True
