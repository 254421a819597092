"""The page in a real browser with a regression and with a model of 40 features: the sizes and colours that
test_browser.py does not look at."""

import re

import looks
import pytest
from classroom.servers import serve
from looks import choose, fits
from playwright.sync_api import Browser, expect

KINDS = [(looks.LAPTOP, "dark"), (looks.PHONE, "light")]
MODELS = {
    "diabetes": ("body mass index", r"^From .* to .* points$", "Both answer alike: 71.56 points."),
    "sensors": ("hall temperature", r"\w+(, whatever the value)?$", "Both answer alike: "),
}


@pytest.fixture(scope="module", params=list(MODELS))
def ui(request: pytest.FixtureRequest, models):
    env = {"MODEL_PATH": str(models(request.param)), "METRICS_PORT": "0"}
    with serve("fastapi", env=env) as fastapi, serve("flask", env=env) as flask:
        urls = {"FASTAPI_URL": fastapi.url, "FLASK_URL": flask.url, "BOOK_URL": "http://127.0.0.1:9/book"}
        with serve("ui", env=urls) as page:
            yield page.url, *MODELS[request.param]


@pytest.mark.parametrize("kind", KINDS, ids=["laptop", "phone"])
def test_every_page_fits_and_axe_finds_nothing(browser: Browser, ui, kind):
    url, feature, words, alike = ui
    page = browser.new_context(viewport=kind[0], color_scheme=kind[1], base_url=url).new_page()

    page.goto("/")
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(page.get_by_text("FastAPI answered in")).to_be_in_viewport()
    choose(page, "Vary", feature)
    expect(page.get_by_text("The dotted upright line")).to_be_visible()
    expect(page.locator(".st-key-panel-whatif strong")).to_have_text(re.compile(words))
    lesson = page.get_by_role("link", name="Lesson 03, FastAPI loads the model before it answers")
    name = "03_fastapi_loads_the_model_before_it_answers"
    expect(lesson).to_have_attribute("href", f"http://127.0.0.1:9/book/lessons/{name}.html")
    fits(page)

    page.get_by_role("link", name="Compare").click()
    page.get_by_role("button", name="Send to both").click()
    expect(page.get_by_text(alike)).to_be_visible()
    expect(page.get_by_text("What was sent to both")).to_be_visible()
    fits(page)

    page.get_by_role("link", name="Batch").click()
    page.get_by_role("button", name="Predict all").click()
    expect(page.get_by_role("heading", name=re.compile("rows predicted"))).to_be_visible()
    fits(page)
    page.context.close()
