"""Where the pages lead to."""

import json
from pathlib import Path

import pytest

from ui import book

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("stem", book.LESSONS)
def test_a_lesson_is_a_notebook_of_that_title(stem):
    cells = json.loads((ROOT / "notebooks" / f"{stem}.ipynb").read_text(encoding="utf-8"))["cells"]
    titles = [line for cell in cells if cell["cell_type"] == "markdown" for line in cell["source"][:1]]
    assert f"# {stem[:2]} · {book.LESSONS[stem]}" in [title.strip() for title in titles]


def test_with_a_book_there_are_links_and_without_it_words(monkeypatch):
    monkeypatch.setenv("BOOK_URL", "http://127.0.0.1:9/book/")
    stem = "05_one_contract_two_servers"
    assert (
        book.lesson(5)
        == f"[Lesson 05, One contract, two servers](http://127.0.0.1:9/book/lessons/{stem}.html)"
    )
    assert book.problem("invalid-json") == "http://127.0.0.1:9/book/reference/problems.html#invalid-json"
    assert book.troubleshooting() == "http://127.0.0.1:9/book/troubleshooting.html"
    monkeypatch.delenv("BOOK_URL")
    assert book.lesson(5) == f"Lesson 05, One contract, two servers (`{stem}.ipynb`)"
    assert book.problem("invalid-json") == book.troubleshooting() == ""


# What each page is about, by the numbers of the lessons that its first lines lead to.
LEADS_TO = {
    "predict": {3},
    "batch": {8, 11},
    "compare": {5, 6},
    "chat": {13, 14},
    "models": {10},
    "monitor": {10},
    "follow": {7},
    "load": {8},
    "health": {7},
    "access": {9},
}


def test_every_page_is_among_those_that_lead_to_lessons():
    assert {path.stem for path in (ROOT / "ui" / "views").glob("*.py")} == set(LEADS_TO)


@pytest.mark.parametrize("name", LEADS_TO)
def test_a_page_leads_to_its_lessons(page, full, name):
    app = page(name, full["fastapi"].url, full["flask"].url, book="http://127.0.0.1:9/book")
    first = app.caption[0].value
    for number in LEADS_TO[name]:
        assert f"](http://127.0.0.1:9/book/lessons/{book.BY_NUMBER[number]}.html)" in first
    assert first.count("[Lesson ") == len(LEADS_TO[name])
