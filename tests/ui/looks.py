"""Whether a page can be used by whoever looks at it, in a window of any size or with a screen reader."""

import time
from importlib.util import find_spec
from pathlib import Path

from playwright.sync_api import Locator, Page, TimeoutError

LAPTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
DRAWN_SECONDS = 60  # until nothing of a page is pale any more, as it is while Streamlit draws
KINDS = {
    "laptop": {"viewport": LAPTOP, "color_scheme": "light"},
    "phone": {"viewport": PHONE, "color_scheme": "dark"},
}
# https://github.com/dequelabs/axe-core, without the package's import, which fails where text is not UTF-8
AXE = Path(find_spec("axe_playwright_python").origin).with_name("axe.min.js").read_text(encoding="utf-8")
VIOLATIONS = """async () => {
    const streamlits = {'presentation-role-conflict': {enabled: false}}  // its file uploader
    const {violations} = await axe.run({resultTypes: ['violations'], rules: streamlits})
    return violations.map(found => [found.id, found.impact, found.nodes[0].html])
}"""


def fits(page: Page) -> None:
    """Nothing is wider than the window, and axe finds nothing that is hard to see or to read out."""
    width = page.viewport_size["width"]
    drawn = "document.querySelector('.stMain') ?? document.documentElement"
    page.wait_for_function(f"width => ({drawn}).scrollWidth <= width", arg=width)
    page.evaluate(AXE)
    end = time.monotonic() + DRAWN_SECONDS
    while (found := page.evaluate(VIOLATIONS)) and time.monotonic() < end:
        page.wait_for_timeout(100)
    assert not found, found


def press_until(button: Locator, shown: Locator) -> None:
    """As people do who see nothing come of their press: once more. It may fall on a button that the page is
    drawing again."""
    button.click()
    for last in (False, False, True):
        try:
            return shown.wait_for(timeout=None if last else 10_000)
        except TimeoutError:
            if last:
                raise
            if button.is_visible():
                button.click()


def choose(page: Page, label: str, option: str) -> None:
    """From a list that filters what is typed. It closes when the page scrolls or is drawn anew, so it is
    opened until the option shows."""
    box = page.get_by_role("combobox", name=label)
    found = page.get_by_role("option", name=option).first
    for last in (False, False, False, True):
        box.scroll_into_view_if_needed()
        box.fill("")
        box.fill(option)
        try:
            found.wait_for(timeout=None if last else 5_000)
            break
        except TimeoutError:
            if last:
                raise
    box.press("Enter")
