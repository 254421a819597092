"""How Sphinx makes the book. https://www.sphinx-doc.org, https://myst-nb.readthedocs.io"""

import re
import sys
from pathlib import Path

from docutils import nodes

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # autodoc imports what it describes

project = "Servelab"
author = "Servelab"
language = "en"
html_title = "Servelab"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["_generated"]  # which pages include

nb_execution_mode = "off"  # the lessons as they were run
nb_merge_streams = True
nb_render_markdown_format = "myst"  # with tables, which plain CommonMark has not
myst_enable_extensions = ["attrs_block"]
myst_heading_anchors = 3
copybutton_exclude = ".linenos, .gp, .go"

TREES: dict[int, str] = {}  # of contents, by the depth of the pages that have them

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "github-dark"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
add_module_names = False
python_use_unqualified_type_names = True
default_role = "code"
nitpick_ignore_regex = [
    (r"py:.*", r"(?!apps\.|model_training\b).*"),  # types of libraries, not of ours
    (
        r"py:class",
        r"apps\..+\.(address|names|networks|model_uri|rates|token_quotas|language_model|redis_address|broker_address|T)",
    ),  # functions, in annotations
]


def as_restructured(app, what, name, obj, options, lines: list[str]) -> None:
    """Docstrings are plain text with `code` in it; reStructuredText would take more for marks."""
    text = "\n".join(lines)
    text = re.sub(r"([*|])|(?<=\w)_(?=\W|$)", lambda found: f"\\{found[0]}", text)
    text = re.sub(r"`([^`]*)`", lambda found: f"``{found[1].replace(chr(92), '')}``", text)
    lines[:] = text.split("\n")


def is_no_promise(app, what, name, obj, skip, options) -> bool | None:
    """Constants and pydantic's own settings are nothing that a caller needs."""
    return True if name == "model_config" or name.isupper() else None


def for_everybody(app, pagename, templatename, context, doctree) -> None:
    """What is wider than the page is scrolled with the keyboard too; headings of contents have a level."""
    for name, found, wanted in (
        ("body", "<pre>", '<pre tabindex="0">'),
        ("body", '<div class="table-wrapper', '<div tabindex="0" class="table-wrapper'),
        ("furo_navigation_tree", 'role="heading"', 'role="heading" aria-level="2"'),
    ):
        if name in context:
            context[name] = context[name].replace(found, wanted)


def one_tree_for_files(app, pagename, templatename, context, doctree) -> None:
    """Pages of files are in no table of contents: those of one depth have the same, whose making takes most
    of the time that a page takes."""
    if pagename.startswith("files/"):
        make, depth = context["toctree"], pagename.count("/")
        context["toctree"] = lambda **how: TREES.get(depth) or TREES.setdefault(depth, make(**how))


def label_cells(app, doctree: nodes.document) -> None:
    """On the phone a table of words is a list of its rows, and each cell tells its column."""
    for table in doctree.findall(lambda node: isinstance(node, nodes.table) and "stack" in node["classes"]):
        heads = [head.astext() for head in table.next_node(nodes.thead).findall(nodes.entry)]
        for row in table.next_node(nodes.tbody).findall(nodes.row):
            for head, cell in list(zip(heads, row, strict=True))[1:]:
                if head and len(cell):
                    cell[0].insert(0, nodes.inline("", f"{head}: ", classes=["label"]))


def setup(app) -> None:
    app.connect("doctree-read", label_cells)
    app.connect("autodoc-process-docstring", as_restructured)
    app.connect("autodoc-skip-member", is_no_promise)
    app.connect("html-page-context", one_tree_for_files, priority=100)  # before the theme
    app.connect("html-page-context", for_everybody, priority=900)  # after the theme
