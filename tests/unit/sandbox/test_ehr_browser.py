"""A launch in a real browser: EHR on 127.0.0.1, app in a frame on localhost."""

import os
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from middleware.sandbox.app import Options
from middleware.sandbox.server import Running
from tests.unit.sandbox.smart_rig import APP, CHALLENGE

pytestmark = pytest.mark.browser
CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class App:
    """Sends a launch on to the EHR's authorization, and says what came back."""

    def __init__(self, fhir: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                url = urlsplit(self.path)
                query = {k: v[0] for k, v in parse_qs(url.query).items()}
                if url.path == "/smart/launch":
                    return self.go(app.authorize(query["launch"]))
                return self.say(" ".join(sorted(query)))

            def go(self, target: str) -> None:
                self.send_response(303)
                self.send_header("Location", target)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def say(self, words: str) -> None:
                body = f"<h1>{words}</h1>".encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        app = self
        self.fhir = fhir
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://localhost:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def authorize(self, launch: str) -> str:
        query = urlencode(
            {
                "response_type": "code",
                "client_id": "app",
                "redirect_uri": f"{self.base}/smart/callback",
                "scope": "launch patient/*.rs",
                "state": "st4te",
                "aud": self.fhir,
                "launch": launch,
                "code_challenge": CHALLENGE,
                "code_challenge_method": "S256",
            }
        )
        return f"{self.fhir.removesuffix('/fhir')}/oauth/authorize?{query}"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def page():
    if CHROMIUM is None:
        sentence = "Chromium is absent: install the package chromium"
        if "chromium" in os.environ.get("CARECUE_REQUIRE", ""):
            pytest.fail(sentence)
        pytest.skip(sentence)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.errors = []
        page.on("console", lambda message: page.errors.append(message.text))
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        yield page
        browser.close()


@pytest.fixture
def ehr():
    with Running(Options(people=False)) as running:
        store = running.app.extensions["store"]
        name = [{"family": "Osei", "given": ["Abena"]}]
        store.create("Practitioner", {"name": name}, "osei")
        name = [{"family": "Delgado", "given": ["Rosa"]}]
        store.create("Patient", {"name": name, "birthDate": "1968-02-03"}, "rosa")
        name = [{"family": "Núñez", "given": ["Ana"]}]
        store.create("Patient", {"name": name}, "ana")
        yield running


@pytest.fixture
def app(ehr):
    app = App(f"{ehr.base_url}/fhir")
    registration = {
        **APP,
        "redirect_uris": [f"{app.base}/smart/callback"],
        "launch_uri": f"{app.base}/smart/launch",
    }
    answer = ehr.app.test_client().put("/sandbox/clients", json=registration)
    assert answer.status_code == 201
    yield app
    app.close()


def test_search_launch_and_actions_in_a_browser(page, ehr, app):
    page.goto(f"{ehr.base_url}/ehr/")
    page.fill("#search", "nunez")
    assert page.locator("tbody tr:visible").all_inner_texts()[0].startswith("Núñez")
    assert page.text_content("[data-count]") == "1"
    page.fill("#search", "delgado")
    page.click("text=Delgado, Rosa")
    page.click("text=Admit to hospital")
    page.click("text=Discharge home")
    page.wait_for_selector("text=Discharged home.")
    page.click("text=Launch CareCue")
    frame = page.frame_locator("iframe.app")
    assert frame.locator("h1").inner_text() == "code iss state"
    assert urlsplit(page.frames[1].url).path == "/smart/callback"
    assert page.errors == []
