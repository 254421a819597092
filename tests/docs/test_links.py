"""With BOOK_URL, the servers' own pages link to the book; without it, they do not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pairs import FULL, pair
from playwright.sync_api import Browser, expect

from tests.ui.conftest import browser  # noqa: F401 - the fixture
from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
BOOK = "http://127.0.0.1:8600/book"


@pytest.fixture(scope="module")
def with_book(iris_root):
    with pair({"MODEL_PATH": str(iris_root / "models" / "iris"), "BOOK_URL": f"{BOOK}/"}) as servers:
        yield servers


@pytest.mark.parametrize("name", FULL)
def test_problems_and_the_api_link_to_the_book(with_book, full, name):
    one = with_book[name].get("/problems/invalid-input").text
    assert f'href="{BOOK}/reference/problems.html#invalid-input"' in one
    assert f'href="{BOOK}/reference/problems.html"' in with_book[name].get("/problems").text
    told = with_book[name].get("/openapi.json").json()
    assert told["externalDocs"] == {"url": BOOK, "description": "The book"}

    assert "the book" not in full[name].get("/problems/invalid-input").text
    assert "externalDocs" not in full[name].get("/openapi.json").json()


@pytest.mark.parametrize("name", FULL)
def test_docs_show_the_link_and_load_as_little_as_before(with_book, full, browser: Browser, name):  # noqa: F811
    assert with_book[name].get("/docs").text == full[name].get("/docs").text  # and so its policy
    page = browser.new_page()
    asked, faults = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.goto(f"{with_book[name].url}/docs")
    link = page.get_by_role("link", name="The book")
    expect(link).to_be_visible(timeout=PATIENCE * 1000)
    assert link.get_attribute("href").rstrip("/") == BOOK
    assert all(url.startswith((with_book[name].url, "data:")) for url in asked) and faults == []
    page.close()


@pytest.mark.parametrize("value", ["book", "javascript:alert(1)", "ftp://book", "https://book'>x"])
@pytest.mark.parametrize("name", FULL)
def test_what_is_no_address_ends_the_start_with_a_line(name, value):
    env = os.environ | {"BOOK_URL": value}
    command = [sys.executable, "-m", f"apps.{name}_app"]
    ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, encoding="utf-8", timeout=60)
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert "BOOK_URL: expected an address such as" in line and value not in line
