"""The SMART app as a clinician meets it: in the EHR's frame, on another site."""

import re

import pytest
from playwright.sync_api import expect

from mappings.audited import VIEWED
from middleware.storage.audit import list_audit
from tests.browser.conftest import fill

pytestmark = pytest.mark.browser


def launch(page, site):
    page.goto(f"{site.ehr}/ehr/patient/rosa")
    page.get_by_role("link", name="Launch CareCue").click()
    frame = page.frame_locator("iframe.app")
    frame.locator("#h-answer").wait_for(timeout=60_000)
    return frame


def test_app_paints_in_the_ehrs_frame_and_a_pause_is_saved(browser, site, tmp_path):
    fill(site)
    page = browser.new_page(viewport={"width": 1120, "height": 1500})
    site.watch(page)
    frame = launch(page, site)
    body = frame.locator("#main").inner_text()
    assert (
        frame.locator("#h-answer").inner_text() == "Text Rosa in Spanish, 9 AM to 8 PM."
    ), body
    page.screenshot(path=tmp_path / "app.png")
    frame.get_by_role("link", name="Preview next message").click()
    frame.locator("dialog .bubble").wait_for()
    page.screenshot(path=tmp_path / "preview.png")
    keep = frame.get_by_role("link", name="Keep as planned")
    page.set_viewport_size({"width": 1280, "height": 720})
    expect(keep).to_be_in_viewport(ratio=1)
    keep.click()
    frame.get_by_role("link", name="Pause messages").click()
    frame.get_by_role("button", name=re.compile("^Pause until ")).wait_for()
    page.screenshot(path=tmp_path / "pause.png")
    frame.get_by_role("button", name=re.compile("^Pause until ")).click()
    frame.get_by_text("Saved. Messages are paused from now on.").wait_for()
    assert "are paused until" in frame.locator("#h-answer").inner_text()
    page.screenshot(path=tmp_path / "paused.png")
    frame.get_by_role("button", name="Turn messages back on").click()
    frame.get_by_text("Saved. Messages are on again.").wait_for()
    with site.runtime.database.tx() as tx:
        actions = [
            row.action
            for row in list_audit(tx)
            if row.action not in ("cds-card", VIEWED)
        ]
    assert actions == ["preference-saved", "preference-saved", "launch-opened"]
    assert site.complaints == []


def test_order_is_changed_with_the_keyboard(browser, site):
    page = browser.new_page(viewport={"width": 900, "height": 1200})
    site.watch(page)
    frame = launch(page, site)
    group = frame.locator("#g-channels")
    group.get_by_role("link", name="Change").press("Enter")
    group.get_by_label("Order").select_option("email,sms")
    group.get_by_label("Rosa, today").press("Space")
    group.get_by_role("button", name="Save").press("Enter")
    group.get_by_role("button", name="Undo").wait_for()
    assert frame.locator("#h-answer").inner_text().startswith("Email Rosa in Spanish")
    assert site.complaints == []


def test_everything_works_without_script(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    site.watch(page)
    frame = launch(page, site)
    frame.get_by_role("link", name="Pause messages").click()
    frame.get_by_role("button", name="Pause messages").click()
    frame.get_by_text("Saved. Messages are paused from now on.").wait_for()
    assert site.complaints == []


def test_two_charts_side_by_side_never_mix(browser, site):
    context = browser.new_context()
    first, second = context.new_page(), context.new_page()
    one = launch(first, site)
    second.goto(f"{site.ehr}/ehr/patient/james")
    second.get_by_role("link", name="Launch CareCue").click()
    two = second.frame_locator("iframe.app")
    two.locator("#h-answer").wait_for()
    for page, frame, name in ((first, one, "Rosa"), (second, two, "James")) * 3:
        inner = next(each for each in page.frames if each.url.startswith(site.app))
        inner.goto(inner.url)
        assert name in frame.locator(".banner strong").last.inner_text()
    with site.runtime.database.tx() as tx:
        patients = tx.execute("SELECT DISTINCT patient FROM launch").fetchall()
    assert len(patients) == 2


@pytest.mark.parametrize("width", [320, 600])
def test_nothing_scrolls_sideways(browser, site, width):
    fill(site)
    page = browser.new_page(viewport={"width": width + 40, "height": 900})
    frame = launch(page, site)
    inner = next(each for each in page.frames if each.url.startswith(site.app))
    wide = inner.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert wide == 0
    assert frame.locator("#h-answer").is_visible()
