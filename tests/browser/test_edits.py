"""Editing as a clinician does it: in place, in a dialog, and without a script."""

import re

import pytest

from mappings.audited import VIEWED
from middleware.storage.audit import list_audit
from middleware.storage.records import read_own
from tests.browser.conftest import fill

pytestmark = pytest.mark.browser


def launch(page, site):
    page.goto(f"{site.ehr}/ehr/patient/rosa")
    page.get_by_role("link", name="Launch CareCue").click()
    frame = page.frame_locator("iframe.app")
    frame.locator("#h-answer").wait_for(timeout=60_000)
    return frame


def own(site):
    now = site.runtime.clock.now()
    with site.runtime.database.tx() as tx:
        return read_own(tx, site.endpoint.id, "Patient/rosa", [], now)


def test_a_language_is_changed_in_place_and_undone(browser, site, tmp_path):
    page = browser.new_page(viewport={"width": 1120, "height": 1500})
    site.watch(page)
    frame = launch(page, site)
    group = frame.locator("#g-language")
    group.get_by_role("link", name="Change").click()
    group.get_by_label("Language to write in").select_option("vi")
    group.get_by_label("Rosa, today").check()
    page.screenshot(path=tmp_path / "language.png")
    group.get_by_role("button", name="Save").click()
    group.get_by_text("Vietnamese", exact=True).wait_for()
    group.get_by_text(re.compile("Saved ")).wait_for()
    assert frame.locator("#h-answer").inner_text().startswith("Text Rosa in Vietnamese")
    page.screenshot(path=tmp_path / "saved.png")
    undo = group.get_by_role("button", name="Undo")
    assert undo.evaluate("one => one === document.activeElement")
    undo.press("Enter")
    group.get_by_text("Spanish", exact=True).wait_for()
    with site.runtime.database.tx() as tx:
        actions = [row.action for row in list_audit(tx) if row.action != VIEWED]
    assert actions[:2] == ["preference-undone", "preference-saved"]
    assert site.complaints == []


def test_a_limit_is_saved_as_it_is_chosen(browser, site):
    page = browser.new_page(viewport={"width": 900, "height": 1200})
    site.watch(page)
    frame = launch(page, site)
    group = frame.locator("#g-limit")
    group.get_by_role("link", name="Change").press("Enter")
    group.get_by_label("Rosa, today").check()
    group.get_by_role("combobox").select_option("1")
    group.get_by_text("1 message a week").wait_for()
    assert [item.value for item in own(site).preferences] == [1]
    assert site.complaints == []


def test_an_answer_is_recorded_in_a_dialog(browser, site, tmp_path):
    page = browser.new_page(viewport={"width": 1120, "height": 1500})
    site.watch(page)
    frame = launch(page, site)
    before = len(own(site).consents)
    folded = frame.locator("#topics summary")
    if folded.count():
        folded.click()
    frame.get_by_role("link", name=re.compile("^Record new answer:")).first.click()
    dialog = frame.locator("dialog")
    dialog.get_by_label("About").select_option(index=1)
    dialog.get_by_label("No", exact=True).check()
    dialog.get_by_label("How", exact=True).select_option("phone")
    dialog.get_by_label("Who answered").select_option("Patient/rosa")
    page.screenshot(path=tmp_path / "answer.png")
    dialog.get_by_role("button", name="Record this answer").click()
    frame.get_by_text("Saved. The answer takes effect at once.").wait_for()
    newest = own(site).consents[-1]
    assert len(own(site).consents) == before + 1
    assert (newest.permit, newest.how, newest.said_by) == (
        False,
        "by phone",
        "Patient/rosa",
    )
    assert newest.asked.startswith("May ")
    assert site.complaints == []


def test_a_message_is_moved(browser, site, tmp_path):
    fill(site)
    page = browser.new_page(viewport={"width": 1120, "height": 1500})
    site.watch(page)
    frame = launch(page, site)
    frame.get_by_role("link", name=re.compile("^Move:")).first.click()
    dialog = frame.locator("dialog")
    dialog.get_by_label("Time", exact=True).fill("13:05")
    dialog.get_by_label("Rosa asked").check()
    page.screenshot(path=tmp_path / "move.png")
    dialog.get_by_role("button", name="Move this message").click()
    frame.get_by_text("Saved. The message is moved.").wait_for()
    frame.get_by_text(re.compile("^.*Moved by .* from ")).first.wait_for()
    page.screenshot(path=tmp_path / "moved.png")
    assert site.complaints == []


def test_a_language_is_changed_without_script(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    site.watch(page)
    frame = launch(page, site)
    frame.locator("#g-language").get_by_role("link", name="Change").click()
    frame.get_by_role("button", name="Save").click()
    frame.get_by_text("Choose who said so.").wait_for()
    frame.get_by_label("Language to write in").select_option("vi")
    frame.get_by_label("Rosa, today").check()
    frame.get_by_role("button", name="Save").click()
    frame.get_by_text("Saved. It takes effect at once.").wait_for()
    assert (
        frame.locator("#g-language").get_by_text("Vietnamese", exact=True).is_visible()
    )
    frame.locator("#g-language").get_by_role("button", name="Undo").click()
    frame.get_by_text("Undone. What stood before holds again.").wait_for()
