"""The sheet for the patient as it comes out of the printer: one page, large print."""

import re

import pytest

from tests.browser.conftest import fill

pytestmark = pytest.mark.browser
PAPER = re.compile(rb"/Type\s*/Page\b")
LONG = "María Guadalupe Hernández de la Torre y Montenegro-Villaseñor de Álvarez"


def open_sheet(browser, site):
    """Launch in a window of its own, for a frame cannot be printed by itself here."""
    page = browser.new_page()
    page.route(f"{site.app}/**", lambda route: route.abort())
    page.goto(f"{site.ehr}/ehr/patient/rosa")
    page.get_by_role("link", name="Launch CareCue").click()
    src = page.locator("iframe.app").get_attribute("src")
    page.unroute_all()
    site.watch(page)
    page.goto(src)
    page.get_by_role("link", name="Print for").click()
    page.locator(".take h1").wait_for()
    return page


def change(site, **elements):
    store = site.sandbox.app.extensions["store"]
    store.update("Patient", "rosa", {**store.get("Patient", "rosa"), **elements})


@pytest.mark.parametrize("size", ["Letter", "A4"])
@pytest.mark.parametrize("code", ["es", "vi"])
def test_sheet_is_one_page_of_large_print(browser, site, tmp_path, size, code):
    fill(site)
    spoken = {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": code}]}}
    change(site, name=[{"text": LONG}], communication=[spoken])
    page = open_sheet(browser, site)
    page.screenshot(path=tmp_path / "sheet.png", full_page=True)
    pdf = page.pdf(path=tmp_path / "sheet.pdf", format=size, prefer_css_page_size=True)
    assert len(PAPER.findall(pdf)) == 1
    assert page.locator(".take li").count() >= 8
    size_in_px = page.evaluate(
        "parseFloat(getComputedStyle(document.querySelector('.take li')).fontSize)"
    )
    assert size_in_px >= 24
    assert site.complaints == []


def test_controls_are_not_printed(browser, site):
    page = open_sheet(browser, site)
    assert page.get_by_role("button", name="Print for").is_visible()
    page.emulate_media(media="print")
    for hidden in page.locator(".noprint").all():
        assert not hidden.is_visible()
    assert page.locator(".take").is_visible()
    assert site.complaints == []
