"""A dialog's form that is not taken comes back inside the dialog, as it was filled in."""

from datetime import timedelta

import pytest

from middleware.storage.records import read_own
from tests.browser.charts import record
from tests.browser.conftest import fill

pytestmark = pytest.mark.browser
HELD = "document.activeElement.closest('fieldset, .field').textContent"
STATUS = "error: Failed to load resource"


def open_dialog(browser, site, name):
    page = browser.new_page(viewport={"width": 1120, "height": 1000})
    page.set_default_timeout(15_000)
    site.watch(page)
    page.goto(f"{site.ehr}/ehr/patient/rosa")
    page.get_by_role("link", name="Launch CareCue").click()
    frame = page.frame_locator("iframe.app")
    frame.locator("#h-answer").wait_for(timeout=60_000)
    frame.get_by_role("link", name=name).first.click()
    dialog = frame.locator("dialog[open]")
    dialog.wait_for()
    inner = next(one for one in page.frames if one.url.startswith(site.app))
    return page, inner, dialog


def own(site):
    now = site.runtime.clock.now()
    with site.runtime.database.tx() as tx:
        return read_own(tx, site.endpoint.id, "Patient/rosa", [], now)


def rest(site) -> list[str]:
    """Return what a page complained about beside a status that is no success."""
    return [one for one in site.complaints if not one.startswith(STATUS)]


def test_what_is_missing_is_said_beside_its_field(browser, site, axe, broken):
    _, inner, dialog = open_dialog(browser, site, "Pause messages")
    dialog.get_by_label("Date to pause until").fill("2099-01-01")
    dialog.get_by_label("In hospital").check()
    dialog.get_by_role("button", name="Pause until").click()
    flaw = dialog.get_by_role("alert")
    flaw.get_by_text("Choose a day from today on, within a year.").wait_for()
    assert "/pause" not in inner.url
    day = dialog.get_by_label("Date to pause until")
    assert day.input_value() == "2099-01-01"
    assert day.get_attribute("aria-describedby") == flaw.get_attribute("id")
    assert day.evaluate("one => one === document.activeElement")
    assert dialog.get_by_label("In hospital").is_checked()
    assert broken(inner, axe) == []
    dialog.get_by_label("No date: someone turns them back on").check()
    dialog.get_by_role("button", name="Pause until someone").press("Enter")
    inner.get_by_text("Saved. Messages are paused from now on.").wait_for()
    assert not inner.locator("dialog").is_visible()
    assert (
        inner.locator("h1:visible")
        .inner_text()
        .startswith("Messages to Rosa are paused")
    )
    assert own(site).preferences[-1].value["why"] == "In hospital"
    assert rest(site) == []


def test_a_choice_that_is_missing_takes_the_focus(browser, site, axe, broken):
    fill(site)
    page, inner, dialog = open_dialog(browser, site, "Skip: ")
    dialog.get_by_role("button", name="Skip this message").press("Enter")
    dialog.get_by_text("Choose why it is skipped.").wait_for()
    assert "Choose why it is skipped." in inner.evaluate(HELD)
    assert broken(inner, axe) == []
    page.keyboard.press("Escape")
    assert not inner.locator("dialog").is_visible()
    assert inner.evaluate("document.activeElement.textContent") == "Skip"
    assert rest(site) == []


def test_a_clash_stays_in_the_dialog(browser, site, axe, broken):
    _, inner, dialog = open_dialog(browser, site, "Pause messages")
    dialog.get_by_label("No date: someone turns them back on").check()
    theirs = {"until": None, "why": "In hospital"}
    record(site, "pause", theirs, how="told staff", by="Dr. Jones")
    dialog.get_by_role("button", name="Pause until someone").click()
    dialog.get_by_text("Recorded by Dr. Jones").wait_for()
    assert broken(inner, axe) == []
    dialog.get_by_role("button", name="Save mine over it").click()
    inner.get_by_text("Saved. Messages are paused from now on.").wait_for()
    assert own(site).preferences[-1].value["why"] == "The patient asked"
    assert rest(site) == []


def test_what_is_kept_of_theirs_is_what_the_page_shows_then(browser, site):
    _, inner, dialog = open_dialog(browser, site, "Pause messages")
    record(site, "pause", {"until": None, "why": "In hospital"}, by="Dr. Jones")
    dialog.get_by_role("button", name="Pause until").click()
    dialog.get_by_role("link", name="Keep theirs").click()
    inner.get_by_role("heading", name="Messages to Rosa are paused").wait_for()
    assert not inner.locator("dialog[open]").count()
    assert rest(site) == []


@pytest.mark.parametrize("ended", [True, False], ids=["401", "403"])
def test_an_ended_session_leaves_what_was_typed(browser, site, axe, broken, ended):
    page, inner, dialog = open_dialog(browser, site, "Pause messages")
    dialog.get_by_label("No date: someone turns them back on").check()
    dialog.get_by_label("In hospital").check()
    if ended:
        site.move(timedelta(minutes=31))
    else:
        page.context.clear_cookies()
    dialog.get_by_role("button", name="Pause until someone").click()
    said = dialog.get_by_role("alert")
    words = "is kept for 10 minutes" if ended else "belongs to another window"
    said.filter(has_text=words).wait_for()
    assert dialog.get_by_label("In hospital").is_checked()
    assert broken(inner, axe) == []
    assert not own(site).preferences
    assert rest(site) == []
