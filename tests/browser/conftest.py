"""A real Chromium, a sandbox EHR on 127.0.0.1 and our app on localhost: two sites."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from mappings.endpoint import Endpoint
from middleware.cli.demo_connect import connect_sandbox
from middleware.desk.desk import Desk
from middleware.sandbox.app import Options
from middleware.sandbox.server import Running
from middleware.settings import Settings
from middleware.storage.clock import move_clock, read_offset
from middleware.storage.database import Database
from middleware.wiring.apps import make_public_app
from middleware.wiring.pipeline import stage_context
from middleware.wiring.runtime import Runtime, open_runtime, signing_keys
from middleware.wiring.sandbox_control import SandboxControl
from smart_app.scopes import Asking, list_scopes, write_scope

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
EVERYONE = Asking(level="user", refresh="online_access")
HOW = "no chromium on PATH: apt-get install chromium (or set PATH to one)"


@pytest.fixture(scope="session")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        if "chromium" in os.environ.get("CARECUE_REQUIRE", "").split(","):
            pytest.fail(HOW)
        pytest.skip(HOW)
    return found


@pytest.fixture
def browser(chromium: str) -> Iterator[object]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--test-third-party-cookie-phaseout"],
        )
        yield opened
        opened.close()


@dataclass
class Site:
    """The two sites and what the app stands on."""

    ehr: str
    app: str
    endpoint: Endpoint
    runtime: Runtime
    sandbox: Running
    complaints: list[str] = field(default_factory=list)

    def move(self, span: timedelta) -> None:
        """Let time pass, here and at the EHR."""
        ehr = self.sandbox.app.extensions["clock"]
        with self.runtime.database.tx() as tx:
            move_clock(tx, read_offset(tx) + span)
        ehr.advance(span)

    def watch(self, page) -> None:
        """Note whatever a page complains about, and every request to elsewhere."""

        def request(one) -> None:
            if not one.url.startswith((self.ehr, self.app, "data:")):
                self.complaints.append(f"request to {one.url}")

        def console(message) -> None:
            if message.type in ("error", "warning"):
                self.complaints.append(f"{message.type}: {message.text}")

        page.on("request", request)
        page.on("console", console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))


@pytest.fixture
def site(database: Database, database_url: str, tmp_path: Path) -> Iterator[Site]:
    with Running(Options()) as sandbox:
        settings = Settings(
            home=tmp_path,
            database_url=database_url,
            public_url="http://localhost:0",
            sms_base_url=sandbox.base_url,
            sms_account_sid="ACsandbox",
            sms_auth_token="sandbox-token",
            sms_from_number="+14155550199",
            # The machine may be busy; what comes too late has its own test.
            cds_seconds=10,
            movable_clock=True,
        )
        server = make_server("127.0.0.1", 0, lambda *_: [], threaded=True)
        public = f"http://localhost:{server.server_port}"
        settings = settings.model_copy(update={"public_url": public})
        with open_runtime(settings) as runtime:
            control = SandboxControl(sandbox.base_url)
            endpoint = connect_sandbox(
                runtime, control, "America/Los_Angeles", "sandbox-token"
            )
            register_app(control, runtime, endpoint)
            server.app = make_public_app(runtime)
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            try:
                yield Site(sandbox.base_url, public, endpoint, runtime, sandbox)
            finally:
                server.shutdown()
                thread.join()
                server.server_close()


def register_app(
    control: SandboxControl,
    runtime: Runtime,
    endpoint: Endpoint,
    *,
    picks: bool = False,
) -> None:
    """Register the app with exactly the scopes that it asks for."""
    types = Desk(stage_context(runtime)).resource_types(endpoint)
    scopes = list_scopes(types).split()
    if picks:
        scopes = write_scope(types, standalone=True, asking=EVERYONE).split()
    public = runtime.settings.public_url
    control.call(
        "PUT",
        "/sandbox/clients/carecue-app",
        {
            "client_id": "carecue-app",
            "client_name": "CareCue",
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "private_key_jwt",
            "jwks": signing_keys(runtime).public_jwks(),
            "redirect_uris": [f"{public}/smart/callback"],
            "launch_uri": f"{public}/smart/launch",
            "scope": " ".join(sorted(scopes)),
        },
    )


def fill(site: Site) -> None:
    """Book Rosa a visit, plan its reminders and give her a history of answers."""
    from tests.browser.story import tell

    tell(stage_context(site.runtime), site.endpoint, site.sandbox.app)


@pytest.fixture(scope="session")
def axe() -> str:
    if not AXE.exists():
        how = "no axe-core: (cd tests/browser && npm ci --ignore-scripts)"
        if "node" in os.environ.get("CARECUE_REQUIRE", "").split(","):
            pytest.fail(how)
        pytest.skip(how)
    return AXE.read_text()


@pytest.fixture(scope="session")
def broken() -> Callable[[object, str], list[str]]:
    """Return what says which rules a frame breaks; injected, so the policy holds."""

    def find(frame, axe) -> list[str]:
        frame.evaluate(axe)
        found = frame.evaluate(
            "async (tags) => (await axe.run(document, { runOnly: tags })).violations"
            ".map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(' ')}`)",
            RULES,
        )
        return [str(one) for one in found]

    return find
