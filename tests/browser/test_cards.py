"""The card in the EHR's chart: the sandbox calls, the services answer, the app opens."""

import pytest

from middleware.storage.audit import list_audit
from tests.browser.conftest import fill

pytestmark = pytest.mark.browser


def test_chart_shows_the_card_and_opens_the_app(browser, site, tmp_path):
    fill(site)
    page = browser.new_page(viewport={"width": 1120, "height": 900})
    site.watch(page)
    page.goto(f"{site.ehr}/ehr/patient/rosa")
    card = page.get_by_role("region", name="Decision support").first
    card.wait_for(timeout=60_000)
    page.screenshot(path=tmp_path / "card.png")
    assert "Messages on: Text Rosa in Spanish, 9 AM to 8 PM." in card.inner_text()
    assert "Next message: " in card.inner_text()
    card.get_by_role("link", name="Open CareCue").click()
    frame = page.frame_locator("iframe.app")
    frame.locator("#h-answer").wait_for(timeout=60_000)
    with site.runtime.database.tx() as tx:
        shown = [row for row in list_audit(tx) if row.action == "cds-card"]
    assert [row.patient for row in shown] == ["Patient/rosa"]
    assert site.complaints == []


def test_stay_shows_what_a_discharge_leads_to(browser, site, tmp_path):
    staff = site.sandbox.app.test_client()
    if "Discharge home" not in staff.get("/ehr/patient/rosa").text:
        assert staff.post("/ehr/patient/rosa/admit").status_code == 303
    page = browser.new_page(viewport={"width": 1120, "height": 1100})
    site.watch(page)
    page.goto(f"{site.ehr}/ehr/patient/rosa")
    page.get_by_text("Record where Rosa goes after discharge").first.wait_for(
        timeout=60_000
    )
    page.screenshot(path=tmp_path / "stay.png")
    assert site.complaints == []
