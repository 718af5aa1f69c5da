"""Attacks that only a browser can show: frames, cookies, tabs, messages."""

import threading
from contextlib import contextmanager

import pytest
from flask import Flask
from playwright.sync_api import Error
from werkzeug.serving import make_server

from tests.browser.walking import LAUNCH

pytestmark = pytest.mark.browser
# Where the browser grants no storage to a frame, nothing can be in it.
STORED = """() => { try { return localStorage.length + sessionStorage.length; }
    catch { return 0; } }"""
WORKERS = """async () => {
    try { return (await navigator.serviceWorker.getRegistrations()).length; }
    catch { return 0; } }"""
SHOWN = """() => [location.href, document.body.dataset.patient,
    document.body.innerText, !!document.querySelector('dialog[open]')]"""


@contextmanager
def serve(make_html, host="127.0.0.1"):
    """Serve one page of a stranger at any address of another site."""
    app = Flask("stranger")
    app.add_url_rule("/", "page", make_html)
    server = make_server(host, 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://{host}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def open_app(page, site, person="rosa"):
    """Open the app from a chart; return its frame."""
    page.goto(f"{site.ehr}/ehr/patient/{person}")
    page.get_by_role("link", name="Launch CareCue").click()
    page.frame_locator("iframe.app").locator("#h-answer").first.wait_for(timeout=60_000)
    return next(one for one in page.frames if one.url.startswith(site.app))


def texts(page, site):
    """Return what the frames of a page that are ours show."""
    found = []
    for frame in page.frames[1:]:
        try:
            found.append(frame.evaluate("() => document.body.innerText"))
        except Error:
            found.append("")
    return found


@pytest.mark.attack(61)
def test_no_page_but_the_ehrs_can_frame_ours(browser, site):
    context = browser.new_context()
    frame = open_app(context.new_page(), site)
    lid = LAUNCH.search(frame.url)[1]
    places = (frame.url, f"{frame.url}pause", f"{site.app}/smart/launch?iss=x&launch=y")
    for host in ("127.0.0.1", "127.0.0.2"):
        for place in places:
            html = f'<iframe src="{place}" width=600 height=600></iframe>'
            with serve(lambda html=html: html, host) as stranger:
                page = context.new_page()
                page.goto(stranger)
                page.wait_for_load_state("networkidle")
                (inner,) = page.frames[1:]
                # What a policy blocks is an error page of the browser's.
                assert inner.url == "chrome-error://chromewebdata/", place
                assert "Rosa" not in "".join(texts(page, site))
                page.close()
    assert lid in open_url(context, site, frame)


def open_url(context, site, frame):
    """Open a frame's address in a window of its own; return what is refused there."""
    page = context.new_page()
    answer = page.goto(frame.url)
    assert answer.status == 403
    assert "Rosa" not in page.content()
    return page.url


@pytest.mark.attack(62)
def test_a_page_that_is_gone_back_to_is_its_own_patients(browser, site):
    context = browser.new_context()
    page = context.new_page()
    open_app(page, site, "rosa")
    open_app(page, site, "james")
    for _ in range(2):
        for turn, person, other in (
            (page.go_back, "James", "Rosa"),
            (page.go_back, "Rosa", "James"),
            (page.go_back, "Rosa", "James"),
            (page.go_forward, "Rosa", "James"),
            (page.go_forward, "James", "Rosa"),
            (page.go_forward, "James", "Rosa"),
        ):
            turn(wait_until="load")
            inner = [one for one in page.frames if LAUNCH.search(one.url)]
            for frame in inner:
                shown = frame.evaluate("() => document.body.innerText")
                assert other not in shown
                assert person in shown or not shown.strip()


@pytest.mark.attack(63)
def test_the_cookie_is_of_one_launch_and_hidden(browser, site):
    context = browser.new_context()
    first = open_app(context.new_page(), site, "rosa")
    second = open_app(context.new_page(), site, "james")
    lids = {LAUNCH.search(one.url)[1] for one in (first, second)}
    cookies = [one for one in context.cookies() if one["name"].startswith("__Host-")]

    assert {one["name"] for one in cookies} == {f"__Host-s_{lid}" for lid in lids}
    for one in cookies:
        assert one["secure"]
        assert one["httpOnly"]
        assert one["sameSite"] == "None"
        assert one["path"] == "/"
        assert one["domain"] == "localhost"
        assert one["partitionKey"] == "http://127.0.0.1"
        assert len(one["name"]) + len(one["value"]) < 140
    for frame in (first, second):
        assert frame.evaluate("() => document.cookie") == ""
        assert frame.evaluate(STORED) == 0
        assert frame.evaluate(WORKERS) == 0


@pytest.mark.attack(69)
def test_a_message_of_another_window_changes_nothing(browser, site):
    page = browser.new_context().new_page()
    frame = open_app(page, site)
    before = frame.evaluate(SHOWN)
    page.evaluate(
        """() => {
            const app = document.querySelector('iframe.app').contentWindow;
            const words = ['logout', 'reload', {type: 'patient', id: 'james'},
              {messageType: 'ui.done'}, {action: 'navigate', url: 'https://evil.example'},
              '<img src=x onerror=alert(1)>', {'hub.event': 'patient-open'}, null];
            for (const word of words) app.postMessage(word, '*');
        }"""
    )
    page.wait_for_timeout(300)

    assert frame.evaluate(SHOWN) == before
    assert before[1] == "Patient/rosa"
