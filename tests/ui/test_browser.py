"""The page in a real browser, at laptop and at phone size, with live servers that come and go."""

import re
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from classroom.servers import Server, free_port, serve
from looks import KINDS, choose, fits, press_until
from playwright.sync_api import Browser, Page, expect

from tests.waiting import PATIENCE


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
    model, ports = {"MODEL_PATH": str(models("iris"))}, [free_port(), free_port()]
    fastapi_model, flask_model = ({**model, "METRICS_PORT": str(port)} for port in ports)
    with serve("fastapi", env=fastapi_model) as fastapi:
        flask = Server("flask", env=flask_model, port=free_port())
        flask.wait()
        env = {"FASTAPI_URL": fastapi.url, "FLASK_URL": flask.url}
        for setting, port in zip(("FASTAPI_METRICS_URL", "FLASK_METRICS_URL"), ports, strict=True):
            env[setting] = f"http://127.0.0.1:{port}/metrics"
        with serve("ui", env=env) as ui:
            running = Classroom(ui, fastapi, flask, flask_model)
            yield running
        running.flask.stop()


@pytest.fixture(params=list(KINDS))
def window(request: pytest.FixtureRequest, browser: Browser, classroom: Classroom):
    context = browser.new_context(**KINDS[request.param], base_url=classroom.ui.url)
    page = context.new_page()
    yield page
    context.close()


def test_a_bookmark_leads_to_its_page_whoever_comes_first(browser: Browser, classroom: Classroom):
    env = {"FASTAPI_URL": classroom.fastapi.url, "FLASK_URL": classroom.flask.url}
    with serve("ui", env=env) as ui:
        page = browser.new_context(base_url=ui.url).new_page()
        page.goto("/batch")
        expect(page.get_by_role("heading", name="Batch")).to_be_visible(timeout=PATIENCE * 1000)
        expect(page.get_by_role("link", name="Predict")).to_be_visible(timeout=PATIENCE * 1000)
        page.context.close()


def test_predict(window: Page):
    window.goto("/")
    expect(window).to_have_title("Predict · Servelab")
    window.get_by_role("radio", name="Flask").click()
    window.get_by_role("button", name="virginica").click()
    # .first: for a moment the fields that it replaces are still there
    expect(window.get_by_label("petal width (cm)", exact=True).first).to_have_value("2.5")
    window.get_by_role("button", name="Predict", exact=True).click()
    expect(window.get_by_role("heading", name=re.compile("^virginica, "))).to_be_in_viewport()
    expect(window.get_by_text("Flask answered in")).to_be_in_viewport()
    expect(window.get_by_role("table")).to_contain_text("versicolor")
    expect(window.get_by_test_id("stVegaLiteChart").locator("canvas, svg").first).to_be_visible()
    expect(window.get_by_text("x-request-id: ")).to_be_visible()
    choose(window, "Vary", "petal length")
    expect(window.get_by_text(re.compile("^.* up to .* cm, then virginica"))).to_be_visible()
    expect(window.get_by_test_id("stVegaLiteChart").locator("canvas, svg")).to_have_count(2)
    press_until(window.get_by_role("tab", name="PowerShell"), window.get_by_text("Invoke-RestMethod"))
    fits(window)


def test_a_value_beyond_what_is_accepted_is_sent_and_never_beside_an_older_answer(
    window: Page, classroom: Classroom
):
    window.goto("/")
    earlier = '"This answers the earlier values. Send it again for these."'
    mark = """wanted => {
        const answers = [...document.querySelectorAll('[class*="st-key-answer-"]')]
        const found = answers.map(answer => getComputedStyle(answer, '::before'))
        return found.length === 1 && (found[0].display === 'none' ? '' : found[0].content) === wanted
    }"""
    window.get_by_role("button", name="Predict", exact=True).click()
    expect(window.get_by_text("FastAPI answered in")).to_be_visible()
    window.wait_for_function(mark, arg="")
    field = window.get_by_label("petal length (cm)", exact=True)
    field.fill("99")
    window.wait_for_function(mark, arg=earlier)
    fits(window)
    field.press("Enter")
    expect(window.get_by_text("FastAPI refused the input").first).to_be_in_viewport()
    expect(window.get_by_text("FastAPI answered in")).to_be_hidden()
    link = window.get_by_role("link", name="400 Feature out of range")
    expect(link).to_have_attribute("href", f"{classroom.fastapi.url}/problems/out-of-range")
    window.wait_for_function(mark, arg="")
    window.get_by_label("petal length (cm)", exact=True).fill("9")
    window.get_by_role("button", name="Predict", exact=True).click()
    expect(window.get_by_text("Outside its training: petal length 9 (1 to 6.9).")).to_be_visible()
    fits(window)


@pytest.mark.parametrize("window", ["phone"], indirect=True)
def test_recent_requests_outlive_a_reload_and_are_sent_again(window: Page):
    window.goto("/")
    for preset, width in (("setosa", "0.2"), ("virginica", "2.5")):
        window.get_by_role("button", name=preset).click()
        expect(window.get_by_label("petal width (cm)", exact=True).first).to_have_value(width)
        window.get_by_role("button", name="Predict", exact=True).click()
        expect(window.get_by_role("heading", name=re.compile(f"^{preset}, "))).to_be_in_viewport()
    window.reload()
    recent = window.get_by_role("combobox", name="The last 2 of this browser")
    expect(recent).to_have_value(re.compile("/predict · 200 · virginica"))
    expect(window.get_by_text("Nothing sent yet.")).to_be_visible()
    window.get_by_role("button", name="Send it again").click()
    expect(window.get_by_role("combobox", name="The last 3 of this browser")).to_be_visible()
    window.get_by_text("Raw", exact=True).click()
    expect(window.get_by_text('{"features": [6.3, 3.3, 6.0, 2.5]}', exact=False).last).to_be_visible()
    fits(window)
    other = window.context.browser.new_context(base_url=window.url).new_page()
    other.goto("/")
    expect(other.get_by_text("Nothing sent yet.")).to_be_visible()
    expect(other.get_by_role("heading", name="Recent requests")).to_be_hidden()
    other.context.close()


@pytest.mark.parametrize("window", ["laptop"], indirect=True)
def test_with_the_keyboard_alone(window: Page):
    window.goto("/")
    field = window.get_by_label("petal length (cm)", exact=True)
    field.focus()
    field.fill("5.9")
    field.press("Enter")
    expect(window.get_by_text("FastAPI answered in")).to_be_visible()
    expect(window.get_by_text('{"features": [5.1, 3.5, 5.9, 0.2]}', exact=False).first).to_be_visible()
    for _ in range(40):  # to the next choice, past the answer, as a person would
        window.keyboard.press("Tab")
        if window.evaluate("document.activeElement.getAttribute('aria-label') || ''").startswith("Vary"):
            break
    window.keyboard.type("sepal width")
    window.get_by_role("option", name="sepal width").wait_for()
    window.keyboard.press("Enter")
    expect(window.get_by_text("The dotted upright line is at 3.5")).to_be_visible()
    window.get_by_role("link", name="Load").focus()
    window.keyboard.press("Enter")
    expect(window.get_by_role("button", name="Start")).to_be_visible()
    window.get_by_role("button", name="Start").focus()
    window.keyboard.press("Enter")
    expect(window.get_by_text(re.compile("sent, .* answered"))).to_be_visible()
    window.get_by_role("button", name="Stop the test").focus()
    window.keyboard.press("Enter")
    expect(window.get_by_text(re.compile("^Stopped after"))).to_be_visible()


def test_compare(window: Page, classroom: Classroom):
    window.goto("/compare")
    window.get_by_role("button", name="versicolor").click()
    window.get_by_role("button", name="Send to both").click()
    expect(window.get_by_text("Both answer alike: versicolor")).to_be_visible()
    expect(window.get_by_text("Headers that differ")).to_be_visible()
    expect(window.get_by_text("traceparent, which trace")).to_be_visible()
    expect(window.get_by_text("Line by line, the two bodies are the same")).to_be_visible()
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
    link = window.get_by_role("link", name="400 Invalid JSON").first
    expect(link).to_have_attribute("href", f"{classroom.fastapi.url}/problems/invalid-json")
    expect(window.get_by_text('{"features": [NaN, 3.2, 4.7, 1.4]}', exact=False)).to_be_visible()
    fits(window)


def test_batch(window: Page):
    window.goto("/batch")
    button = window.get_by_role("button", name="Predict all")
    press_until(button, window.get_by_role("heading", name="3 of 3 rows predicted"))
    window.get_by_label("Rows as CSV").fill("5.1,3.5,1.4,0.2\n99,3.5,1.4,0.2\n5.1,,1.4,0.2")
    window.get_by_role("button", name="Predict all").click()
    expect(window.get_by_role("heading", name="1 of 3 rows predicted")).to_be_visible()
    expect(window.get_by_role("cell", name="sepal width is missing")).to_be_visible()
    fits(window)
    with window.expect_download() as download:
        window.get_by_role("button", name="Download the answers").click()
    rows = Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert rows[0] == "line,prediction,probability,sepal length,sepal width,petal length,petal width"
    assert len(rows) == 2 and rows[1].startswith("1,setosa,0.98")
    window.get_by_role("tab", name="A CSV file").click()
    for content, said in (
        (b"5;3,5;1;0\n6,3;3,3;6;2,5\n", "2 of 2 rows predicted"),
        ("é,1,2,3".encode("latin-1"), "The file is not text in UTF-8."),
    ):
        button = window.get_by_role("button", name="Predict the file")
        expect(button).to_be_disabled()
        file = {"name": "rows.csv", "mimeType": "text/csv", "buffer": content}
        window.locator("input[type=file]").set_input_files(file)
        button.click()
        expect(window.get_by_text(said).first).to_be_visible()
        fits(window)
        window.get_by_role("button", name="Remove rows.csv").click()
    large = {"name": "rows.csv", "mimeType": "text/csv", "buffer": b"1,2,3,4\n" * 700_000}
    window.locator("input[type=file]").set_input_files(large)
    expect(window.get_by_text("File must be 5.0MB or smaller.")).to_be_visible()


@pytest.mark.parametrize("window", ["phone"], indirect=True)
def test_health_follows_a_server_that_goes_and_comes_back(window: Page, classroom: Classroom):
    window.goto("/health")
    expect(window.get_by_text("yes: it predicts")).to_have_count(2)
    window.evaluate("document.body.dataset.loaded = 'once'")
    classroom.flask.stop()
    expect(window.get_by_text("Flask is not running")).to_be_visible()
    expect(window.get_by_text("python -m apps.flask_app").first).to_be_visible()
    fits(window)
    window.get_by_role("link", name="Predict").click()
    window.get_by_role("radio", name="Flask").click()
    expect(window.get_by_text("from FastAPI's model card")).to_be_visible()
    window.get_by_role("link", name="Health").click()
    expect(window.get_by_text("Flask is not running")).to_be_visible()
    classroom.start_flask()
    expect(window.get_by_text("yes: it predicts")).to_have_count(2)
    assert window.evaluate("document.body.dataset.loaded") == "once"


def test_health_draws_both_servers(window: Page, classroom: Classroom):
    window.goto("/health")
    expect(window.get_by_role("heading", name="Requests a second")).to_be_visible()
    for server in (classroom.fastapi, classroom.flask):
        for body in ({"features": [5.1, 3.5, 1.4, 0.2]}, {"features": [5.1]}):
            server.post("/predict", json=body)
    for server in ("FastAPI", "Flask"):
        expect(window.get_by_text(re.compile(f"{server}: .* at most 0 %"))).to_be_visible()
    expect(window.get_by_test_id("stVegaLiteChart").locator("canvas, svg")).to_have_count(4)
    fits(window)


def test_a_load_test_goes_on_through_a_reload(window: Page):
    window.goto("/load")
    window.get_by_role("radio", name="My own").click()
    window.get_by_label("Requests a second").fill("40")
    window.get_by_label("Seconds for each server").fill("6")
    window.get_by_label("Seconds for each server").press("Tab")
    window.get_by_role("button", name="Start").click()
    expect(window.get_by_text("240 requests to each server, in 2 turns of 3 s.")).to_be_visible()
    expect(window.get_by_role("button", name="Start")).to_be_hidden()
    expect(window.get_by_text(re.compile("sent, .* answered"))).to_be_visible()
    window.reload()
    expect(window.get_by_role("button", name="Stop the test")).to_be_visible()
    fits(window)
    expect(window.get_by_role("heading", name=re.compile("40 requests a second"))).to_be_visible(
        timeout=60_000
    )
    expect(window.get_by_role("table")).to_contain_text("p99, ms")
    expect(window.get_by_test_id("stVegaLiteChart").locator("canvas, svg")).to_have_count(3)
    expect(window.get_by_role("button", name="Start")).to_be_visible()
    window.reload()
    expect(window.get_by_role("heading", name=re.compile("40 requests a second"))).to_be_visible()
    fits(window)


@pytest.mark.parametrize("window", ["phone"], indirect=True)
def test_a_load_test_ends_with_the_page_s_server(window: Page, classroom: Classroom, generators):
    env = {"FASTAPI_URL": classroom.fastapi.url, "FLASK_URL": classroom.flask.url}
    with serve("ui", env=env) as ui:
        window.goto(f"{ui.url}/load")
        window.get_by_role("radio", name="Steady").click()
        window.get_by_role("button", name="Start").click()
        expect(window.get_by_text(re.compile("sent, .* answered"))).to_be_visible()
        (process,) = generators(ui.process.pid)
    psutil.wait_procs([process], timeout=10)
    assert not process.is_running()


def test_dark_is_dark(browser: Browser, classroom: Classroom):
    for scheme, background in (("dark", "rgb(20, 25, 31)"), ("light", "rgb(248, 246, 242)")):
        page = browser.new_context(color_scheme=scheme, base_url=classroom.ui.url).new_page()
        page.goto("/health")
        expect(page.get_by_test_id("stApp")).to_have_css(
            "background-color", background, timeout=PATIENCE * 1000
        )
        page.context.close()
