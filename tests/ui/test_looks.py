"""What every page is looked at with finds what is wrong with a page."""

import looks
import pytest
from playwright.sync_api import Browser, TimeoutError

PAGE = "<html lang=en><title>A page</title><main><h1>A page</h1>{}</main></html>"
WRONG = {
    "color-contrast": "<p style='color: #aaa; background: #fff'>pale</p>",
    "image-alt": "<img src='data:,'>",
    "label": "<input>",
}


@pytest.mark.parametrize("rule", WRONG)
def test_what_is_hard_to_see_or_to_read_out_is_found(browser: Browser, monkeypatch, rule):
    monkeypatch.setattr(looks, "DRAWN_SECONDS", 0)
    page = browser.new_page(**looks.KINDS["laptop"])
    page.set_content(PAGE.format(WRONG[rule]))
    with pytest.raises(AssertionError, match=rule):
        looks.fits(page)
    page.set_content(PAGE.format("<p>Nothing is wrong here.</p>"))
    looks.fits(page)
    page.close()


def test_what_is_wider_than_the_window_is_found(browser: Browser):
    page = browser.new_page(**looks.KINDS["phone"])
    page.set_default_timeout(500)
    page.set_content(PAGE.format("<p style='width: 500px'>wide</p>"))
    with pytest.raises(TimeoutError):
        looks.fits(page)
    page.close()
