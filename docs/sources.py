"""Lays out what Sphinx reads: the pages of this folder, the lessons as they were run, what is generated from
the code, and a page for each file of the project that one of these links to.

Links are written as the repository has them, so that they also work there; here they are turned to the pages
of the book. A link to nothing is left as it is, and Sphinx refuses it."""

import ast
import re
from pathlib import Path
from posixpath import normpath

from docs import generated

ROOT = Path(__file__).resolve().parents[1]
ELSEWHERE = {  # pages that stand outside of docs/: where they are in the book
    "README.md": "_generated/readme.md",
    "benchmarks/README.md": "explanations/benchmarks.md",
}
LINK = re.compile(r"(\]\()([^)\s#\"]+)(#[^)\s\"]*)?(?=\))")
LANGUAGES = {
    **{".py": "python", ".md": "markdown", ".yml": "yaml", ".yaml": "yaml", ".toml": "toml"},
    **{".json": "json", ".css": "css", ".in": "text", ".txt": "text", ".cfg": "ini", ".conf": "nginx"},
}
# Columns of figures end in a colon.
TABLE_OF_WORDS = re.compile(r"^(\|(?:[^|\n]+\|){3,})\n(?=[|-]+$)", re.MULTILINE)
OPENED = ("apps/", "model_training/")
PICTURES = (".png", ".svg")
ALONE = "---\norphan: true\nnosearch: true\n---\n"  # in no table of contents, and not in the way of a search


def lay_out(folder: Path) -> None:
    """Write it all into `folder`. What has not changed is not written again, so Sphinx need not read it."""
    pages = pages_of_the_book()
    layout = Layout({origin: place for place, origin in pages.items()})
    texts = {
        place: layout.turned((ROOT / origin).read_text(encoding="utf-8"), origin)
        for place, origin in pages.items()
    }
    texts |= {f"_generated/{name}": text for name, text in generated.fragments().items()}
    texts = {
        place: TABLE_OF_WORDS.sub(r"{.stack}\n\1\n", text) if place.endswith(".md") else text
        for place, text in texts.items()
    }
    texts |= layout.file_pages()
    keep = {folder / place for place in (*texts, *layout.pictures)}
    for place, text in texts.items():
        write(folder / place, text.encode())
    for place, origin in layout.pictures.items():
        write(folder / place, (ROOT / origin).read_bytes())
    for path in folder.rglob("*"):
        if path.is_file() and path not in keep:
            path.unlink()


def pages_of_the_book() -> dict[str, str]:
    """Where each page is in the book, and the file of the repository that it is."""
    docs = ROOT / "docs"
    found = {
        path.relative_to(docs).as_posix(): path.relative_to(ROOT).as_posix()
        for path in docs.rglob("*")
        if path.suffix in (".md", ".svg") and "_build" not in path.parts
    }
    lessons = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    found |= {f"lessons/{path.name}": f"notebooks/{path.name}" for path in lessons}
    return found | {place: origin for origin, place in ELSEWHERE.items()}


def write(path: Path, content: bytes) -> None:
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


class Layout:
    """Turns links to the places of the book, and notes which files need a page or a copy for that."""

    def __init__(self, place_of: dict[str, str]) -> None:
        self._place_of = place_of
        self._shown: dict[str, str] = {}  # files and folders of the repository, and their pages
        self.pictures: dict[str, str] = {}

    def turned(self, text: str, origin: str) -> str:
        """The text of the file `origin` with its links turned."""

        def turn(link: re.Match) -> str:
            start, target, anchor = link[1], link[2], link[3] or ""
            path = normpath(f"{origin}/../{target}")
            if "://" in target or target.startswith("/") or not self.has(path):
                return link[0]
            if path in self._place_of and not self._place_of[path].startswith("_"):
                return f"{start}/{self._place_of[path]}{anchor}"
            if path == "README.md":  # which is the first page
                return f"{start}/index.md{anchor}"
            return f"{start}/{self.shown(path)}"

        return LINK.sub(turn, text)

    @staticmethod
    def has(path: str) -> bool:
        return not path.startswith("..") and (ROOT / path).exists()

    def shown(self, path: str) -> str:
        """The place of a file or folder of the repository."""
        if path.endswith(PICTURES):
            self.pictures[f"files/{path}"] = path
            return f"files/{path}"
        self._shown.setdefault(path, f"files/{path}.md")
        return self._shown[path]

    def file_pages(self) -> dict[str, str]:
        """A page for each that was linked: a file's text, or what a folder has, which gets pages too."""
        pages: dict[str, str] = {}
        while waiting := [path for path in self._shown if self._shown[path] not in pages]:
            for path in waiting:
                show = self.folder_page if (ROOT / path).is_dir() else self.file_page
                pages[self._shown[path]] = f"{ALONE}# `{path}`\n\n{show(path)}"
        return pages

    @staticmethod
    def file_page(path: str) -> str:
        text = (ROOT / path).read_text(encoding="utf-8")
        language = LANGUAGES.get(Path(path).suffix, "text")
        return f"``````{language}\n{text}\n``````\n"

    def folder_page(self, path: str) -> str:
        """What a folder has, with the first line of what each file says of itself. Those of the rooms that a
        reader would open have pages."""
        lines = []
        for child in sorted((ROOT / path).iterdir()):
            if child.is_dir() and child.name[0] not in "._":
                lines.append(f"- `{child.name}/`")
            elif child.is_file() and child.suffix in LANGUAGES and child.stat().st_size:
                name, place = f"`{child.name}`", f"{path}/{child.name}"
                if place.startswith(OPENED):
                    name = f"[{name}](/{self.shown(place)})"
                lines.append(f"- {name}{about(child)}")
        return "\n".join([*lines, ""])


def about(path: Path) -> str:
    """The first line of a Python file's docstring, after a colon; nothing for other files."""
    told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) if path.suffix == ".py" else None
    return f": {told.splitlines()[0]}" if told else ""
