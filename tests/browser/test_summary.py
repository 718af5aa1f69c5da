"""The sheet for the patient as it comes out of the printer: one page, large print."""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from middleware.storage import endpoints
from tests.browser.conftest import fill

pytestmark = pytest.mark.browser
PAPER = re.compile(rb"/Type\s*/Page\b")
SHOTS = os.environ.get("CARECUE_SHOTS")
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


def speak(code):
    coded = {"coding": [{"system": "urn:ietf:bcp:47", "code": code}]}
    return [{"language": coded, "preferred": True}]


def approve(site):
    """Name somebody who approved every language, so that messages are planned in it."""
    reviewers = dict.fromkeys(("es", "vi", "zh-Hans", "ar"), "Dr. Lan, 2026-10-02")
    named = replace(
        site.endpoint, site=replace(site.endpoint.site, reviewers=reviewers)
    )
    with site.runtime.database.tx() as tx:
        endpoints.update_endpoint(tx, named)


def keep(page, name) -> None:
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


def print_on(page, size, name) -> int:
    """Print the sheet and return how many pages it takes."""
    path = Path(SHOTS) / f"{name}-{size}.pdf" if SHOTS else None
    pdf = page.pdf(path=path, format=size, prefer_css_page_size=True)
    return len(PAPER.findall(pdf))


@pytest.mark.parametrize(
    ("code", "lang", "direction"),
    [
        ("es", "es-US", "ltr"),
        ("vi", "vi", "ltr"),
        ("zh", "zh-Hans", "ltr"),
        ("ar", "ar", "rtl"),
        ("so", "en-US", "ltr"),
    ],
)
def test_sheet_is_one_page_of_large_print(browser, site, code, lang, direction):
    fill(site)
    approve(site)
    name = {"text": LONG, "given": ["Rosa"]}
    change(site, name=[name], communication=speak(code))
    page = open_sheet(browser, site)
    keep(page, f"sheet-{code}")
    for size in ("Letter", "A4"):
        assert print_on(page, size, f"sheet-{code}") == 1
    take = page.locator("main.take")
    assert take.get_attribute("lang") == lang
    assert take.evaluate("one => getComputedStyle(one).direction") == direction
    assert page.locator(".take li").count() >= (9 if code == "so" else 13)
    size_in_px = page.evaluate(
        "parseFloat(getComputedStyle(document.querySelector('.take li')).fontSize)"
    )
    assert size_in_px >= 24
    assert site.complaints == []


@pytest.mark.parametrize("code", ["vi", "zh", "ar", "so"])
def test_sheet_breaks_no_rule_and_is_as_narrow_as_a_phone(
    browser, site, axe, broken, code
):
    fill(site)
    change(site, communication=speak(code))
    page = open_sheet(browser, site)
    page.get_by_text("Read this sheet in English").click() if code != "so" else None
    for width in (1280, 320):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        keep(page, f"sheet-{code}-{width}")
        assert broken(page, axe) == []
    page.get_by_role("link", name="Español").click()
    page.locator("main.take[lang=es-US]").wait_for()
    assert site.complaints == []


def test_controls_are_not_printed(browser, site):
    page = open_sheet(browser, site)
    assert page.get_by_role("button", name="Print for").is_visible()
    page.emulate_media(media="print")
    for hidden in page.locator(".noprint").all():
        assert not hidden.is_visible()
    assert page.locator(".take").is_visible()
    assert site.complaints == []
