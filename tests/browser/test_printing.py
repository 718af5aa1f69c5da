"""The page on paper, in forced colours, and by the keyboard alone."""

import os
import re
from pathlib import Path

import pytest

from tests.browser.charts import WORDS, change
from tests.browser.conftest import fill

pytestmark = pytest.mark.browser
SHOTS = os.environ.get("CARECUE_SHOTS")


FOCUSED = """() => {
  const held = document.activeElement;
  if (held === document.body) return ['', ''];
  return [held.textContent.trim(), getComputedStyle(held).outlineStyle];
}"""


def launch(browser, site):
    page = browser.new_context(viewport={"width": 1120, "height": 1400}).new_page()
    page.goto(f"{site.ehr}/ehr/patient/rosa")
    page.get_by_role("link", name="Launch CareCue").click()
    frame = page.frame_locator("iframe.app")
    frame.locator("#h-answer").wait_for(timeout=60_000)
    return page, frame, next(one for one in page.frames if one.url.startswith(site.app))


def keep(page, name) -> None:
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


@pytest.mark.parametrize("paper", ["Letter", "A4"])
def test_page_prints_on_one_sheet(browser, site, paper):
    fill(site)
    change(site, (WORDS,))
    page, _, inner = launch(browser, site)
    copy = page.context.new_page()
    html = inner.content()
    address = f"{site.app}/l/copy/"
    copy.route(
        address, lambda route: route.fulfill(body=html, content_type="text/html")
    )
    copy.goto(address)
    copy.emulate_media(media="print", color_scheme="dark")
    keep(copy, f"print-{paper}")
    text = copy.locator("body").inner_text()
    for part in (
        "Rosa Delgado",
        "Text Rosa in Spanish",
        "Quiero",
        "Chart read",
        "To change",
    ):
        assert part in text
    assert "Preview" not in text
    assert "Change how" not in text
    sheet = copy.pdf(format=paper)
    assert len(re.findall(rb"/Type\s*/Page\b(?!s)", sheet)) == 1
    paint = copy.evaluate(
        "getComputedStyle(document.querySelector('.sheet')).backgroundColor"
    )
    assert paint == "rgb(255, 255, 255)"


def test_dialogs_break_no_rule_and_show_what_is_sent(browser, site, axe, broken):
    fill(site)
    page, frame, inner = launch(browser, site)
    site.watch(page)
    for name, press in (
        ("preview", "Preview next message"),
        ("pause", "Pause messages"),
    ):
        frame.get_by_role("link", name=press).click()
        frame.locator("dialog[open]").wait_for()
        keep(page, name)
        assert broken(inner, axe) == [], name
        page.keyboard.press("Escape")
    assert site.complaints == []


def test_forced_colours_keep_shapes_and_words(browser, site):
    fill(site)
    page, frame, _ = launch(browser, site)
    page.emulate_media(forced_colors="active")
    keep(page, "forced")
    assert frame.get_by_role("link", name="Preview next message").is_visible()
    page.emulate_media(forced_colors="none", contrast="more")
    keep(page, "contrast")


def test_main_tasks_are_done_by_the_keyboard_alone(browser, site):
    fill(site)
    page, frame, inner = launch(browser, site)
    site.watch(page)

    def walk(text: str) -> None:
        for _ in range(80):
            page.keyboard.press("Tab")
            seen = inner.evaluate(FOCUSED)
            if seen[0].startswith(text):
                assert seen[1] == "solid", text
                return
        pytest.fail(f"{text} was not reached")

    walk("Skip to coming messages")
    page.keyboard.press("Enter")
    walk("Preview")
    page.keyboard.press("Enter")
    frame.locator("dialog .bubble").wait_for()
    page.keyboard.press("Escape")
    walk("Show as table")
    page.keyboard.press("Enter")
    assert frame.get_by_role("columnheader", name="Usual time").is_visible()
    walk("See all 9 messages")
    page.keyboard.press("Enter")
    frame.get_by_role("heading", level=1, name="Messages to Rosa").wait_for()
    assert frame.locator(".ev").count() == 9
    assert site.complaints == []


def test_spanish_is_chosen_and_stays(browser, site):
    fill(site)
    page, frame, inner = launch(browser, site)
    frame.get_by_role("button", name="Español").click()
    frame.get_by_role("heading", name="Próximos mensajes").wait_for()
    assert frame.locator("html").get_attribute("lang") == "es-US"
    keep(page, "spanish")
    frame.get_by_role("link", name=re.compile("^Ver el próximo")).click()
    frame.locator("dialog").get_by_text("Comprobaciones antes del envío").wait_for()
    assert inner.evaluate("document.documentElement.dir") == "ltr"
