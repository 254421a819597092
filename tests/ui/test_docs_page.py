"""The page at /docs of both full servers, in a real browser that may fetch nothing from elsewhere."""

import json

import pytest
from playwright.sync_api import Browser, Page, expect

SIZES = {"laptop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}


def watched(browser: Browser, size: str) -> tuple[Page, list[str], list[str]]:
    """A page, what it asks for, and its faults."""
    page = browser.new_context(viewport=SIZES[size]).new_page()
    asked, faults = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    return page, asked, faults


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["fastapi", "flask"])
def test_it_lists_every_route_and_tries_one_out_without_a_network(full, browser: Browser, name, size):
    server = full[name]
    page, asked, faults = watched(browser, size)
    page.goto(f"{server.url}/docs")
    expect(page.get_by_text(f"Answered by {name}_app")).to_be_visible()
    listed = page.locator(".opblock:visible .opblock-summary-path").evaluate_all(
        "found => found.map(one => one.dataset.path)"
    )
    assert set(listed) == set(server.get("/openapi.json").json()["paths"])

    box = page.locator("#operations-predictions-post_predict")
    box.locator(".opblock-summary-control").click()
    box.get_by_role("button", name="Try it out").click()
    box.locator(".opblock-section-request-body .examples-select-element").select_option("virginica")
    box.get_by_role("button", name="Execute").click()
    live = box.locator(".live-responses-table")
    expect(live.locator(".response-col_status").last).to_contain_text("200")
    answer = json.loads(live.locator("pre.microlight").first.inner_text())
    assert answer["label"] == "virginica"

    box.get_by_role("textbox").fill('{"features": [1, 2, 3]}')
    box.get_by_role("button", name="Execute").click()
    expect(live.locator("pre.microlight").first).to_contain_text("/problems/invalid-input")

    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]
    assert all(url.startswith((server.url, "data:")) for url in asked)
    # the refusal above is one that the browser tells of by itself
    assert [fault for fault in faults if "400" not in fault] == []
    page.context.close()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["fastapi", "flask"])
def test_the_button_authorize_signs_in_with_a_password_or_a_key(guarded, browser: Browser, name, size):
    from credentials import PASSWORD

    server = guarded.servers[name]
    key, _ = guarded.accounts.add_key("alice", "for the page", ["predict"])
    page, asked, faults = watched(browser, size)
    page.goto(f"{server.url}/docs")
    box = page.locator("#operations-predictions-post_predict")
    box.locator(".opblock-summary-control").click()
    box.get_by_role("button", name="Try it out").click()
    status = box.locator(".live-responses-table .response-col_status").last

    def ask(expected: str) -> None:
        box.get_by_role("button", name="Execute").click()
        expect(status).to_contain_text(expected)
        box.get_by_role("button", name="Clear").click()

    ask("401")
    authorize, close = page.locator(".auth-wrapper .btn.authorize").first, page.locator(".btn-done").first
    authorize.click()
    form = page.locator(".auth-container", has_text="Flow: password")
    form.locator("#oauth_username").fill("alice")
    form.locator("#oauth_password").fill("wrong")
    form.get_by_role("button", name="Apply given OAuth2 credentials").click()
    expect(form.locator(".errors")).to_be_visible()
    form.locator("#oauth_password").fill(PASSWORD)
    form.locator("label[for^='predict']").click()
    form.get_by_role("button", name="Apply given OAuth2 credentials").click()
    expect(form.locator(".btn", has_text="Logout")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]
    close.click()
    ask("200")

    authorize.click()
    form.locator(".btn", has_text="Logout").click()
    own = page.locator(".auth-container", has_text="X-API-Key")
    own.get_by_role("textbox").fill(key)
    own.locator(".btn.authorize").click()
    expect(own.locator(".btn", has_text="Logout")).to_be_visible()
    close.click()
    ask("200")

    assert all(url.startswith((server.url, "data:")) for url in asked)
    assert not [url for url in asked if PASSWORD in url or key in url]
    assert [fault for fault in faults if "401" not in fault] == []  # of which the browser tells by itself
    page.context.close()
