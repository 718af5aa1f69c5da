"""Every page in every state, in light, dark, narrow and mirrored: no rule of axe broken."""

import os
from pathlib import Path

import pytest

from tests.browser.charts import STATES, change
from tests.browser.conftest import fill

pytestmark = pytest.mark.browser
SHOTS = os.environ.get("CARECUE_SHOTS")
LOOKS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "narrow": {"color_scheme": "light"},
    "mirrored": {"color_scheme": "light"},
}


def open_alone(browser, site):
    """Launch in the EHR's frame, then look at the app's own page by itself."""
    context = browser.new_context(viewport={"width": 1080, "height": 900})
    page = context.new_page()
    page.goto(f"{site.ehr}/ehr/patient/rosa")
    page.get_by_role("link", name="Launch CareCue").click()
    page.frame_locator("iframe.app").locator("#h-answer").wait_for(timeout=60_000)
    frame = next(one for one in page.frames if one.url.startswith(site.app))
    return page, frame


def look(page, frame, name) -> None:
    fit(page, 320 if name == "narrow" else 1080, 900)
    page.emulate_media(**LOOKS[name])
    framed = "false" if name == "dark" else "true"
    frame.evaluate(f"document.documentElement.toggleAttribute('data-framed', {framed})")
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


WIDE = """() => {
  const wide = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= wide) return [];
  return [...document.querySelectorAll('body *')]
    .filter((one) => one.getBoundingClientRect().right > wide + 1
      || one.getBoundingClientRect().left < -1)
    .map((one) => `${one.tagName}.${one.getAttribute('class')}: ${one.textContent.trim().slice(0, 40)}`);
}"""


def sideways(frame) -> list[str]:
    """Return what makes the page scroll sideways."""
    return list(frame.evaluate(WIDE))


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


FIT = (
    "([width, height]) => { const app = document.querySelector('iframe.app').style;"
    "app.cssText = 'position:fixed;inset:0;z-index:9;border:0;background:#fff';"
    "app.inlineSize = `${width}px`; app.blockSize = `${height}px`; }"
)


def fit(page, width, height) -> None:
    """Give the app's frame this size, and the window with it."""
    page.set_viewport_size({"width": width, "height": height})
    page.evaluate(FIT, [width, height])


def shoot(page, frame, name) -> None:
    """Keep a picture of the whole page, for whoever looks at it."""
    width = page.viewport_size["width"]
    fit(page, width, frame.evaluate("document.documentElement.scrollHeight"))
    frame.evaluate("new Promise((done) => setTimeout(done, 120))")
    page.screenshot(path=Path(SHOTS) / f"{name}.png")
    fit(page, width, 900)
