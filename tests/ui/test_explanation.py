"""Why? on the page Predict: what a server says of an answer, and what is said where it says nothing."""

import json
import re
from dataclasses import replace

import pytest
from classroom.servers import Server, serve
from hypothesis import given, settings
from hypothesis import strategies as some
from looks import KINDS, fits
from playwright.sync_api import Browser, expect
from scripted import press, said

from ui import client, why
from ui.card import read_card
from ui.client import Failure
from ui.explanation import Explanation, Part, read_explanation
from ui.servers import servers

CARD = read_card({"features": [{"name": "size"}, {"name": "home"}]})
BODY = {
    "explained": "price",
    "unit": "CHF",
    "baseline": 100.0,
    "answer": 175.5,
    "contributions": [
        {"feature": "size", "value": 3.25, "contribution": -4.5, "standard_error": 0.5},
        {"feature": "home", "contribution": 80.0, "standard_error": 1.0},
    ],
    "complete": True,
}


@pytest.fixture(scope="module")
def explaining(models):
    """Both full servers with explanations, and a page."""
    env = {"MODEL_PATH": str(models("iris")), "METRICS_PORT": "0", "EXPLAIN": "on"}
    with serve("fastapi", env=env) as fastapi, serve("flask", env=env) as flask:
        yield fastapi, flask


def test_the_page_asks_the_server_that_answered_and_says_what_each_value_did(page, explaining):
    app = page("predict", *(server.url for server in explaining))
    for name in ("FastAPI", "Flask"):
        app = app.button_group[0].set_value(name).run()
        app = press(press(app, "versicolor"), "Predict")
        assert "What each value did" not in said(app)
        app = press(app, "Why?")
        assert "**What each value did**: probability of versicolor, in percentage points" in said(app)
        words = r"Most of all, (petal|sepal) \w+ [\d.]+ (raises|lowers) it by [\d.]+ points"
        assert re.search(words, said(app)) and "the average over the training, to" in said(app)
        table = app.table[-1].value
        assert len(table) == 4 and table["contribution"].str.match(r"^[+−]\d+\.\d$").all()
        assert not app.exception
    app = press(app, "Predict")  # another answer: nobody has asked why yet
    assert "What each value did" not in said(app)


def test_a_server_without_explanations_says_how_to_have_them(page, pair):
    app = press(press(page("predict", pair[0].url, pair[1].url), "Predict"), "Why?")
    assert "FastAPI does not explain its answers: explanations are off." in said(app)
    assert "EXPLAIN=on " in said(app) and '$env:EXPLAIN = "on"; ' in said(app)
    assert not app.exception


@pytest.mark.parametrize(
    ("status", "slug", "sentence", "command"),
    [
        ("409 Conflict", "explanation-unavailable", "cannot explain its answers: why: adopt", "--data"),
        ("503 Service Unavailable", "explanation-busy", "has as many explanations waiting", ""),
        ("503 Service Unavailable", "explanation-timeout", "had no time to explain its answer: why", ""),
    ],
)
def test_a_refusal_is_told_with_what_to_do(answering, status, slug, sentence, command):
    detail = "why: adopt it with --data" if command else "why"
    problem = {"type": f"/problems/{slug}", "title": "T", "status": int(status[:3]), "detail": detail}
    text = json.dumps(problem).encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/problem+json\r\nContent-Length: {len(text)}\r\n\r\n"
    )
    server = replace(servers()[0], url=answering(lambda connection: connection.sendall(head.encode() + text)))
    failure = client.explain(server, [1.0, 2.0], CARD)
    assert isinstance(failure, Failure) and sentence in failure.sentence
    assert command in " ".join(failure.commands)


def test_the_largest_comes_first_and_the_sentence_reads_the_picture():
    found = read_explanation(BODY, CARD)
    assert [part.name for part in found.parts] == ["home missing", "size 3.25"]
    assert why.sentence(found) == (
        "**Most of all, home missing raises it by 80 CHF, size 3.25 lowers it by 4.5 CHF.** "
        "All together lead from 100 CHF, the average over the training, to 175.5 CHF."
    )
    chance = Explanation(
        "probability of x", "", 0.25, 0.5, (Part("a 1", 0.2, 0.01), Part("b 2", 0.05, 0.01)), True
    )
    assert "a 1 raises it by 20.0 points, b 2 by 5.0 points.** All together lead from 25.0 %" in why.sentence(
        chance
    )
    nothing = replace(chance, parts=(Part("a 1", 0.001, 0.01), Part("b 2", 0.0, 0.01)))
    assert why.sentence(nothing).startswith("**No value moves it by more than chance.**")
    assert [nothing.signed(value) for value in (0.051, -0.051, 0.0)] == ["+5.1", "−5.1", "0.0"]


JSON = some.recursive(
    some.none() | some.booleans() | some.floats() | some.text(max_size=5),
    lambda inner: (
        some.lists(inner, max_size=3) | some.dictionaries(some.sampled_from([*BODY, "value"]), inner)
    ),
    max_leaves=12,
)


@given(JSON, some.sampled_from([*BODY]))
@settings(max_examples=60)
def test_whatever_a_server_sends_is_an_explanation_or_an_error_in_words(junk, member):
    for body in (junk, {**BODY, member: junk}):
        try:
            found = read_explanation(body, CARD)
        except ValueError as error:
            assert str(error).startswith("expected ")
        else:
            assert len(found.parts) == 2 and why.sentence(found)


@pytest.fixture(scope="module")
def address(explaining: tuple[Server, Server]):
    """Of the page, for a browser."""
    env = {"FASTAPI_URL": explaining[0].url, "FLASK_URL": explaining[1].url}
    with serve("ui", env=env) as ui:
        yield ui.url


@pytest.mark.parametrize("kind", list(KINDS))
def test_in_a_browser(browser: Browser, address: str, kind: str):
    page = browser.new_context(**KINDS[kind], base_url=address).new_page()
    page.goto("/")
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(page.get_by_text("FastAPI answered in")).to_be_visible()
    page.get_by_role("button", name="Why?").click()
    expect(page.get_by_text("All together lead from")).to_be_visible()
    expect(page.get_by_test_id("stVegaLiteChart").locator("canvas, svg")).to_have_count(2)
    page.locator(".st-key-panel-answer").get_by_text("As a table").click()
    expect(page.get_by_role("table").last).to_contain_text("petal length 1.4")
    fits(page)
    page.context.close()
