"""One launch as a browser walks it, against a real ``carecue serve`` and a distant EHR.

Everything is started here and stopped again; the clock runs from the request of the
callback, so the exchange of the code is in it.
"""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from urllib.parse import quote, urlsplit

from mappings.endpoint import Endpoint
from mappings.errors import CareCueError
from middleware.cli.bench_far import PATIENT, USER
from middleware.cli.bench_rig import is_ready, own_database
from middleware.cli.bench_sequential import CLIENT_ID, Plain
from middleware.cli.demo_connect import connect_sandbox
from middleware.cli.demo_parts import (
    Children,
    Ports,
    choose_ports,
    clean_environment,
    wait_until,
)
from middleware.desk.charting import page_queries
from middleware.settings import environment_of, read_settings
from middleware.wiring.pipeline import stage_context
from middleware.wiring.runtime import Runtime, open_runtime
from middleware.wiring.sandbox_control import SandboxControl

REDIRECT = "http://localhost:1/callback"
SCOPE = "openid fhirUser patient/*.rs user/Practitioner.r"
ZONE = "America/Los_Angeles"
SECONDS = 60
FRESH = b'<div class="fresh"'


@dataclass(frozen=True)
class Opened:
    """One launch: seconds to the first piece, to what the chart says now, to the end.

    ``requests`` are those of the EHR until the chart spoke, ``in_all`` until the end.
    ``verdict`` where the first piece held what was last said.
    """

    shell: float
    answer: float
    whole: float
    requests: int
    in_all: int
    verdict: bool


@dataclass
class Distance:
    """The running parts."""

    runtime: Runtime
    control: SandboxControl
    endpoint: Endpoint
    ports: Ports

    def set(self, *, seconds: float, batches: bool) -> None:
        """Say how long each answer of the EHR takes, and whether it takes batches."""
        wanted = {"seconds": seconds, "batches": batches}
        self.control.call("POST", "/bench/set", wanted)

    def open(self) -> Opened:
        """Walk one launch; CareCueError when the page does not come."""
        code = self.control.call("POST", "/bench/launch")["launch"]
        base = quote(self.endpoint.fhir_base, safe="")
        start = _get(self.ports.public, f"/smart/launch?iss={base}&launch={code}")
        cookie = (start.getheader("Set-Cookie") or "").partition(";")[0]
        callback = urlsplit(_follow(self.ports.sandbox, start))
        self.control.call("GET", "/bench/asked")
        began = perf_counter()
        back = _get(self.ports.public, f"{callback.path}?{callback.query}", cookie)
        page = _get(self.ports.public, back.getheader("Location") or "", cookie)
        text, first, shell, answer, asked = b"", b"", 0.0, 0.0, 0
        while piece := page.read1(65536):
            text += piece
            if not shell and b"<h1" in text:
                shell, first = perf_counter() - began, text
            if not answer and b"<h1" in text.partition(FRESH)[2]:
                answer = perf_counter() - began
                asked = self.control.call("GET", "/bench/asked")["asked"]
        whole = perf_counter() - began
        if b'id="main"' not in text or b"</html>" not in text:
            raise CareCueError("A launch did not open the page; nothing was measured.")
        in_all = asked + self.control.call("GET", "/bench/asked")["asked"]
        verdict = b'class="lede"' in first
        return Opened(shell, answer, whole, asked, in_all, verdict)

    def open_plainly(self) -> tuple[float, int]:
        """Exchange and read all of the chart with the plain client."""
        code = self.control.call("POST", "/bench/launch")["launch"]
        plain = Plain(self.endpoint.fhir_base, REDIRECT, code, SCOPE)
        parts = urlsplit(plain.authorize_url)
        sent = _get(self.ports.sandbox, f"{parts.path}?{parts.query}")
        context = stage_context(self.runtime)
        queries = page_queries(
            context.library(self.endpoint),
            f"Patient/{PATIENT}",
            (),
            self.runtime.clock.now(),
        )[1:]
        return plain.finish(sent.getheader("Location") or "", USER, queries)


def _get(port: int, path: str, cookie: str = "") -> http.client.HTTPResponse:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    link.request("GET", path, headers={"Cookie": cookie, "Accept-Language": "en-US"})
    answer = link.getresponse()
    if answer.status >= 400:
        raise CareCueError(f"A step of a launch was answered {answer.status}.")
    return answer


def _follow(port: int, answer: http.client.HTTPResponse) -> str:
    parts = urlsplit(answer.getheader("Location") or "")
    return _get(port, f"{parts.path}?{parts.query}").getheader("Location") or ""


@contextlib.contextmanager
def open_distance(home: Path) -> Iterator[Distance]:
    """Start database, EHR and web process; stop them, drop the database at the end."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(own_database(home))
        ports = choose_ports(home, None, usual=False)
        settings = read_settings(
            home=home,
            database_url=url,
            secret_key_file=None,
            listen_port=ports.public,
            console_port=ports.console,
            public_url=f"http://localhost:{ports.public}",
            movable_clock=False,
        )
        runtime = stack.enter_context(open_runtime(settings))
        children = Children(home)
        stack.callback(children.stop)
        children.start("far", ["bench", "far", str(ports.sandbox)], clean_environment())
        control = SandboxControl(f"http://127.0.0.1:{ports.sandbox}")
        wait_until("The EHR", control.healthy, children)
        endpoint = connect_sandbox(runtime, control, ZONE, "bench-token")
        _register_plain(control)
        environment = {**clean_environment(), **environment_of(settings)}
        children.start("serve", ["serve"], environment)
        wait_until("The web process", lambda: is_ready(ports.public), children)
        yield Distance(runtime, control, endpoint, ports)


def _register_plain(control: SandboxControl) -> None:
    client = {
        "client_id": CLIENT_ID,
        "client_name": "fhirclient, plainly",
        "grant_types": ["authorization_code"],
        "token_endpoint_auth_method": "none",
        "redirect_uris": [REDIRECT],
        "scope": f"launch {SCOPE}",
    }
    control.call("PUT", f"/sandbox/clients/{CLIENT_ID}", client)
