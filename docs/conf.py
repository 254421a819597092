"""How Sphinx makes the book. https://www.sphinx-doc.org, https://myst-nb.readthedocs.io"""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # autodoc imports what it describes

project = "Servelab"
author = "Servelab"
language = "en"
html_title = "Servelab"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["_generated"]  # which pages include

nb_execution_mode = "off"  # the lessons as they were run
nb_merge_streams = True
myst_enable_extensions = ["deflist", "colon_fence"]
myst_heading_anchors = 3
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "friendly"
pygments_dark_style = "native"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
add_module_names = False
python_use_unqualified_type_names = True
default_role = "code"
# Types of libraries and names inside of modules; what is written as a reference on a page is checked.
nitpick_ignore_regex = [(r"py:.*", r".*")]


def as_restructured(app, what, name, obj, options, lines: list[str]) -> None:
    """Docstrings are plain text with `code` in it; reStructuredText would take more for marks."""
    text = "\n".join(lines)
    text = re.sub(r"([*|])|(?<=\w)_(?=\W|$)", lambda found: f"\\{found[0]}", text)
    text = re.sub(r"`([^`]*)`", lambda found: f"``{found[1].replace(chr(92), '')}``", text)
    lines[:] = text.split("\n")


def setup(app) -> None:
    app.connect("autodoc-process-docstring", as_restructured)
