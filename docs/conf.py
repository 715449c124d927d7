"""How Sphinx makes pages of these documents: `make docs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import flask_queues

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "Flask-Queues"
author = copyright = "the authors of Flask-Queues"  # noqa: A001 - Sphinx names it so
version = release = flask_queues.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["README.md"]
root_doc = "index"

myst_heading_anchors = 4
#: `type` is the name of attributes, and of what Python calls a type in a signature.
suppress_warnings = ["ref.python"]
#: Docstrings put code into single backticks.
default_role = "code"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "undoc-members": True}
#: A default is shown as it is written, not as its value is printed.
autodoc_preserve_defaults = True

html_theme = "furo"
html_title = "Flask-Queues"
html_show_sourcelink = False
html_show_sphinx = False
html_copy_source = False
html_permalinks_icon = "#"
html_static_path = ["static"]
html_css_files = ["docs.css"]


def setup(app: Sphinx) -> None:
    """Leave out what says nothing."""
    app.connect("autodoc-process-docstring", drop_aliases)


def drop_aliases(_app: Sphinx, _what: str, _name: str, _found: object, _options: object, lines: list[str]) -> None:
    """Drop what Python says of the fields of a named tuple that has no words of its own."""
    lines[:] = [line for line in lines if not line.startswith("Alias for field number")]
