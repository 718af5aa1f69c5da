"""Attacks that only a browser can show: frames, cookies, tabs, messages."""

import threading
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

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


@pytest.mark.attack(64)
def test_a_form_that_another_site_sends_saves_nothing(browser, site):
    context = browser.new_context()
    frame = open_app(context.new_page(), site)
    opened = frame.url.partition("#")[0]
    fields = {"patient": "Patient/rosa", "until": "open", "why": "asked", "version": ""}
    # Even with the mark of the page itself, had it been stolen.
    fields["csrf"] = frame.evaluate("document.querySelector('[name=csrf]').value")
    inputs = "".join(
        f'<input name="{name}" value="{value}">' for name, value in fields.items()
    )
    form = f'<form method="post" action="{opened}pause" target="f">{inputs}</form>'
    html = f'{form}<iframe name="f"></iframe>'
    # Another port of the EHR's host has the same jar of cookies.
    with serve(lambda: html) as stranger:
        page = context.new_page()
        page.goto(stranger)
        with page.expect_response(f"{opened}pause") as sent:
            page.evaluate("() => document.forms[0].submit()")
        assert "__Host-s_" in sent.value.request.all_headers()["cookie"]
        assert sent.value.status == 403
    with site.runtime.database.tx() as tx:
        assert tx.execute("SELECT 1 FROM preference").fetchall() == []


@pytest.mark.attack(22)
def test_nothing_of_the_sign_in_is_left_in_the_browser(browser, site):
    page = browser.new_context().new_page()
    asked = []
    page.on("request", lambda one: asked.append((one.url, one.headers.get("referer"))))
    frame = open_app(page, site)
    came = [url for url, _ in asked if "/smart/callback?" in url]
    assert came
    code = parse_qs(urlsplit(came[0]).query)["code"][0]

    told = frame.evaluate(
        """() => [location.href, document.referrer, document.URL,
            ...performance.getEntries().map((one) => one.name)]"""
    )
    assert not [one for one in told if code in one or "state=" in one]
    after = asked[asked.index(next(one for one in asked if one[0] == came[0])) + 1 :]
    assert not [one for one in after if code in f"{one}"]
    # What the frame went through is not gone back to.
    frame.evaluate("() => location.reload()")
    page.wait_for_load_state("networkidle")
    page.go_back()
    page.wait_for_load_state("networkidle")
    assert not [one for one in page.frames if "code=" in one.url]


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
