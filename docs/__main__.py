"""python -m docs [FOLDER]: make the book, strictly and without a network; it is in FOLDER/html then.

What is wrong with it, a link that leads nowhere, a reference to nothing, ends this with exit code 1."""

import argparse
import gc
import sys
from pathlib import Path

from sphinx.cmd.build import main as sphinx

DOCS = Path(__file__).resolve().parent
STRICT = ("--fail-on-warning", "--nitpicky", "--quiet")


def build(source: Path, folder: Path) -> int:
    """The pages in `source` as HTML in `folder`/html; 0 if nothing is wrong with them."""
    color = "--color" if sys.stdout.isatty() else "--no-color"
    places = ["-c", str(DOCS), "-d", str(folder / "doctrees"), str(source), str(folder / "html")]
    return sphinx(["-b", "html", *STRICT, color, *places])


def main(argv: list[str] | None = None) -> int:
    from docs.sources import lay_out

    gc.set_threshold(200_000, 50, 50)  # Sphinx keeps nearly all that it makes: to search it took a third
    parser = argparse.ArgumentParser(prog="python -m docs", description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=DOCS / "_build", help="default: docs/_build")
    folder = parser.parse_args(argv).folder.absolute()
    lay_out(folder / "source")
    return build(folder / "source", folder)


if __name__ == "__main__":
    sys.exit(main())
