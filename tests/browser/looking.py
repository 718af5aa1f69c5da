"""Opening the app for a look, at any width, and the paths of what it shows."""

import os
from pathlib import Path

from middleware.desk.editing.groups import GROUPS

DARK_PAPER = "rgb(15, 21, 20)"
SHOTS = os.environ.get("CARECUE_SHOTS")
CARER = {
    "resourceType": "RelatedPerson",
    "active": True,
    "patient": {"reference": "Patient/rosa"},
    "relationship": [{"coding": [{"code": "DAU", "display": "daughter"}]}],
    "name": [{"text": "Inés Delgado"}],
    "telecom": [{"system": "phone", "use": "mobile", "value": "+14155550143"}],
}
# Within the patient's pages: {held} is a message that waits, {next} the next one,
# {person} somebody who may be told.
FORMS = (
    "history",
    "summary",
    "messages/{next}",
    "messages/{held}",
    "messages/{next}/move",
    "messages/{next}/skip",
    "pause",
    "answers?topic=appointment",
    "answers?person={person}",
    *(f"preferences/{name}" for name in GROUPS),
)


def open_alone(browser, site):
    """Launch in the EHR's frame, then look at the app's own page by itself."""
    context = browser.new_context(viewport={"width": 1080, "height": 900})
    page = context.new_page()
    page.goto(f"{site.ehr}/ehr/patient/rosa")
    page.get_by_role("link", name="Launch CareCue").click()
    page.frame_locator("iframe.app").locator("#h-answer").wait_for(timeout=60_000)
    frame = next(one for one in page.frames if one.url.startswith(site.app))
    return page, frame


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


FIT = (
    "([width, height]) => { const app = document.querySelector('iframe.app').style;"
    "app.cssText = 'position:fixed;inset:0;z-index:9;border:0;background:#fff';"
    "app.inlineSize = `${width}px`; app.blockSize = `${height}px`; }"
)


def fit(page, width, height) -> None:
    """Give the app's frame this size, and the window with it."""
    page.set_viewport_size({"width": width, "height": height})
    page.evaluate(FIT, [width, height])


def colour(page, frame, colours) -> None:
    """Show the app's own colours: dark as in a window of its own, without an EHR's."""
    page.emulate_media(color_scheme=colours)
    dark = colours == "dark"
    frame.evaluate(
        "(dark) => { const page = document.documentElement;"
        "page.toggleAttribute('data-framed', !dark);"
        "const ehrs = document.querySelector('link[href*=\"/theme-\"]');"
        "if (ehrs) ehrs.disabled = dark; }",
        dark,
    )
    paper = frame.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == DARK_PAPER) is dark, paper


def shoot(page, frame, name) -> None:
    """Keep a picture of the whole page, for whoever looks at it."""
    width = page.viewport_size["width"]
    fit(page, width, frame.evaluate("document.documentElement.scrollHeight"))
    frame.evaluate("new Promise((done) => setTimeout(done, 120))")
    page.screenshot(path=Path(SHOTS) / f"{name}.png")
    fit(page, width, 900)


def have_a_carer(site) -> None:
    """Put a daughter of Rosa's into the chart."""
    site.sandbox.app.extensions["store"].create("RelatedPerson", CARER)


LINKS = """[...document.querySelectorAll('.nudge')]
    .map((one) => [one.querySelector('.acts a')?.getAttribute('href'),
      Boolean(one.querySelector('.acts .tag.info'))])
    .filter(([href]) => href)"""
PERSON = "document.querySelector('a[href*=\"person=\"]').href.split('person=')[1]"


def find_ids(frame) -> dict[str, str]:
    """Return what a page's paths name: a message, one that waits, and a person."""
    found = [(href.rpartition("/")[2], waits) for href, waits in frame.evaluate(LINKS)]
    held = [one for one, waits in found if waits]
    first = found[0][0]
    person = frame.evaluate(PERSON)
    return {"next": first, "held": (held or [first])[0], "person": person}
