"""The page in a real browser, at laptop and at phone size, with live servers that come and go."""

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from classroom.servers import Server, free_port, serve
from playwright.sync_api import Browser, Page, TimeoutError, expect

LAPTOP = {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"}
PHONE = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}
# https://github.com/dequelabs/axe-core, without the package's import, which fails where text is not UTF-8
AXE = Path(find_spec("axe_playwright_python").origin).with_name("axe.min.js").read_text(encoding="utf-8")
VIOLATIONS = "async () => (await axe.run()).violations.map(found => [found.id, found.nodes[0].html])"


@dataclass
class Classroom:
    """The page and both servers. Flask can be stopped, and started again where the page looks for it."""

    ui: Server
    fastapi: Server
    flask: Server
    model: dict[str, str]

    def start_flask(self) -> None:
        self.flask = Server("flask", env=self.model, port=self.flask.port)
        self.flask.wait()


@pytest.fixture(scope="module")
def classroom(models):
    model = {"MODEL_PATH": str(models("iris"))}
    with serve("fastapi", env=model) as fastapi:
        flask = Server("flask", env=model, port=free_port())
        flask.wait()
        with serve("ui", env={"FASTAPI_URL": fastapi.url, "FLASK_URL": flask.url}) as ui:
            running = Classroom(ui, fastapi, flask, model)
            yield running
        running.flask.stop()


@pytest.fixture(params=["laptop", "phone"])
def window(request: pytest.FixtureRequest, browser: Browser, classroom: Classroom):
    kind = LAPTOP if request.param == "laptop" else PHONE
    context = browser.new_context(**kind, base_url=classroom.ui.url)
    page = context.new_page()
    page.set_default_timeout(20_000)
    expect.set_options(timeout=20_000)
    yield page
    context.close()


def fits(page: Page) -> None:
    """Nothing is wider than the window, and axe finds nothing that is hard to see or to read out."""
    width = page.viewport_size["width"]
    assert page.get_by_test_id("stMain").evaluate("main => main.scrollWidth") <= width
    page.evaluate(AXE)
    try:  # while Streamlit draws, what is old is pale
        page.wait_for_function("async () => (await axe.run()).violations.length === 0", timeout=10_000)
    except TimeoutError:
        assert page.evaluate(VIOLATIONS) == []


def test_predict(window: Page):
    window.goto("/")
    window.get_by_role("radio", name="Flask").click()
    window.get_by_role("button", name="virginica").click()
    # .first: for a moment the fields that it replaces are still there
    expect(window.get_by_label("petal width (cm)", exact=True).first).to_have_value("2.5")
    window.get_by_role("button", name="Predict", exact=True).click()
    expect(window.get_by_role("heading", name=re.compile("^virginica, "))).to_be_visible()
    expect(window.get_by_text("Flask answered in")).to_be_visible()
    expect(window.get_by_role("table")).to_contain_text("versicolor")
    expect(window.get_by_test_id("stVegaLiteChart").locator("canvas, svg").first).to_be_visible()
    expect(window.get_by_text("server: waitress")).to_be_visible()
    window.get_by_role("tab", name="PowerShell").click()
    expect(window.get_by_text("Invoke-RestMethod")).to_be_visible()
    fits(window)


@pytest.mark.parametrize("window", ["laptop"], indirect=True)
def test_predict_with_the_keyboard_alone(window: Page):
    window.goto("/")
    field = window.get_by_label("petal length (cm)", exact=True)
    field.focus()
    field.fill("5.9")
    field.press("Enter")
    expect(window.get_by_text("FastAPI answered in")).to_be_visible()
    expect(window.get_by_text('{"features": [5.1, 3.5, 5.9, 0.2]}', exact=False).first).to_be_visible()
    field.fill("99")
    field.press("Tab")
    expect(field).to_have_attribute("aria-invalid", "true")


def test_compare(window: Page):
    window.goto("/compare")
    window.get_by_role("button", name="versicolor").click()
    window.get_by_role("button", name="Send to both").click()
    expect(window.get_by_text("Both answer alike: versicolor")).to_be_visible()
    expect(window.get_by_role("heading", name="Headers that differ")).to_be_visible()
    expect(window.get_by_role("cell", name="waitress")).to_be_visible()
    fits(window)
    window.get_by_role("tab", name="Many times").click()
    window.get_by_role("radio", name="50", exact=True).click()
    window.get_by_role("button", name="Measure").click()
    expect(window.get_by_role("heading", name=re.compile("quicker|No difference"))).to_be_visible()
    expect(window.get_by_role("table").filter(has_text="p99")).to_contain_text("per second")
    fits(window)
    window.get_by_role("tab", name="With a mistake").click()
    window.get_by_role("combobox", name="Mistake").click()
    window.get_by_role("option", name="NaN").click()
    window.get_by_role("button", name="Send it to both").click()
    expect(window.get_by_text("Both refuse it alike: status 400")).to_be_visible()
    fits(window)


@pytest.mark.parametrize("window", ["phone"], indirect=True)
def test_health_follows_a_server_that_goes_and_comes_back(window: Page, classroom: Classroom):
    window.goto("/health")
    expect(window.get_by_text(re.compile("Ready$"))).to_have_count(2)
    window.evaluate("document.body.dataset.loaded = 'once'")
    classroom.flask.stop()
    expect(window.get_by_text("Flask is not running")).to_be_visible()
    expect(window.get_by_text("python -m apps.minimal.flask_api_example").first).to_be_visible()
    fits(window)
    window.get_by_role("link", name="Predict").click()
    window.get_by_role("radio", name="Flask").click()
    expect(window.get_by_text("from FastAPI's model card")).to_be_visible()
    window.get_by_role("link", name="Health").click()
    expect(window.get_by_text("Flask is not running")).to_be_visible()
    classroom.start_flask()
    expect(window.get_by_text(re.compile("Ready$"))).to_have_count(2)
    assert window.evaluate("document.body.dataset.loaded") == "once"


def test_dark_is_dark(browser: Browser, classroom: Classroom):
    for scheme, background in (("dark", "rgb(20, 25, 31)"), ("light", "rgb(248, 246, 242)")):
        page = browser.new_context(color_scheme=scheme, base_url=classroom.ui.url).new_page()
        page.goto("/health")
        expect(page.get_by_test_id("stApp")).to_have_css("background-color", background, timeout=20_000)
        page.context.close()
