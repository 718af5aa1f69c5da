"""What a browser keeps of a page that is left is asked for again when it comes back."""

from datetime import timedelta

import pytest

from tests.browser.conftest import fill

pytestmark = pytest.mark.browser
ENDED = "Your chart session ended"
# As people's browsers have it; pages that may not be stored are kept, too.
KEEPS = "--enable-features=BackForwardCache,CacheControlNoStoreEnterBackForwardCache"
NEVER_KEEPS = "--disable-back-forward-cache"
HOW = "performance.getEntriesByType('navigation')[0].type"


def launch(page, site):
    """Open the app in Rosa's chart, then in a window of its own; return that."""
    page.goto(f"{site.ehr}/ehr/patient/rosa")
    page.get_by_role("link", name="Launch CareCue").click()
    frame = page.frame_locator("iframe.app")
    frame.locator("#h-answer").wait_for(timeout=60_000)
    frame.get_by_role("button", name="Open in a window").click()
    frame.get_by_text("It works once, for 30 seconds.").wait_for()
    with page.context.expect_page() as opening:
        frame.get_by_role("button", name="Open in a window").click()
    window = opening.value
    window.locator("#h-answer").wait_for(timeout=60_000)
    return window


@pytest.fixture
def page(chromium, tmp_path):
    """Return a page of a Chromium that keeps pages whole when they are left."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path,
            executable_path=chromium,
            args=["--no-sandbox", KEEPS],
            ignore_default_args=[NEVER_KEEPS],
        )
        yield context.new_page()
        context.close()


def test_a_page_that_was_kept_is_asked_for_again(page, site):
    fill(site)
    window = launch(page, site)
    for heading in ("Text Rosa in Spanish", ENDED):
        window.goto(f"{site.ehr}/ehr/patient/rosa")
        if heading == ENDED:
            site.move(timedelta(minutes=31))
        window.go_back()
        # It was brought back whole and blank, and loaded itself anew.
        window.wait_for_function(f"{HOW} === 'reload'")
        window.get_by_role("heading", name=heading).first.wait_for()
    assert "Rosa" not in window.content()
