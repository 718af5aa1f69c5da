"""The page's two pieces in a real browser: nothing jumps, and no script is needed."""

import pytest

from middleware.cli.bench_far import Far
from tests.browser.conftest import fill

pytestmark = pytest.mark.browser
SHIFTS = """() => new Promise((done) => {
  let sum = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) sum += entry.value;
  }).observe({ type: 'layout-shift', buffered: true });
  setTimeout(() => done(sum), 300);
})"""

# How many sheets held, of how many that are linked, when the first of the body came.
STYLED = """new MutationObserver((_, self) => {
  if (!document.body) return;
  window.styled = [document.styleSheets.length,
    document.querySelectorAll('head link[rel=stylesheet]').length];
  self.disconnect();
}).observe(document, { childList: true, subtree: true })"""


def put_far(site, seconds: float) -> None:
    app = site.sandbox.app
    far = Far(app.wsgi_app, app.extensions["smart"])
    far.set(seconds=seconds, batches=True)
    app.wsgi_app = far


def launch(page, site):
    page.goto(f"{site.ehr}/ehr/patient/rosa")
    page.get_by_role("link", name="Launch CareCue").click()
    frame = page.frame_locator("iframe.app")
    frame.locator("main#main h1").wait_for(timeout=60_000)
    # It stays in the page when what is newer has taken its place.
    first = " ".join((frame.locator(".last").text_content() or "").split())
    assert frame.locator(".last").is_hidden()
    return frame, first


def test_what_was_last_said_gives_way_without_a_jump(browser, site):
    fill(site)
    put_far(site, 0.7)
    page = browser.new_page(viewport={"width": 1120, "height": 1500})
    site.watch(page)
    launch(page, site)
    frame, first = launch(page, site)
    assert "Text Rosa in Spanish, 9 AM to 8 PM." in first
    assert "The chart is being checked." in first
    assert frame.locator("main#main h1").inner_text().startswith("Text Rosa in Spanish")
    inner = next(each for each in page.frames if each.url.startswith(site.app))
    assert inner.evaluate(SHIFTS) <= 0.02
    assert site.complaints == []


def test_nothing_is_laid_out_before_its_styles_are_there(browser, site):
    fill(site)
    page = browser.new_page(viewport={"width": 1120, "height": 1500})
    page.add_init_script(STYLED)
    held = []

    def hold(route) -> None:
        held.append(route.request.url)
        page.wait_for_timeout(500)
        route.continue_()

    page.route("**/look.css?**", hold)
    launch(page, site)
    inner = next(each for each in page.frames if each.url.startswith(site.app))
    assert held
    there, linked = inner.evaluate("window.styled")
    assert there == linked > 1
    assert inner.evaluate(SHIFTS) <= 0.02


def test_pieces_take_each_others_place_without_script(browser, site):
    put_far(site, 0.7)
    page = browser.new_context(java_script_enabled=False).new_page()
    site.watch(page)
    frame, first = launch(page, site)
    assert "The chart is being read" in first
    assert frame.locator("h1:visible").count() == 1
    assert site.complaints == []
