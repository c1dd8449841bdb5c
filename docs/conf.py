"""How the manual is built: `make docs`, with every warning an error."""

from importlib.metadata import version as installed

project = "wickwire"
author = "The wickwire authors"
copyright = "2026, The wickwire authors"
version = release = installed("wickwire")

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "changes"]

html_theme = "furo"
html_title = f"wickwire {release}"
html_static_path: list[str] = []
