"""A phone number corrected as a clinician does it: typed twice, in force at once, undone."""

import pytest

from middleware.storage.records import read_own

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [1120, 320])
def test_a_number_is_corrected_in_place_and_undone(browser, site, tmp_path, width):
    page = browser.new_page(viewport={"width": width, "height": 1700})
    site.watch(page)
    page.goto(f"{site.ehr}/ehr/patient/rosa")
    page.get_by_role("link", name="Launch CareCue").click()
    frame = page.frame_locator("iframe.app")
    group = frame.locator("#g-telecom")
    group.get_by_role("link", name="Change").click()
    group.get_by_label("Number or email address").fill("415 555 0177")
    group.get_by_label("Once more").fill("(415) 555-0177")
    group.get_by_label("It takes the place of").select_option(label="(415) 555-0142")
    group.get_by_label("Rosa, today").check()
    group.screenshot(path=tmp_path / f"form-{width}.png")
    inner = frame.locator("body")
    assert inner.evaluate("one => one.scrollWidth <= one.clientWidth + 1")
    group.get_by_role("button", name="Save").click()
    group.get_by_text("No permission recorded").first.wait_for()
    group.get_by_text("Used no more", exact=True).wait_for()
    group.screenshot(path=tmp_path / f"saved-{width}.png")
    assert inner.evaluate("one => one.scrollWidth <= one.clientWidth + 1")
    with site.runtime.database.tx() as tx:
        now = site.runtime.clock.now()
        own = read_own(tx, site.endpoint.id, "Patient/rosa", [], now)
    states = {item.name: item.value["state"] for item in own.preferences}
    assert states == {
        "telecom:sms:+14155550142": "old",
        "telecom:sms:+14155550177": "current",
    }
    group.get_by_role("button", name="Undo").click()
    group.get_by_text("(415) 555-0177").wait_for(state="detached")
    assert site.complaints == []
