"""Ways in and out that no chart shows: picker, window, sign-in alone, lock."""

import json
import os
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from middleware.storage.endpoints import update_endpoint
from middleware.wiring.sandbox_control import SandboxControl
from tests.browser.conftest import fill, register_app
from tests.browser.walking import LAUNCH

pytestmark = pytest.mark.browser
SHOTS = os.environ.get("CARECUE_SHOTS")
HALF_A_MINUTE = 31_000
WIDTHS = (1080, 320)
WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
OPENS = re.compile("^Open this chart.*Rosa Delgado$")
LEAVES_PICKING = "context-standalone-patient"


BROUGHT_BACK = "dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))"
SEEN = """document.getElementById('idle').getBoundingClientRect().bottom
    <= innerHeight"""


def launch(page, site):
    """Open the app in Rosa's chart; return its frame."""
    page.goto(f"{site.ehr}/ehr/patient/rosa")
    page.get_by_role("link", name="Launch CareCue").click()
    page.frame_locator("iframe.app").locator("#h-answer").wait_for(timeout=60_000)
    return next(one for one in page.frames if one.url.startswith(site.app))


def check(page, frame, axe, broken, name) -> None:
    """Hold that everybody can read what a frame shows, wide and narrow."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        if frame.parent_frame is not None:
            page.evaluate(FIT, width)
        if SHOTS:
            frame.evaluate("new Promise((done) => setTimeout(done, 120))")
            page.screenshot(
                path=Path(SHOTS) / f"walks-{name}-{width}.png", caret="initial"
            )
        assert broken(frame, axe) == [], (name, width)
        assert frame.evaluate(WIDE) == 0, (name, width)


FIT = """(width) => { const app = document.querySelector('iframe.app').style;
    app.cssText = 'position:fixed;inset:0;z-index:9;border:0;background:#fff';
    app.inlineSize = `${width}px`; app.blockSize = '900px'; }"""


def leave_picking(site) -> None:
    """Let the EHR's sign-in choose no patient."""

    def change(response):
        if response.is_json and "capabilities" in (response.get_json() or {}):
            told = response.get_json()
            told["capabilities"].remove(LEAVES_PICKING)
            response.set_data(json.dumps(told))
        return response

    site.sandbox.app.after_request_funcs.setdefault(None, []).append(change)
    control = SandboxControl(site.sandbox.base_url)
    register_app(control, site.runtime, site.endpoint, picks=True)


def sign_in(page, patient="") -> None:
    """Sign in at the EHR, and allow the app what it asks for."""
    page.get_by_role("button", name="Osei").first.click()
    if patient:
        page.get_by_role("radio", name=patient).check()
    page.get_by_role("button", name="Allow", exact=True).click()


def test_a_patient_is_searched_chosen_and_kept(browser, site, axe, broken):
    fill(site)
    leave_picking(site)
    context = browser.new_context()
    context.set_default_timeout(10_000)
    page = context.new_page()
    site.watch(page)
    page.goto(f"{site.app}/smart/standalone?iss={site.endpoint.fhir_base}")
    sign_in(page)
    page.get_by_role("heading", name="Choose the patient").wait_for()
    picker = page.url
    page.get_by_role("button", name="Search").click()
    page.get_by_text("two letters or more").wait_for()
    assert site.complaints.pop().startswith("error: Failed to load resource")
    rosa = site.sandbox.app.extensions["store"].get("Patient", "rosa")
    page.get_by_label("Name", exact=True).fill("Delgado")
    page.get_by_label("Birth date").fill(rosa["birthDate"])
    page.get_by_label("Birth date").press("Enter")
    page.get_by_text("1 patient found").wait_for()
    check(page, page.main_frame, axe, broken, "picker")
    shown = page.locator("form").last.evaluate("(form) => form.outerHTML")

    page.get_by_role("button", name=OPENS).press("Enter")
    page.locator("#h-answer").wait_for(timeout=60_000)
    assert page.url == picker.removesuffix("patient")
    assert page.locator("body").get_attribute("data-patient") == "Patient/rosa"
    assert "Rosa" in page.locator(".banner strong").last.inner_text()
    page.evaluate(
        "(html) => { document.body.insertAdjacentHTML('beforeend', html); }", shown
    )
    page.get_by_role("button", name=OPENS).click()
    page.get_by_text("was chosen already").wait_for()
    assert "Delgado" not in page.content()
    assert site.complaints.pop().startswith("error: Failed to load resource")
    assert site.complaints == []


def test_a_window_of_its_own_opens_once_on_the_same_patient(browser, site, axe, broken):
    fill(site)
    context = browser.new_context()
    context.set_default_timeout(10_000)
    page = context.new_page()
    site.watch(page)
    frame = launch(page, site)
    frame.get_by_role("button", name="Open in a window").click()
    frame.get_by_text("It works once, for 30 seconds.").wait_for()
    check(page, frame, axe, broken, "window")
    with context.expect_page() as opening:
        frame.get_by_role("button", name="Open in a window").click()
    window = opening.value
    site.watch(window)
    window.locator("#h-answer").wait_for(timeout=60_000)
    assert LAUNCH.search(window.url)[1] != LAUNCH.search(frame.url)[1]
    assert window.evaluate("[opener, top === self]") == [None, True]
    assert "Rosa" in window.locator(".banner strong").last.inner_text()
    assert window.locator("body").get_attribute("data-patient") == "Patient/rosa"

    with context.expect_page() as again:
        frame.get_by_role("button", name="Open in a window").click()
    again.value.get_by_text("This window was opened before").wait_for()
    assert "Rosa" not in again.value.content()
    frame.get_by_role("link", name="Back to the page").click()
    frame.locator("#h-answer").wait_for(timeout=60_000)
    for one in (frame, window):
        one.goto(one.url)
        one.locator("#h-answer").wait_for(timeout=60_000)
        assert one.locator("body").get_attribute("data-patient") == "Patient/rosa"
    assert site.complaints == []
    # A browser that brings back what it kept of a page shows nothing of it either.
    site.move(timedelta(minutes=31))
    for one in (frame, window):
        one.evaluate("dispatchEvent(new PageTransitionEvent('pagehide'))")
        assert not one.locator("#h-answer").is_visible()
        one.evaluate(BROUGHT_BACK)
        one.get_by_role("heading", name="Your chart session ended").wait_for()
        assert "Rosa" not in one.content()


def lose_cookie(page, site) -> None:
    """Let the browser keep no cookie that the app sets as a launch begins."""

    def drop(route) -> None:
        answer = route.fetch(max_redirects=0)
        page.context.clear_cookies()
        route.fulfill(status=303, headers={"Location": answer.headers["location"]})

    page.route(f"{site.app}/smart/launch?**", drop)


def test_a_lost_cookie_leads_to_a_sign_in_in_a_window(browser, site, axe, broken):
    fill(site)
    posted = {**site.endpoint.profile, "authorize_post": True}
    context = browser.new_context()
    context.set_default_timeout(10_000)
    page = context.new_page()
    lose_cookie(page, site)
    page.goto(f"{site.ehr}/ehr/patient/rosa")
    page.get_by_role("link", name="Launch CareCue").click()
    alone = page.frame_locator("iframe.app").get_by_role("link", name="Sign in within")
    alone.wait_for(timeout=60_000)
    frame = next(one for one in page.frames if one.url.startswith(site.app))
    check(page, frame, axe, broken, "notice")
    assert "Rosa" not in frame.content()
    with site.runtime.database.tx() as tx:
        assert update_endpoint(tx, replace(site.endpoint, profile=posted))
    with context.expect_page() as opening:
        alone.click()
    window = opening.value
    site.watch(window)
    # The form of the page in between sends itself.
    sign_in(window, patient="Delgado, Rosa")
    window.locator("#h-answer").wait_for(timeout=60_000)
    assert window.locator("body").get_attribute("data-patient") == "Patient/rosa"
    assert site.complaints == []


def test_a_sign_in_that_no_frame_shows_opens_in_a_window(browser, site, axe, broken):
    fill(site)
    alone = {**site.endpoint.profile, "authorize_in_window": True}
    with site.runtime.database.tx() as tx:
        assert update_endpoint(tx, replace(site.endpoint, profile=alone))
    context = browser.new_context()
    context.set_default_timeout(10_000)
    page = context.new_page()
    site.watch(page)
    page.goto(f"{site.ehr}/ehr/patient/rosa")
    page.get_by_role("link", name="Launch CareCue").click()
    frame = page.frame_locator("iframe.app")
    frame.get_by_role("heading", name="Sign in at the EHR").wait_for(timeout=60_000)
    inner = next(one for one in page.frames if one.url.startswith(site.app))
    check(page, inner, axe, broken, "go")
    with context.expect_page() as opening:
        frame.get_by_role("link", name="Open in a window").click()
    window = opening.value
    site.watch(window)
    window.locator("#h-answer").wait_for(timeout=60_000)
    assert window.locator("body").get_attribute("data-patient") == "Patient/rosa"
    assert site.complaints == []


def test_a_page_nobody_uses_warns_then_locks_and_stays_locked(
    browser, site, axe, broken
):
    fill(site)
    context = browser.new_context()
    context.set_default_timeout(10_000)
    page = context.new_page()
    page.clock.install()
    site.watch(page)
    frame = launch(page, site)
    frame.get_by_role("link", name="Print for").click()
    frame.locator(".take h1").wait_for()
    check(page, frame, axe, broken, "summary")
    frame.get_by_role("link", name="Back").click()
    frame.locator("#h-answer").wait_for()
    warning = frame.get_by_role("alert").filter(has_text="less than two minutes")
    site.move(timedelta(minutes=28, seconds=30))
    page.clock.fast_forward(HALF_A_MINUTE)
    warning.wait_for()
    assert frame.evaluate(SEEN)
    check(page, frame, axe, broken, "warning")
    warning.get_by_role("button", name="Keep it open").click()
    warning.wait_for(state="hidden")

    frame.get_by_role("link", name="Pause messages").click()
    frame.locator("dialog[open]").wait_for()
    site.move(timedelta(minutes=29))
    page.clock.fast_forward(HALF_A_MINUTE)
    frame.locator("dialog #idle").wait_for()
    check(page, frame, axe, broken, "warning-in-dialog")
    warning.get_by_role("button", name="Keep it open").click()
    warning.wait_for(state="hidden")
    page.keyboard.press("Escape")

    frame.get_by_role("link", name="Print for").click()
    frame.locator(".take h1").wait_for()
    site.move(timedelta(minutes=31))
    page.clock.fast_forward(HALF_A_MINUTE)
    frame.get_by_role("heading", name="Your chart session ended").wait_for()
    assert "Rosa" not in frame.content()
    check(page, frame, axe, broken, "locked")
    for way in ("back", "forward", "back"):
        with page.expect_response(f"{site.app}/l/**") as answer:
            frame.evaluate("(way) => { queueMicrotask(() => history[way]()); }", way)
        assert answer.value.status == 401
        frame.get_by_role("heading", name="Your chart session ended").wait_for()
        assert "Rosa" not in frame.content()
    assert {one for one in site.complaints if "status of 401" not in one} == set()


def test_a_chart_that_was_left_for_another_waits_for_a_click(
    browser, site, axe, broken
):
    fill(site)
    context = browser.new_context()
    context.set_default_timeout(10_000)
    page, other = context.new_page(), context.new_page()
    page.clock.install()
    site.watch(page)
    frame = launch(page, site)
    notice = frame.get_by_role("alert").filter(has_text="Since then you opened another")
    page.clock.fast_forward(HALF_A_MINUTE)
    assert notice.count() == 0

    other.goto(f"{site.ehr}/ehr/patient/james")
    other.get_by_role("link", name="Launch CareCue").click()
    other.frame_locator("iframe.app").locator("#h-answer").wait_for(timeout=60_000)
    page.clock.fast_forward(HALF_A_MINUTE)
    notice.wait_for()
    assert "You opened Rosa Delgado at" in notice.inner_text()
    assert "James" not in frame.content()
    assert frame.locator(".banner").last.is_visible()
    assert not frame.locator("#h-answer").is_visible()
    check(page, frame, axe, broken, "left")

    # Neither a key on the way out nor a click beside it goes on with it.
    frame.locator("body").press("Control")
    frame.locator(".banner").last.click()
    with page.expect_response(lambda one: one.url.endswith("/session")) as asked:
        page.clock.fast_forward(HALF_A_MINUTE)
    assert asked.value.json()["left"]
    assert notice.is_visible()

    notice.get_by_role("button", name="Go on with Rosa Delgado").click()
    notice.wait_for(state="hidden")
    assert frame.locator("#h-answer").is_visible()
    page.clock.fast_forward(HALF_A_MINUTE)
    assert notice.count() == 0
    assert site.complaints == []
