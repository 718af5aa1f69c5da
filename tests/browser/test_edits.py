"""Editing as a clinician does it: in place, in a dialog, and without a script."""

import re

import pytest

from mappings.audited import VIEWED
from middleware.storage.audit import list_audit
from middleware.storage.records import read_own
from tests.browser.charts import record
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
    answer = frame.locator("#h-answer").inner_text()
    assert answer == "CareCue cannot write in Vietnamese yet."
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
    dialog.get_by_label("Number or address").select_option(index=1)
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


def say(site, name, value, by="Dr. Jones"):
    """Let somebody else be faster."""
    record(site, name, value, how="told staff", by=by)


def test_a_clash_in_place_is_settled_by_keyboard(browser, site, axe, broken, tmp_path):
    page = browser.new_page(viewport={"width": 1120, "height": 1500})
    frame = launch(page, site)
    hours = frame.locator("#g-hours")
    hours.get_by_role("link", name="Change").click()
    hours.get_by_label("From").select_option("10")
    group = frame.locator("#g-channels")
    group.get_by_role("link", name="Change").click()
    group.get_by_label("Order").select_option("email")
    group.get_by_label("Rosa, today").check()
    say(site, "channels", ["email", "sms"])
    group.get_by_role("button", name="Save").click()
    group.get_by_text("Email, then text", exact=True).first.wait_for()
    assert group.get_by_text("Recorded by Dr. Jones").is_visible()
    assert group.locator(".clash").get_by_text("Email only").is_visible()
    page.screenshot(path=tmp_path / "clash.png")
    inside = page.frames[-1]
    assert broken(inside, axe) == []
    keep = group.get_by_role("link", name="Keep theirs")
    assert keep.evaluate("one => one === document.activeElement")
    keep.press("Tab")
    page.keyboard.press("Enter")
    group.get_by_role("button", name="Undo").wait_for()
    assert own(site).preferences[-1].value == ["email"]
    # What was being filled in beside it is still there, and can be saved.
    assert hours.get_by_label("From").input_value() == "10"
    hours.get_by_label("Rosa, today").check()
    hours.get_by_role("button", name="Save").click()
    hours.get_by_text(re.compile("10 AM to")).first.wait_for()


def test_theirs_is_kept_by_one_click(browser, site):
    page = browser.new_page(viewport={"width": 640, "height": 1200})
    frame = launch(page, site)
    group = frame.locator("#g-channels")
    group.get_by_role("link", name="Change").click()
    group.get_by_label("Order").select_option("email")
    group.get_by_label("Rosa, today").check()
    say(site, "channels", ["sms"])
    group.get_by_role("button", name="Save").click()
    group.get_by_role("link", name="Keep theirs").click()
    group.get_by_role("link", name="Change").wait_for()
    assert [item.value for item in own(site).preferences] == [["sms"]]


@pytest.mark.parametrize("width", [1120, 320])
def test_a_clash_of_pauses_is_settled_without_script(browser, site, width, tmp_path):
    context = browser.new_context(
        java_script_enabled=False, viewport={"width": width, "height": 900}
    )
    page = context.new_page()
    frame = launch(page, site)
    frame.get_by_role("link", name="Pause messages").click()
    frame.get_by_label("No date: someone turns them back on").check()
    say(site, "pause", {"until": None, "why": "In hospital"})
    frame.get_by_role("button", name="Pause messages").click()
    frame.get_by_text("Stands now").wait_for()
    assert frame.get_by_text("Recorded by Dr. Jones").is_visible()
    page.screenshot(path=tmp_path / "pauses.png", full_page=True)
    frame.get_by_role("button", name="Save mine over it").press("Enter")
    frame.get_by_text("Saved. Messages are paused from now on.").wait_for()
    assert own(site).preferences[-1].value["why"] == "The patient asked"


def test_two_autosaves_on_a_slow_network_leave_what_was_typed_last(browser, site):
    page = browser.new_page(viewport={"width": 900, "height": 1200})
    frame = launch(page, site)
    group = frame.locator("#g-limit")
    group.get_by_role("link", name="Change").click()
    group.get_by_label("Rosa, today").check()
    held = []

    def slow(route) -> None:
        held.append(route)
        if len(held) == 2:
            # The one that was typed first arrives last.
            held[1].continue_()

    page.route("**/preferences/limit", slow)
    group.get_by_role("combobox").select_option("1")
    group.get_by_role("combobox").select_option("2")
    group.get_by_text("2 messages a week").wait_for()
    page.unroute("**/preferences/limit", slow)
    assert [item.value for item in own(site).preferences] == [2]
    assert frame.locator(".clash").count() == 0
