"""docs/explanations/frameworks.md: each link leads to a section of a lesson, and nothing is missing."""

import re
from pathlib import Path

import nbformat
import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanations" / "frameworks.md"
TEXT = PAGE.read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("| ") and not line.startswith("| what |")
]
LINKS = re.findall(r"\]\(([^)#]+\.ipynb)(#[^)]*)?\)", TEXT)
# What anyone who hires for either framework expects.
REQUIRED = [
    *("path and query parameters", "nested models", "validators", "coerces", "strict", "response_model"),
    *("Depends", "Annotated", "dependency_overrides", "APIRouter", "Blueprint", "application factory"),
    *("request context", "`g`", "current_app", "exception_handler", "errorhandler", "HTTPException", "abort"),
    *("async def", "thread pool", "lifespan", "add_middleware", "before_request", "after_request", "CORS"),
    *("BaseSettings", "app.config", "TestClient", "test_client", "pytest", "BackgroundTasks", "UploadFile"),
    *("request.files", "StreamingResponse", "WebSocket", "OpenAPI", "openapi_extra"),
]


def anchors_of(notebook: Path) -> set[str]:
    """The anchors of a lesson's headings, as the book and GitHub make them."""
    cells = nbformat.read(notebook, as_version=4).cells
    markdown = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    markdown = re.sub(r"^```.*?^```$", "", markdown, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#{1,3} (.+)$", markdown, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("target, anchor", sorted(set(LINKS)), ids=lambda part: part.rpartition("/")[2])
def test_each_link_leads_to_a_heading_of_a_lesson(target, anchor):
    notebook = PAGE.parent / target
    assert notebook.is_file()
    assert anchor.removeprefix("#") in anchors_of(notebook)


@pytest.mark.parametrize("concept", REQUIRED)
def test_it_is_in_a_row_and_the_row_says_where_it_is_taught(concept):
    rows = [row for row in ROWS if any(concept in cell for cell in row)]
    assert rows
    assert all(re.search(r"\]\(.*\.ipynb#|lesson \d\d", " ".join(row[1:])) for row in rows)


def test_a_row_says_something_of_both_frameworks():
    assert len(ROWS) > 25
    for row in ROWS:
        assert len(row) == 3 and all(row), row


def test_what_comes_later_is_named_by_the_number_of_a_lesson_that_is_planned():
    bare = re.sub(r"\[[^\]]*\]\([^)]*\)", "", TEXT)
    assert {int(number) for number in re.findall(r"lesson (\d\d)", bare)} <= set(range(9, 17))
