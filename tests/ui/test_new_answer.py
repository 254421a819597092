"""A new answer is scrolled to and stays in view while the page around it is drawn, until somebody moves."""

import looks
import pytest
from classroom.servers import serve
from playwright.sync_api import Browser, Page, expect


@pytest.fixture(scope="module")
def ui(full):
    env = {"FASTAPI_URL": full["fastapi"].url, "FLASK_URL": full["flask"].url}
    with serve("ui", env=env) as page:
        yield page.url


# As Streamlit does on a busy machine: all that there is goes, and comes back in another frame.
DRAWN_ANEW = """async () => {
    const block = document.querySelector('.stMainBlockContainer')
    const frame = () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))
    for (const display of ['none', '']) {
        for (const part of block.children) part.style.display = display
        await frame()
    }
}"""


@pytest.mark.parametrize("size", [looks.LAPTOP, looks.PHONE], ids=["laptop", "phone"])
def test_it_stays_in_view_until_somebody_moves(browser: Browser, ui: str, size: dict):
    page = browser.new_context(viewport=size, base_url=ui).new_page()
    answered = predict_all(page)
    expect(answered).to_be_in_viewport()
    page.evaluate(DRAWN_ANEW)
    expect(answered).to_be_in_viewport()
    page.mouse.wheel(0, -5_000)
    expect(page.get_by_role("heading", name="Batch")).to_be_in_viewport()
    page.evaluate(DRAWN_ANEW)
    expect(page.get_by_role("heading", name="Batch")).to_be_in_viewport()
    page.context.close()


def test_an_answer_is_scrolled_to_once_and_the_next_one_again(browser: Browser, ui: str):
    page = browser.new_context(viewport=looks.PHONE, base_url=ui).new_page()
    answered = predict_all(page)
    expect(answered).to_be_in_viewport()
    page.get_by_role("link", name="Health").click()
    expect(page.get_by_role("heading", name="Health")).to_be_visible()
    page.get_by_role("link", name="Batch").click()
    expect(answered).to_be_visible()
    expect(page.get_by_role("heading", name="Batch")).to_be_in_viewport()
    page.get_by_role("button", name="Predict all").click()
    expect(answered).to_be_in_viewport()
    page.context.close()


def predict_all(page: Page):
    page.goto("/batch")
    page.get_by_role("button", name="Predict all").click()
    answered = page.get_by_role("heading", name="3 of 3 rows predicted")
    expect(answered).to_be_visible()
    return answered
