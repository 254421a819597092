"""python -m docs [FOLDER]: make the book, strictly and without a network; it is in FOLDER/html then.

What is wrong with it, a link that leads nowhere, a reference to nothing, ends this with exit code 1."""

import argparse
import sys
from pathlib import Path

from sphinx.cmd.build import main as sphinx

from docs.sources import ROOT, lay_out

BUILD = ROOT / "docs" / "_build"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m docs", description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=BUILD, help="default: docs/_build")
    folder = parser.parse_args(argv).folder.absolute()
    source, html = folder / "source", folder / "html"
    lay_out(source)
    strict = [
        "--fail-on-warning",
        "--nitpicky",
        "--quiet",
        "--color" if sys.stdout.isatty() else "--no-color",
    ]
    places = ["-c", str(ROOT / "docs"), "-d", str(folder / "doctrees"), str(source), str(html)]
    return sphinx(["-b", "html", *strict, *places])


if __name__ == "__main__":
    sys.exit(main())
