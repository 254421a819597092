"""A chat in a real browser: read as it comes, stopped, with both servers, one of which dies in the middle."""

import re
from contextlib import suppress
from dataclasses import dataclass

import pytest
from classroom.servers import Server, serve
from looks import KINDS, fits
from playwright.sync_api import Browser, Locator, Page, TimeoutError, expect
from talkative import talkative


@dataclass
class Classroom:
    """The page and both servers. Flask can be killed, and started again where the page looks for it."""

    ui: Server
    flask: Server
    env: dict[str, str]

    def start_flask(self) -> None:
        self.flask.stop()  # what is left of it
        self.flask = Server("flask", env=self.env, port=self.flask.port)
        self.flask.wait()


@pytest.fixture(scope="module")
def classroom(iris_root, tmp_path_factory):
    with talkative() as further:
        env = {"MODEL_PATH": str(iris_root / "models" / "iris"), "METRICS_PORT": "0", "GENERATION": "on"}
        env |= {"GENERATION_URL": f"{further.url}/v1", "GENERATION_CLASSIFIER": "off"}
        env["GENERATION_FOLDER"] = str(tmp_path_factory.mktemp("generation"))
        with serve("fastapi", env=env) as fastapi, serve("flask", env=env) as flask:
            with serve("ui", env={"FASTAPI_URL": fastapi.url, "FLASK_URL": flask.url}) as ui:
                running = Classroom(ui, flask, env)
                yield running
            running.flask.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_a_chat(browser: Browser, classroom: Classroom, kind: str):
    page = browser.new_context(**KINDS[kind], base_url=classroom.ui.url).new_page()
    page.goto("/chat")
    field = page.get_by_role("textbox", name="Your prompt")
    expect(page.get_by_text(re.compile("FastAPI: only · today"))).to_be_visible()
    fits(page)

    field.fill("slowly")
    field.press("Enter")
    expect(page.get_by_text(re.compile("step 3,"))).to_be_in_viewport()
    expect(field).to_be_disabled()
    stop(page, "Escape" if kind == "laptop" else "click")
    expect(page.get_by_text(re.compile("step 3,"))).to_be_visible()

    if kind == "laptop":  # the cursor is where the next prompt is written
        expect(field).to_be_focused()
        page.keyboard.type("hello")
        page.keyboard.press("Enter")
    else:
        field.fill("hello")
        page.get_by_role("button", name="Send message").click()
    expect(page.get_by_text("Well, hello")).to_be_in_viewport()
    expect(page.get_by_text("It is whole:")).to_be_visible()

    choose_both(page, by_keyboard=kind == "laptop")
    field.fill("slowly")
    field.press("Enter")
    expect(page.get_by_text(re.compile("step 3,"))).to_have_count(3)
    if kind == "phone":
        stop(page, "click", of=3)
        expect(page.get_by_role("heading", name="Side by side")).to_be_visible()
        fits(page)
    else:
        a_server_dies(page, classroom)
    page.context.close()


def a_server_dies(page: Page, classroom: Classroom) -> None:
    """In the middle of its answer, while the other one goes on."""
    classroom.flask.process.kill()
    gone = page.get_by_text("Flask went away in the middle of its answer.")
    expect(gone).to_be_visible()
    expect(stop_button(page)).to_be_visible()  # FastAPI goes on
    stop(page, "Enter", of=2)
    expect(page.get_by_text(re.compile("step 3,"))).to_have_count(3)  # Flask's is kept, as far as it came
    fits(page)

    classroom.start_flask()
    page.get_by_role("button", name="Send it again").press("Enter")
    expect(gone).to_be_hidden()
    expect(page.get_by_text(re.compile("step 3,"))).to_have_count(3)
    page.reload()  # it goes on
    expect(stop_button(page)).to_be_visible()
    stop(page, "Enter", of=3)
    page.locator("summary", has_text="Settings").press("Enter")
    expect(page.get_by_label("temperature")).to_be_visible()
    fits(page)


def stop_button(page: Page) -> Locator:
    """The chat's. Streamlit has one of its own at the top, while a page is drawn for long."""
    return page.get_by_role("button", name="Stop").and_(page.get_by_test_id("stBaseButton-secondary"))


def stop(page: Page, by: str, of: int = 1) -> None:
    """As people do who see no answer to their press: once more. A press may fall on a button that the page is
    drawing again, or that goes since the press before it was heard after all. After it `of` answers are
    stopped."""
    stopped, button = page.get_by_text("Stopped by you."), stop_button(page)
    for _ in range(4):
        with suppress(TimeoutError):
            if by == "Escape":
                page.keyboard.press("Escape")
            elif by == "Enter":
                button.press("Enter", timeout=10_000)
            else:
                button.click(timeout=10_000)
        try:
            return expect(stopped).to_have_count(of, timeout=10_000)
        except AssertionError as not_yet:
            unheard = not_yet
    raise unheard


def choose_both(page: Page, by_keyboard: bool) -> None:
    both = page.get_by_role("radio", name="Both")
    expect(both).to_be_enabled()
    if by_keyboard:
        both.press("Space")
    else:
        both.click()
    expect(both).to_be_checked()
    expect(page.get_by_text(re.compile("Flask: only · today"))).to_be_visible()
