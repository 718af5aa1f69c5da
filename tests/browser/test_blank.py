"""A sign-in that refuses the EHR's frame: the launch says so and offers a window."""

from dataclasses import replace
from urllib.parse import urlencode

import pytest
from flask import redirect, request

from middleware.storage.endpoints import update_endpoint

pytestmark = pytest.mark.browser

PAGE = "<h1>Sign in</h1>", 200, {"X-Frame-Options": "DENY"}


def refuse():
    """Answer as a sign-in that no frame may show; in a window people are signed in."""
    windowed = request.headers.get("Sec-Fetch-Dest") == "document"
    asked = request.path == "/oauth/authorize"
    return PAGE if asked and not windowed else None


def refuse_strangers():
    """Answer the page to whoever brings no launch; whoever does is signed in already."""
    asked = request.path == "/oauth/authorize" and "launch" not in request.values
    return PAGE if asked else None


def sign_in_by(site, answer, **profile) -> None:
    """Sign in as a server of which no more is known does, and by this answer."""
    with site.runtime.database.tx() as tx:
        update_endpoint(tx, replace(site.endpoint, profile=profile))
    site.sandbox.app.before_request_funcs.setdefault(None, []).append(answer)


def launch(page, site):
    page.goto(f"{site.ehr}/ehr/patient/rosa")
    page.get_by_role("link", name="Launch CareCue").click()
    return page.frame_locator("iframe.app")


def open_in_window(context, site, told) -> None:
    """Take the window that is offered; the chart's patient is in it."""
    with context.expect_page() as opening:
        told.get_by_role("link", name="Open in a window").click()
    window = opening.value
    window.locator("#h-answer").wait_for(timeout=30_000)
    assert window.url.startswith(f"{site.app}/l/")
    assert "Rosa" in window.locator("#main").inner_text()


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_the_first_launch_offers_a_window_in_place_of_a_blank_frame(
    browser, site, script, axe, broken
):
    context = browser.new_context(java_script_enabled=script)
    page = context.new_page()
    sign_in_by(site, refuse)
    launched = launch(page, site)
    told = launched.locator("main")
    told.get_by_text("refuses to be shown in this frame").wait_for(timeout=20_000)
    assert "Rosa" not in told.inner_text()
    if script:
        # What the browser shows of the refusal tells nobody anything.
        assert not launched.locator("iframe").is_visible()
        inner = next(one for one in page.frames if one.url.startswith(site.app))
        assert broken(inner, axe) == []
    open_in_window(context, site, told)


@pytest.mark.parametrize("posted", [False, True], ids=["get", "post"])
def test_who_is_signed_in_without_a_page_comes_in_by_the_frame(browser, site, posted):
    sign_in_by(site, refuse_strangers, authorize_post=posted)
    page = browser.new_page()
    frame = launch(page, site)
    frame.locator("#h-answer").wait_for(timeout=30_000)
    assert not [one for one in page.frames if one.parent_frame in page.frames[1:]]
    other = browser.new_context().new_page()
    with other.expect_response("**/smart/launch*") as first:
        launch(other, site).locator("#h-answer").wait_for(timeout=30_000)
    # Known by now: nothing is tried beforehand.
    assert first.value.status == (200 if posted else 303)


def test_a_sign_in_that_says_no_is_told_within_the_page(browser, site):
    def say_no():
        asked = request.path == "/oauth/authorize" and "launch" in request.args
        state = request.args.get("state", "")
        said = urlencode(
            {"error": "access_denied", "state": state, "iss": f"{site.ehr}/fhir"}
        )
        back = f"{site.app}/smart/callback?{said}"
        return redirect(back) if asked else refuse_strangers()

    sign_in_by(site, say_no)
    frame = launch(browser.new_page(), site)
    told = frame.frame_locator("iframe").locator("main")
    told.get_by_text("The EHR did not let this app in.").wait_for(timeout=20_000)
    assert "access_denied" in told.inner_text()


def test_without_script_the_frame_is_tried_by_a_click(browser, site):
    sign_in_by(site, refuse_strangers)
    page = browser.new_context(java_script_enabled=False).new_page()
    frame = launch(page, site)
    frame.get_by_role("link", name="Try it here").click(timeout=20_000)
    frame.locator("#h-answer").wait_for(timeout=30_000)
    assert "Rosa" in frame.locator("#main").inner_text()


def refuse_frame():
    """Answer, in a frame, as a sign-in that may not be shown in any."""
    framed = request.headers.get("Sec-Fetch-Dest") == "iframe"
    if framed and request.path == "/oauth/authorize":
        return "<h1>Sign in</h1>", 200, {"X-Frame-Options": "DENY"}
    return None


def open_before(page, site) -> None:
    """Come back from the frame once, so that it is gone to at once."""
    launch(page, site).locator("#h-answer").wait_for(timeout=30_000)


def test_a_blank_frame_is_told_at_the_next_launch_and_opened_in_a_window(browser, site):
    open_before(browser.new_context().new_page(), site)
    context = browser.new_context()
    page = context.new_page()
    sign_in_by(site, refuse_frame)
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
    open_in_window(context, site, told)
