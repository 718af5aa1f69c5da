"""The app against a strict authorization server: the sandbox's own."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

from mappings.endpoint import AppClient, Endpoint
from middleware.fhir.client import FhirClient
from middleware.sandbox.launches import Launch
from middleware.sandbox.server import Running
from middleware.storage.launches import get_launch
from smart_app.app import create_blueprint
from smart_app.scopes import list_scopes
from tests.unit.smart_app.conftest import OURS_HEADERS, PUBLIC
from tests.unit.smart_app.ehr import OURS


@dataclass(frozen=True)
class SandboxTime:
    """The sandbox's own clock, so that ours moves with it."""

    sandbox: Running

    def now(self) -> datetime:
        time: datetime = self.sandbox.app.extensions["clock"].now()
        return time

    def later(self, **time: float) -> None:
        to = self.now() + timedelta(**time)
        requests.post(
            f"{self.sandbox.base_url}/sandbox/clock",
            json={"now": to.isoformat()},
            timeout=30,
        ).raise_for_status()


@dataclass
class Strict:
    """The app registered at the sandbox."""

    http: FlaskClient
    sandbox: Running
    time: SandboxTime
    endpoint: Endpoint
    database: object
    patient: str
    user: str

    def launch(self) -> str:
        authority = self.sandbox.app.extensions["smart"]
        opaque = authority.launches.put(
            Launch("carecue-app", self.patient, None, self.user)
        )
        query = {"iss": self.endpoint.fhir_base, "launch": opaque}
        first = self.http.get("/smart/launch", query_string=query)
        assert first.status_code == 303, first.text
        sent = requests.get(first.location, allow_redirects=False, timeout=30)
        back = urlsplit(sent.headers["Location"])
        assert f"{back.scheme}://{back.netloc}" == PUBLIC, sent.text
        answer = self.http.get(f"{back.path}?{back.query}")
        assert answer.status_code == 303, answer.text
        return str(answer.location)

    def row(self, page: str):
        with self.database.tx() as tx:
            return get_launch(tx, page.split("/")[2])


@pytest.fixture
def strict(rig) -> Iterator[Strict]:
    with Running() as sandbox:
        url, time = sandbox.base_url, SandboxTime(sandbox)
        endpoint = replace(
            rig.endpoints[0],
            fhir_base=f"{url}/fhir",
            app=AppClient(client_id="carecue-app"),
            profile={"server": "sandbox"},
        )
        rig.endpoints[0] = endpoint
        ports = replace(
            rig.ports,
            bearer=None,
            clock=time,
            fhir=lambda endpoint, bearer, _: FhirClient(
                endpoint.fhir_base, bearer.token, clock=time, forget=bearer.forget
            ),
        )
        registration = {
            "client_id": "carecue-app",
            "client_name": "CareCue",
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "private_key_jwt",
            "jwks": {"keys": [OURS.as_dict(private=False)]},
            "redirect_uris": [f"{PUBLIC}/smart/callback"],
            "scope": list_scopes(ports.desk.resource_types(endpoint)),
        }
        requests.put(
            f"{url}/sandbox/clients", json=registration, timeout=5
        ).raise_for_status()
        app = Flask("strict")
        app.test_client_class = type(rig.http)
        app.register_blueprint(create_blueprint(ports))
        store = sandbox.app.extensions["store"]
        patient, user = (
            store.candidates(kind)[0] for kind in ("Patient", "Practitioner")
        )
        yield Strict(
            app.test_client(),
            sandbox,
            time,
            endpoint,
            rig.database,
            patient["id"],
            f"Practitioner/{user['id']}",
        )


def test_a_whole_session_at_a_server_that_forgives_nothing(strict):
    page = strict.launch()
    shown = strict.http.get(page)
    assert shown.status_code == 200
    assert "the EHR did not allow" not in shown.text
    row = strict.row(page)
    assert "online_access" in row.scope.split()
    for _ in range(3):
        strict.time.later(minutes=9)
        assert strict.http.get(page).status_code == 200
    steps = [step["step"] for step in strict.row(page).steps]
    assert steps.count("renewed") == 3
    csrf = shown.text.split('name="csrf" value="')[1].split('"')[0]
    form = {"csrf": csrf, "patient": f"Patient/{strict.patient}"}
    closed = strict.http.post(f"{page}close", data=form, headers=OURS_HEADERS)
    assert closed.status_code == 200
    refreshes = strict.sandbox.app.extensions["smart"].refreshes
    assert refreshes._families == {}


def test_a_logout_at_the_server_locks_the_page(strict):
    page = strict.launch()
    authority = strict.sandbox.app.extensions["smart"]
    for family in list(authority.refreshes._families):
        authority.revoke(family)
    assert "Your chart session ended" in strict.http.get(page).text
    assert strict.row(page).stage == "locked"
    assert strict.http.get(page).status_code == 401


def test_an_answer_without_its_issuer_is_refused(strict):
    authority = strict.sandbox.app.extensions["smart"]
    opaque = authority.launches.put(
        Launch("carecue-app", strict.patient, None, strict.user)
    )
    query = {"iss": strict.endpoint.fhir_base, "launch": opaque}
    first = strict.http.get("/smart/launch", query_string=query)
    sent = requests.get(first.location, allow_redirects=False, timeout=30)
    back = parse_qs(urlsplit(sent.headers["Location"]).query)
    code, state = back["code"][0], back["state"][0]
    answer = strict.http.get(f"/smart/callback?code={code}&state={state}")
    assert answer.status_code == 400
    assert ">C5<" in answer.text
