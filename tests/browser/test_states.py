"""Every page in every state, in light, dark, narrow and mirrored: no rule of axe broken."""

import pytest

from tests.browser.charts import STATES, change, goal
from tests.browser.conftest import fill
from tests.browser.looking import SHOTS, colour, fit, open_alone, shoot, sideways

pytestmark = pytest.mark.browser
# Where the lines of the strip are: what stands on one ends at about one height.
LINES = """(strip) => [...strip.querySelectorAll('strong, span, button')]
    .flatMap((one) => [...one.getClientRects()]).map((box) => box.bottom)
    .sort((one, other) => one - other)
    .filter((bottom, at, all) => !at || bottom - all[at - 1] > 8)"""
LOOKS = {"light": "light", "dark": "dark", "narrow": "light", "mirrored": "light"}


def look(page, frame, name) -> None:
    fit(page, 320 if name == "narrow" else 1080, 900)
    colour(page, frame, LOOKS[name])
    turned = "rtl" if name == "mirrored" else "ltr"
    frame.evaluate(f"document.documentElement.dir = '{turned}'")


def test_page_stays_light_in_a_frame_of_a_dark_desktop(browser, site):
    page, frame = open_alone(browser, site)
    ink = "getComputedStyle(document.body).color"
    page.emulate_media(color_scheme="light")
    light = frame.evaluate(ink)
    page.emulate_media(color_scheme="dark")
    assert frame.evaluate(ink) == light
    assert frame.evaluate("getComputedStyle(document.documentElement).colorScheme") == (
        "light"
    )


@pytest.mark.parametrize(("width", "lines"), [(1080, 1), (400, 2), (320, 3)])
def test_strip_says_whose_chart_it_is_and_where_from_in_few_lines(
    browser, site, width, lines
):
    page, frame = open_alone(browser, site)
    fit(page, width, 700)
    strip = frame.locator(".banner").last
    for words in ("Rosa Delgado", "58 years, female", "1968", "4471-0926", "opened"):
        assert words in strip.inner_text()
    assert site.endpoint.name in strip.inner_text()
    found = strip.evaluate(LINES)
    assert len(found) == lines, found
    verdict = frame.locator("#h-answer").bounding_box()
    assert verdict["y"] + verdict["height"] <= 230


@pytest.mark.parametrize("width", [640, 400])
def test_first_screenful_says_who_how_and_when_next(browser, site, width):
    fill(site)
    change(site, (goal("I want to keep up with my grandkids. " * 12, "en"),))
    page, frame = open_alone(browser, site)
    fit(page, width, 700)
    for one in (".banner strong", "#h-answer", ".facts > :first-child small"):
        box = frame.locator(one).last.bounding_box()
        assert box["y"] >= 0, one
        assert box["y"] + box["height"] <= 700, one
    assert "Next message" in frame.locator(".facts > :first-child").inner_text()


@pytest.mark.parametrize(
    ("name", "changes", "chip", "sentence"), STATES, ids=[state[0] for state in STATES]
)
def test_state_is_said_and_can_be_read_by_everybody(
    browser, site, axe, broken, name, changes, chip, sentence
):
    fill(site)
    change(site, changes)
    page, frame = open_alone(browser, site)
    site.watch(page)
    assert sentence in frame.locator("#h-answer").inner_text()
    assert chip in frame.locator(".chips").inner_text()
    for one in LOOKS:
        look(page, frame, one)
        if SHOTS:
            shoot(page, frame, f"{name}-{one}")
        assert broken(frame, axe) == [], one
        assert sideways(frame) == [], one
    assert site.complaints == []
