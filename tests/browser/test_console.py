"""The console in a real browser, over the interactive demo: one whole small story."""

from __future__ import annotations

import re

import pytest

from middleware.cli.demo_run import Demo, DemoOptions

pytestmark = [pytest.mark.browser, pytest.mark.demo]

PAGES = ("", "/events", "/attention", "/audit")
SMALL = """() => [...document.querySelectorAll('a, button, input, select, summary')]
  .filter(e => e.type !== 'hidden' && e.checkVisibility() && !e.matches('.skip'))
  .map(e => [e.outerHTML.slice(0, 80), e.getBoundingClientRect()])
  .filter(([, box]) => box.width && (box.width < 24 || box.height < 23.9))
  .map(([html]) => html)"""
# On a narrow screen no column lies beyond the edge of its table.
HIDDEN = """() => {
  if (innerWidth > 400) return [];
  return [...document.querySelectorAll('.scroll')]
    .filter((one) => one.checkVisibility() && one.scrollWidth > one.clientWidth + 1)
    .map((one) => one.ariaLabel);
}"""
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture
def demo(tmp_path):
    with Demo(DemoOptions(tmp_path, None, faults=False, story=False)) as running:
        yield running


def login(demo, context, complaints):
    """Open the console with the link that the demo prints."""

    def refused(answer) -> None:
        if answer.status >= 400:
            complaints.append(f"{answer.status} {answer.url}")

    page = context.new_page()
    page.on("response", refused)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(f"{said.type}: {said.text}"))
    link = re.search(r"http://\S+/console/login\?token=\S+", demo.welcome())
    assert link
    page.goto(link.group(0))
    page.get_by_role("button", name="Open the console").click()
    page.wait_for_url("**/console")
    return page


def discharge_rosa(demo, context) -> None:
    ehr = context.new_page()
    ehr.goto(f"{demo.control.base_url}/ehr/patient/rosa")
    ehr.get_by_role("button", name="Discharge home").click()
    ehr.wait_for_load_state()
    ehr.close()
    demo.clockwork().wait_quiet()


def check_page(page) -> None:
    """Hold a page to the basics: one h1, landmarks, targets, no sideways scroll."""
    assert page.locator("h1").count() == 1
    assert page.locator("main, header, nav[aria-label='Main']").count() == 3
    assert page.evaluate(SMALL) == []
    assert page.evaluate(SIDEWAYS) == 0


def test_discharge_is_told_forwarded_and_seen_on_the_phone(
    demo, browser, axe, broken, tmp_path
):
    complaints: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = login(demo, context, complaints)
    discharge_rosa(demo, context)
    page.get_by_role("button", name="Forward to the next message").click()
    page.locator(".said").wait_for(timeout=120_000)
    said = page.locator(".said").inner_text()
    assert re.fullmatch(r"It is now .+ PST\. 1 message was sent\.", said), said
    assert page.locator("h1").inner_text().startswith("The endpoint is healthy.")

    page.get_by_role("link", name="Events", exact=True).click()
    page.get_by_role("link", name="Discharged").click()
    event = page.url.partition("/console")[2]
    steps = page.locator(".steps > li > b").all_inner_texts()
    assert steps[:5] == ["Received", "Read chart", "Decided", "Due", "Checked"]
    assert steps[5] == "Sent"
    assert "Delgado" not in page.content()
    phone = context.new_page()
    phone.goto(f"{demo.control.base_url}/phone/")
    assert "Northside Clinic: le escribimos" in phone.locator("main").inner_text()

    for width, scheme in (
        (1280, "light"),
        (760, "light"),
        (320, "light"),
        (1280, "dark"),
    ):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        for path in (*PAGES, event):
            page.goto(f"http://127.0.0.1:{demo.ports.console}/console{path}")
            check_page(page)
            assert broken(page, axe) == [], (path, width, scheme)
            assert page.evaluate(HIDDEN) == [], (path, width, scheme)
            name = f"{path.strip('/').partition('/')[0] or 'overview'}-{width}-{scheme}.png"
            page.screenshot(path=tmp_path / name, full_page=True)
    assert complaints == []


def test_focus_is_seen_and_the_keyboard_does_everything(demo, browser):
    complaints: list[str] = []
    page = login(demo, browser.new_context(), complaints)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert outline == "2px"
    page.locator("select[name=what]").focus()
    page.keyboard.type("Plan: After a")
    page.locator("input[name=reason]").focus()
    page.keyboard.type("wording under review")
    page.keyboard.press("Enter")
    page.locator(".said").wait_for()
    assert (
        page.locator(".said").inner_text().startswith("Held from now on: Plan: After")
    )
    release = page.get_by_role("button", name=re.compile("^Release Plan: After"))
    release.press("Enter")
    page.get_by_text("Released: Plan: After").wait_for()
    page.get_by_role("button", name="Log out").press("Enter")
    page.wait_for_url("**/console/login")
    assert complaints == []
