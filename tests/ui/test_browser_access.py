"""Signing in with a real browser, at guarded servers; and that nothing secret is left anywhere."""

import re
from contextlib import suppress
from pathlib import Path

import pytest
from classroom.servers import serve
from credentials import PASSWORD, guarded_pair
from looks import KINDS, fits
from playwright.sync_api import Browser, Page, expect

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def classroom(tmp_path_factory, iris_root):
    """The page and both servers, which ask who comes."""
    folder, model = tmp_path_factory.mktemp("access"), iris_root / "models" / "iris"
    with guarded_pair(folder, model, {"RATE_LIMITS": "predict=150/minute,jobs=60/minute"}) as guarded:
        for kind in KINDS:
            guarded.accounts.add(f"busy-{kind}", ["predict", "jobs"], password=PASSWORD)
        urls = {f"{name.upper()}_URL": server.url for name, server in guarded.servers.items()}
        with serve("ui", env=urls) as ui:
            yield guarded, ui


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.get_by_role("link", name="Access", exact=True).click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()


def sign_out(page: Page) -> None:
    page.get_by_role("link", name="Access", exact=True).click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()


@pytest.mark.parametrize("kind", KINDS)
def test_from_signing_in_to_signing_out(browser: Browser, classroom, kind):
    guarded, ui = classroom
    page = browser.new_context(**KINDS[kind], base_url=ui.url).new_page()
    addresses = []
    page.on("request", lambda request: addresses.append(request.url))
    page.goto("/")
    expect(page.get_by_text("FastAPI has access on, and does not know who asks.")).to_be_visible()
    page.get_by_role("link", name="To the page Access").first.click()
    sign_in(page, f"busy-{kind}", "a wrong password")
    expect(page.get_by_text("Flask knows no such credentials.")).to_be_visible()
    expect(page.get_by_label("Password", exact=True)).to_have_value("")
    fits(page)
    sign_in(page, f"busy-{kind}")
    expect(page.get_by_text("Signed in at Flask.")).to_be_visible()
    expect(page.get_by_text(re.compile("predict: .* of 150 left in 60 seconds")).first).to_be_visible()

    page.get_by_label("What the key is for").fill("a robot")
    page.get_by_role("button", name="Make a key").click()
    expect(page.get_by_text("It is shown this once")).to_be_visible()
    key = page.get_by_text(re.compile("^sk_[0-9a-f]{8}_.{43}$")).inner_text()
    fits(page)
    page.screenshot(path=f"{guarded.folder}/key-{kind}.png", full_page=True)
    page.get_by_role("button", name="I have copied it").click()
    expect(page.get_by_text(key)).to_have_count(0)
    assert guarded.servers["flask"].get("/me", headers={"X-API-Key": key}).status_code == 200
    page.get_by_role("button", name=f"Revoke {key[:11]}").click()
    page.get_by_role("button", name="Revoke it").click()
    expect(page.get_by_text("There are none yet.")).to_be_visible()

    page.get_by_role("link", name="Predict", exact=True).click()
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(page.get_by_text("FastAPI answered in")).to_be_visible()
    expect(page.get_by_text("$SERVELAB_TOKEN").first).to_be_visible()
    page.get_by_role("link", name="Compare", exact=True).click()
    page.get_by_role("tab", name="Many times").click()
    page.get_by_role("button", name="Measure").click()
    expect(page.get_by_text("takes no more requests from here for now").first).to_be_visible()
    expect(page.get_by_text(re.compile(r"Try again in \d+ seconds")).first).to_be_visible()
    sign_out(page)

    sign_in(page, "only-jobs")
    expect(page.get_by_text("Signed in at FastAPI.")).to_be_visible()
    page.get_by_role("link", name="Predict", exact=True).click()
    expect(page.get_by_text(re.compile("FastAPI knows who asks, and does not let them"))).to_be_visible()
    fits(page)
    sign_out(page)
    expect(page.get_by_label("Password", exact=True)).to_have_value("")
    fits(page)

    cookies = str(page.context.cookies()) + page.evaluate("JSON.stringify([localStorage, sessionStorage])")
    logs = [path for path in (ROOT / ".kit").rglob("*") if path.is_file()]
    assert logs and {server.log for server in guarded.servers.values()} <= set(logs)
    kept = {}
    for path in [*logs, guarded.folder / "accounts.db"]:
        with suppress(FileNotFoundError):  # of another test's server, which has just stopped
            kept[str(path)] = path.read_bytes()
    for secret in (PASSWORD, PASSWORD.replace(" ", "+"), "a wrong password", "a+wrong+password", key, "eyJ"):
        assert not any(secret in text for text in (*addresses, page.url, page.content(), cookies))
        assert [name for name, content in kept.items() if secret.encode() in content] == []
    page.context.close()
