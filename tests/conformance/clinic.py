"""The SMART app as the web process wires it, and the browser of somebody at a chart.

The browser is Flask's client, which keeps cookies; everything that the app asks of an
EHR goes by HTTP to one of ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from mappings.endpoint import AppClient, BackendClient, Endpoint, EndpointKind, Site
from middleware.clock import FixedClock
from middleware.fhir.keys import SigningKeys
from middleware.settings import Settings
from middleware.storage import marks
from middleware.storage.endpoints import insert_endpoint, update_endpoint
from middleware.wiring.apps import make_public_app
from middleware.wiring.runtime import KEYS_MARK, Runtime, make_runtime
from smart_app.failed import PLACE
from tests.conformance.heard import Heard
from tests.conformance.hostile import CLIENT, REDIRECT, HostileEhr

PUBLIC = REDIRECT.removesuffix("/smart/callback")
FRAME = "http://127.0.0.1:8090"
FORM = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}
SITE = Site(
    name="Northside Clinic",
    phone="+14155550100",
    booking_url="https://northside.example.org/book",
    zone="America/Los_Angeles",
)


class Browser(FlaskClient):
    """Goes on to the page of a failure, as a browser does."""

    def open(self, *args: Any, **options: Any) -> TestResponse:
        answer = super().open(*args, **options)
        if answer.status_code == 303 and answer.location.startswith(f"{PLACE}/"):
            return super().open(answer.location, headers=options.get("headers"))
        return answer


@dataclass
class Clinic:
    """The app, one browser, the EHR that it is used from, and what is stored."""

    app: Flask
    browser: FlaskClient
    runtime: Runtime
    clock: FixedClock
    ehr: HostileEhr
    keys: SigningKeys
    known: dict[str, Endpoint] = field(default_factory=dict)

    def connect(
        self, ehr: HostileEhr | None = None, name: str = "northside", **app: Any
    ) -> Endpoint:
        """Register an EHR, or change how it is registered; ``profile`` goes beside."""
        ehr = ehr or self.ehr
        profile = app.pop("profile", {})
        endpoint = Endpoint(
            id=name,
            name=name.title(),
            kind=EndpointKind.SANDBOX,
            fhir_base=app.pop("fhir_base", ehr.base),
            backend=BackendClient(),
            app=AppClient(**{"client_id": CLIENT, "frame_origins": (FRAME,), **app}),
            site=SITE,
            allow_list=("*",),
            profile=profile,
        )
        ehr.keys = self.keys.public_jwks()
        with self.runtime.database.tx() as tx:
            if not update_endpoint(tx, endpoint):
                insert_endpoint(tx, endpoint, self.clock.now())
        self.known[name] = endpoint
        return endpoint

    def app_again(self) -> Clinic:
        """Return the clinic after a restart of the web process: nothing is cached."""
        app = make_public_app(self.runtime)
        app.test_client_class = Browser
        return replace(self, app=app, browser=app.test_client())

    def another_browser(self) -> FlaskClient:
        """Return a browser without any cookie."""
        return self.app.test_client()

    def begin(
        self, ehr: HostileEhr | None = None, launch: str | None = "opaque-1"
    ) -> TestResponse:
        """Open the app from a chart; without ``launch``, by itself."""
        asked = {"iss": (ehr or self.ehr).base}
        if launch is not None:
            asked["launch"] = launch
        path = "/smart/launch" if launch is not None else "/smart/standalone"
        return self.browser.get(path, query_string=asked)

    def agree(self, answer: TestResponse) -> str:
        """Follow to the EHR, which lets us in; return the callback's path and query."""
        assert answer.status_code == 303, answer.text
        back = go(answer.location)
        assert back.startswith(f"{REDIRECT}?"), back
        return back.removeprefix(PUBLIC)

    def launch(self, **options: Any) -> TestResponse:
        """Walk a whole launch; return the callback's answer."""
        return self.browser.get(self.agree(self.begin(**options)))

    def open(self, **options: Any) -> str:
        """Walk a whole launch that succeeds; return the path of its page."""
        answer = self.launch(**options)
        assert answer.status_code == 303, code_of(answer)
        return str(answer.location)

    def routes(self, opened: str) -> Iterator[tuple[str, str]]:
        """Return every method and path of a launch that the app answers to."""
        for rule in self.app.url_map.iter_rules():
            if rule.rule.startswith("/l/<lid>/"):
                path = opened + rule.rule.removeprefix("/l/<lid>/")
                path = path.replace("<nudge_id>", "x").replace("<name>", "channels")
                path = path.replace("<keep>", "ours")
                assert "<" not in path, f"what stands there in {rule.rule}?"
                for method in sorted({"GET", "POST"} & (rule.methods or set())):
                    yield method, path

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Read from the database."""
        with self.runtime.database.tx() as tx:
            return list(tx.execute(query, values).fetchall())

    def form(self, path: str, **values: str) -> dict[str, str]:
        """Return a form's values as our own page of this browser would send them."""
        page = self.browser.get(path)
        csrf = page.text.split('name="csrf" value="')[1].split('"')[0]
        return {"csrf": csrf, "patient": "Patient/rosa", **values}


def go(url: str) -> str:
    """Follow a link as a browser would, which logs nothing; return where it leads."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=10)
    connection.request("GET", f"{parts.path}?{parts.query}")
    with connection.getresponse() as answer:
        where, body = answer.getheader("Location"), answer.read()
    connection.close()
    return where or body.decode()


def asked_of(answer: TestResponse) -> dict[str, str]:
    """Return the parameters of the authorization request that an answer redirects to."""
    query = parse_qs(urlsplit(answer.location).query, keep_blank_values=True)
    assert all(len(values) == 1 for values in query.values()), query
    return {name: values[0] for name, values in query.items()}


def types_asked(heard: Iterable[Heard]) -> set[str]:
    """Return the types that an EHR was asked for, one by one or in a batch."""
    told = list(heard)
    lines = [one.path.removeprefix("/fhir/") for one in told]
    for one in told:
        if (one.method, one.path) == ("POST", "/fhir"):
            entries = json.loads(one.body)["entry"]
            lines += [entry["request"]["url"] for entry in entries]
    names = {line.partition("?")[0].partition("/")[0] for line in lines}
    return {name for name in names if name[:1].isupper()}


def secrets_of(clinic: Clinic, ehr: HostileEhr) -> list[str]:
    """Return every secret that went between us and an EHR."""
    found = [*ehr.tokens, *ehr.refresh_tokens, *ehr.codes]
    for one in ehr.heard:
        names = ("code", "code_verifier", "client_assertion", "refresh_token", "token")
        found += [one.form[name] for name in names if name in one.form]
        if one.path == "/authorize":
            found += [one.query[name][0] for name in ("state", "nonce")]
    found += [cookie.value for cookie in clinic.browser._cookies.values()]
    return found


def code_of(answer: TestResponse) -> str:
    """Return the code of a notice that the app answered with, such as ``T5``."""
    return answer.text.split('Code <span class="num">')[1].split("<")[0]


def assert_stranger(clinic: Clinic) -> None:
    """Hold that a launch ends because the proof of the user is not good."""
    answer = clinic.launch()
    assert answer.status_code == 502, answer.location
    assert code_of(answer) == "T5"
    assert clinic.rows("SELECT id FROM launch WHERE stage = 'open'") == []
    # Nobody is in: the token that came along is used for nothing.
    assert [one.path for one in clinic.ehr.used() if not one.form] == []


def renewing(clinic: Clinic, life: int = 600) -> str:
    """Open a launch whose token can be renewed; return its page."""
    clinic.ehr.habits.refreshes = True
    clinic.ehr.habits.life = life
    clinic.ehr.habits.document |= {"scopes_supported": ["online_access"]}
    return clinic.open()


def near_the_end(clinic: Clinic, life: int = 600) -> None:
    """Let the time come at which a token is renewed."""
    clinic.clock.instant += timedelta(seconds=life - 30)


@contextmanager
def open_clinic(
    database_url: str, home: Path, clock: FixedClock, keys: SigningKeys, ehr: HostileEhr
) -> Iterator[Clinic]:
    """Open the app over an empty database, with one EHR registered."""
    settings = Settings(
        home=home, database_url=database_url, public_url=PUBLIC, log_level="WARNING"
    )
    made = make_runtime(settings)
    runtime = replace(made, clock=clock)
    with runtime.database.tx() as tx:
        marks.put_mark(tx, KEYS_MARK, runtime.sealer.seal(keys.dump()).hex())
    app = make_public_app(runtime)
    app.test_client_class = Browser
    clinic = Clinic(app, app.test_client(), runtime, clock, ehr, keys)
    clinic.connect()
    try:
        yield clinic
    finally:
        runtime.close()
