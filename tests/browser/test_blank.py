"""A sign-in that refuses the EHR's frame: the next launch says so and offers a window."""

import pytest
from flask import request

pytestmark = pytest.mark.browser


def refuse_frame():
    """Answer, in a frame, as a sign-in that may not be shown in any."""
    framed = request.headers.get("Sec-Fetch-Dest") == "iframe"
    if framed and request.path == "/oauth/authorize":
        return "<h1>Sign in</h1>", 200, {"X-Frame-Options": "DENY"}
    return None


def test_a_blank_frame_is_told_at_the_next_launch_and_opened_in_a_window(browser, site):
    context = browser.new_context()
    page = context.new_page()
    site.sandbox.app.before_request_funcs.setdefault(None, []).append(refuse_frame)
    chart = f"{site.ehr}/ehr/patient/rosa"
    page.goto(chart)
    with page.expect_response("**/oauth/authorize*") as refused:
        page.get_by_role("link", name="Launch CareCue").click()
    assert refused.value.headers["x-frame-options"] == "DENY"
    with site.runtime.database.tx() as tx:
        tx.execute("UPDATE launch SET created_at = created_at - interval '20 seconds'")
    page.goto(chart)
    page.get_by_role("link", name="Launch CareCue").click()
    frame = page.frame_locator("iframe.app")
    told = frame.locator("main")
    told.get_by_text("did not come back from this frame").wait_for(timeout=20_000)
    assert "Rosa" not in told.inner_text()
    with context.expect_page() as opening:
        told.get_by_role("link", name="Open in a window").click()
    window = opening.value
    window.locator("#h-answer").wait_for(timeout=30_000)
    assert window.url.startswith(f"{site.app}/l/")
    assert "Rosa" in window.locator("#main").inner_text()
