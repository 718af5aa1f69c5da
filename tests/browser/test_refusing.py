"""The page holds on to its patient: what is another's is refused, and blanks it."""

from datetime import timedelta

import pytest

from tests.browser.charts import change, patient
from tests.browser.conftest import fill

pytestmark = pytest.mark.browser


def launch(page, site, who="rosa"):
    page.goto(f"{site.ehr}/ehr/patient/{who}")
    page.get_by_role("link", name="Launch CareCue").click()
    frame = page.frame_locator("iframe.app")
    frame.locator("#h-answer").wait_for(timeout=60_000)
    return frame, next(one for one in page.frames if one.url.startswith(site.app))


FOCUSES = "(one) => { one.focus(); return document.activeElement === one; }"
# How often the page was painted since the answer came, before it was blank.
BLANK_AFTER = """() => new Promise((done) => {
  document.addEventListener('htmx:before:response', () => {
    let painted = 0;
    const look = () => document.body.textContent.includes('Rosa')
      ? requestAnimationFrame(() => { painted += 1; look(); }) : done(painted);
    look();
  }, { capture: true });
  document.querySelector('[aria-haspopup=dialog]').click();
})"""


def test_answer_for_another_chart_blanks_the_page_at_once(browser, site):
    fill(site)
    context = browser.new_context()
    page = context.new_page()
    frame, inner = launch(page, site)
    other = context.new_page()
    _, james = launch(other, site, "james")

    def swap(route) -> None:
        if route.request.headers.get("hx-request"):
            answer = route.fetch(url=james.url)
            route.fulfill(response=answer)
        else:
            route.continue_()

    page.route(f"{site.app}/l/**", swap)
    assert inner.evaluate(BLANK_AFTER) < 6
    text = frame.locator("body").inner_text()
    assert "Another patient" in text
    assert "Rosa" not in text
    assert "James" not in text


def test_answer_that_names_nobody_blanks_the_page(browser, site):
    fill(site)
    page = browser.new_page()
    frame, inner = launch(page, site)
    page.route(
        f"{site.app}/l/**",
        lambda route: route.fulfill(body="<p data-dialog-body>Ok</p>"),
    )
    inner.evaluate(BLANK_AFTER)
    assert "Rosa" not in frame.locator("body").inner_text()


def test_page_that_was_left_shows_nothing_until_it_is_read_again(browser, site):
    page = browser.new_page()
    _, inner = launch(page, site)
    inner.evaluate("dispatchEvent(new PageTransitionEvent('pagehide'))")
    assert not inner.locator("#h-answer").is_visible()
    with page.expect_request(lambda one: one.url == inner.url):
        inner.evaluate(
            "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"
        )
    inner.locator("#h-answer").wait_for()


def test_lost_connection_is_said_and_nothing_is_shown_as_saved(browser, site):
    fill(site)
    page = browser.new_page()
    frame, _ = launch(page, site)
    page.route(f"{site.app}/l/**", lambda route: route.abort())
    frame.get_by_role("link", name="Preview next message").click()
    frame.get_by_text("No connection. Nothing is saved.").wait_for()
    page.unroute(f"{site.app}/l/**")
    frame.get_by_role("link", name="Preview next message").click()
    frame.locator("dialog .bubble").wait_for()
    assert not frame.locator("#offline").is_visible()


def test_controls_are_off_while_the_browser_has_no_connection(browser, site):
    fill(site)
    page = browser.new_page()
    frame, _ = launch(page, site)
    told = frame.get_by_role("alert").filter(has_text="No connection")
    pause = frame.get_by_role("link", name="Pause messages")
    page.context.set_offline(True)
    told.wait_for()
    # Neither the keyboard nor the mouse reaches one; what the page says can be read.
    assert not pause.evaluate(FOCUSES)
    assert frame.locator("#h-answer").is_visible()
    page.context.set_offline(False)
    told.wait_for(state="hidden")
    assert pause.evaluate(FOCUSES)
    pause.click()
    frame.locator("dialog[open]").wait_for()


SAID_IN_FRONT = "(one) => getComputedStyle(one, '::before').content"


def test_a_lost_connection_is_said_in_front_of_an_open_dialog_too(browser, site):
    fill(site)
    page = browser.new_page()
    frame, _ = launch(page, site)
    told = frame.locator("#offline")
    frame.get_by_role("link", name="Pause messages").click()
    dialog = frame.locator("dialog[open]")
    assert dialog.evaluate(SAID_IN_FRONT) == "none"
    page.context.set_offline(True)
    told.wait_for()
    assert "No connection. Nothing is saved." in dialog.evaluate(SAID_IN_FRONT)
    page.context.set_offline(False)
    told.wait_for(state="hidden")
    assert dialog.evaluate(SAID_IN_FRONT) == "none"


def test_dialog_takes_the_focus_and_gives_it_back(browser, site):
    fill(site)
    page = browser.new_page()
    frame, inner = launch(page, site)
    frame.get_by_role("link", name="Pause messages").press("Enter")
    frame.locator("dialog[open]").wait_for()
    assert inner.evaluate("document.activeElement.closest('dialog') !== null")
    page.keyboard.press("Escape")
    assert not frame.locator("dialog").is_visible()
    held = inner.evaluate("document.activeElement.textContent")
    assert held == "Pause messages"


def test_ended_session_is_said_in_the_dialog(browser, site):
    fill(site)
    page = browser.new_page()
    frame, _ = launch(page, site)
    page.context.clear_cookies()
    frame.get_by_role("link", name="Preview next message").click()
    opened = frame.locator("dialog[open]")
    opened.get_by_text("This cannot be opened here").wait_for()
    assert opened.locator(".bubble").count() == 0


def test_what_was_typed_stays_where_the_cookie_is_lost(browser, site):
    fill(site)
    page = browser.new_page()
    frame, _ = launch(page, site)
    frame.locator(".matters").get_by_role("link", name="Change").click()
    form = frame.locator("form#g-words")
    form.locator("textarea").fill("More time with my grandkids.")
    form.get_by_label("Rosa, today").check()
    page.context.clear_cookies()
    form.get_by_role("button", name="Save").click()
    frame.get_by_text("Nothing was shown or changed.").wait_for()
    assert form.locator("textarea").input_value() == "More time with my grandkids."
    card = frame.locator("[role=alert].notice").bounding_box()
    assert card["width"] >= 0.9 * form.bounding_box()["width"]


def test_an_ended_session_is_said_on_a_forms_own_page_too(browser, site):
    fill(site)
    page = browser.new_page()
    frame, _ = launch(page, site)
    frame.locator(".matters").get_by_role("link", name="Change").click()
    form = frame.locator("form#g-words")
    form.locator("textarea").fill("More time with my grandkids.")
    form.get_by_label("Rosa, today").check()
    site.move(timedelta(minutes=31))
    form.get_by_role("button", name="Save").click()
    told = form.get_by_role("alert")
    told.filter(has_text="is kept for 10 minutes").wait_for()
    assert form.locator("textarea").input_value() == "More time with my grandkids."


@pytest.mark.parametrize("where", ["dialog", "in place"])
def test_a_form_of_a_record_that_was_closed_meanwhile_has_no_button_left(
    browser, site, where
):
    fill(site)
    page = browser.new_page()
    frame, _ = launch(page, site)
    if where == "dialog":
        frame.get_by_role("link", name="Pause messages").click()
        form = frame.locator("dialog[open] form")
        press = form.get_by_role("button", name="Pause until")
    else:
        frame.locator(".matters").get_by_role("link", name="Change").click()
        form = frame.locator("form#g-words")
        form.locator("textarea").fill("More time with my grandkids.")
        form.get_by_label("Rosa, today").check()
        press = form.get_by_role("button", name="Save")
    press.wait_for()
    change(site, (patient(active=False),))
    press.click()
    form.get_by_role("heading", name="This was not saved").wait_for()
    assert form.get_by_text("This record is closed").is_visible()
    assert form.get_by_role("button").count() == 0
    assert form.get_by_role("link", name="Cancel").is_visible()
