"""Every page and form under the patient's page: read, fitted and coloured for everybody.

The patient's page itself and its states are :mod:`tests.browser.test_states`; ways in
and out are :mod:`tests.browser.test_windows`.
"""

import re
from pathlib import Path

import pytest

from tests.browser.charts import ARABIC, HOSTILE, WORDS, change, goal, patient, prefers
from tests.browser.conftest import fill
from tests.browser.looking import (
    FIT,
    FORMS,
    SHOTS,
    colour,
    find_ids,
    have_a_carer,
    open_alone,
    shoot,
    sideways,
)

pytestmark = pytest.mark.browser
# Where a name, a language or a reason may be long.
LONGEST = (
    "history",
    "summary",
    "messages/{next}",
    "pause",
    "answers?person={person}",
    "preferences/people",
)
# Sent as it is: what is missing is said above the form.
UNFILLED = (
    "pause",
    "messages/{next}/skip",
    "messages/{next}/move",
    "answers?topic=appointment",
    "preferences/language",
    "preferences/words",
)
LOOKS = (
    # width, colours, forced colours
    (1280, "light", "none"),
    (320, "light", "none"),
    (320, "dark", "none"),
    (1280, "light", "active"),
)
NARROW = LOOKS[1:2]
PEOPLE = (
    ("plain", (WORDS,)),
    ("vietnamese", (WORDS, prefers("language", "vi"))),
    (
        "paused",
        (WORDS, prefers("pause", {"until": None, "why": "In hospital"})),
    ),
    (
        "hostile",
        (patient(name=[{"given": [HOSTILE], "family": HOSTILE}]), goal(HOSTILE, "en")),
    ),
    ("arabic", (patient(name=[{"text": ARABIC, "given": [ARABIC]}]),)),
)


def look(page, frame, width, colours, forced) -> None:
    """Show the app at this width, in these colours."""
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate(FIT, [width, 900])
    page.emulate_media(forced_colors="none")
    colour(page, frame, colours)
    page.emulate_media(forced_colors=forced)


def inspect(page, frame, axe, broken, name, looks=LOOKS) -> list[str]:
    """Return what is wrong with a page in any look."""
    wrong = []
    for width, colours, forced in looks:
        look(page, frame, width, colours, forced)
        if SHOTS:
            Path(SHOTS).mkdir(exist_ok=True)
            kept = re.sub(r"[^a-z0-9]+", "-", name.casefold())
            shoot(page, frame, f"pages-{kept}-{width}-{colours}-{forced}")
        for said in (*broken(frame, axe), *sideways(frame)):
            wrong.append(f"{name} {width} {colours} {forced}: {said}")
    return wrong


@pytest.mark.parametrize(
    ("name", "changes"), PEOPLE, ids=[person[0] for person in PEOPLE]
)
def test_every_form_can_be_read_by_everybody(browser, site, axe, broken, name, changes):
    fill(site)
    have_a_carer(site)
    change(site, changes)
    page, frame = open_alone(browser, site)
    here, ids = frame.url, find_ids(frame)
    wrong = []
    for path in FORMS if name == "plain" else LONGEST:
        answer = frame.goto(f"{here}{path.format(**ids)}")
        assert answer.status == 200, path
        assert frame.locator("h1").count() == 1, path
        alike = path.startswith("preferences/") or name != "plain"
        looks = NARROW if alike else LOOKS
        wrong += inspect(page, frame, axe, broken, f"{name} {path}", looks)
    assert wrong == []


def test_what_is_missing_is_said_so_that_everybody_reads_it(browser, site, axe, broken):
    fill(site)
    have_a_carer(site)
    page, frame = open_alone(browser, site)
    here, ids = frame.url, find_ids(frame)
    wrong = []
    for path in UNFILLED:
        frame.goto(f"{here}{path.format(**ids)}")
        with page.expect_response(f"{here}**") as answer:
            frame.evaluate(
                "(() => { const form = document.querySelector('main form');"
                "for (const one of form.querySelectorAll(':checked')) one.checked = false;"
                "HTMLFormElement.prototype.submit.call(form); })()"
            )
        assert answer.value.status == 422, path
        frame.locator("main [role=alert]").wait_for()
        wrong += inspect(page, frame, axe, broken, f"unfilled {path}")
    assert wrong == []
