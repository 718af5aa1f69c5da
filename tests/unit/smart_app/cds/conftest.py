"""The CDS Hooks services behind a real HTTP server, called by an EHR with real keys."""

import http.client
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import urlsplit

import orjson
import pytest
from flask import Flask
from joserfc import jwt
from werkzeug.serving import make_server

from mappings.content import load_shipped
from mappings.endpoint import CdsCaller
from mappings.secret import Secret
from middleware.desk.cds import CdsDesk
from middleware.fhir.client import FhirClient
from middleware.ports import RandomIds
from middleware.stages.context import StageContext
from middleware.storage import cds
from middleware.storage.audit import list_audit
from middleware.web import security
from middleware.wiring.cds import fetch_caller_keys, transient_clients
from smart_app.cds.blueprint import create_cds
from smart_app.cds.ports import CdsPorts
from tests.unit.smart_app.conftest import Rig
from tests.unit.smart_app.ehr import KEY

ISSUER = "https://ehr.example.org/cds"
OURS = "carecue-cds"
ORIGIN = "https://ehr.example.org"
STAY = {
    "resourceType": "Encounter",
    "id": "stay-1",
    "meta": {"versionId": "3"},
    "status": "in-progress",
    "class": {"code": "IMP"},
    "subject": {"reference": "Patient/rosa"},
    "period": {"start": "2026-11-12T09:00:00Z"},
    "hospitalization": {
        "dischargeDisposition": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/discharge-disposition",
                    "code": "home",
                }
            ]
        }
    },
}


@dataclass
class Answer:
    """What came back over HTTP."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self):
        return orjson.loads(self.raw)

    @property
    def card(self):
        (card,) = self.body["cards"]
        return card

    @property
    def words(self) -> str:
        return self.body["issue"][0]["diagnostics"]


@dataclass
class Calls:
    """An EHR that calls: what it signs and says can be spoilt, one test at a time."""

    rig: Rig
    url: str

    @property
    def ehr(self):
        return self.rig.ehr

    def caller(self, **changes) -> None:
        endpoint = self.rig.endpoints[0]
        cds = replace(endpoint.cds, **changes)
        self.rig.endpoints[0] = replace(endpoint, cds=cds)

    def claims(self, service="carecue-patient-view", **changes):
        now = int(self.rig.clock.now().timestamp())
        claims = {
            "iss": ISSUER,
            "aud": f"{self.url}/cds-services/{service}",
            "iat": now,
            "exp": now + 300,
            "jti": str(uuid.uuid4()),
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def sign(self, claims, *, key=KEY, alg="RS384", **header):
        named = {"alg": alg, "kid": key.kid, "typ": "JWT", **header}
        named = {name: value for name, value in named.items() if value is not None}
        return jwt.encode(named, claims, key, algorithms=[alg])

    def request(self, hook="patient-view", context=None, **changes):
        body = {
            "hook": hook,
            "hookInstance": str(uuid.uuid4()),
            "fhirServer": self.ehr.base,
            "context": {
                "userId": "Practitioner/osei",
                "patientId": "rosa",
                "encounterId": "stay-1",
                **(context or {}),
            },
            **changes,
        }
        return {name: value for name, value in body.items() if value is not None}

    def grant(self, **changes):
        return {
            "access_token": "at-1",
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": "patient/*.rs",
            "subject": OURS,
            "patient": "rosa",
            **changes,
        }

    def send(self, path, body=None, headers=None, method="POST") -> Answer:
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
        raw = body if isinstance(body, bytes | None) else orjson.dumps(body)
        connection.request(
            method,
            path,
            raw,
            {"Content-Type": "application/json", **(headers or {})},
        )
        response = connection.getresponse()
        answer = Answer(response.status, dict(response.getheaders()), response.read())
        connection.close()
        return answer

    def call(self, body=None, *, token=None, service="carecue-patient-view") -> Answer:
        signed = token if token is not None else self.sign(self.claims(service))
        headers = {"Authorization": f"Bearer {signed}"}
        made = self.request() if body is None else body
        return self.send(f"/cds-services/{service}", made, headers)

    def discharge(self, **changes) -> Answer:
        body = self.request("encounter-discharge", **changes)
        return self.call(body, service="carecue-encounter-discharge")

    def feedback(self, *told, service="carecue-patient-view", **claims) -> Answer:
        path = f"/cds-services/{service}/feedback"
        made = self.claims(service, **{"aud": f"{self.url}{path}", **claims})
        headers = {"Authorization": f"Bearer {self.sign(made)}"}
        return self.send(path, {"feedback": list(told)}, headers)

    def audited(self, action):
        with self.rig.database.tx() as tx:
            return [row for row in list_audit(tx) if row.action == action]


@pytest.fixture
def calls(rig: Rig) -> Iterator[Calls]:
    endpoint = rig.endpoints[0]
    caller = CdsCaller(
        issuers=(ISSUER,),
        key_urls=(f"{rig.ehr.origin}/jwks",),
        client_id=OURS,
        origins=(ORIGIN,),
    )
    rig.endpoints[0] = replace(endpoint, cds=caller)
    rig.ehr.resources["Encounter/stay-1"] = STAY
    app = Flask("test")
    server = make_server("127.0.0.1", 0, app, threaded=True)
    url = f"http://127.0.0.1:{server.server_port}"
    security.register(app)
    app.register_blueprint(create_cds(make_ports(rig, url)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield Calls(rig, url)
    server.shutdown()
    thread.join()
    server.server_close()


def make_ports(rig: Rig, url: str) -> CdsPorts:
    library = load_shipped({"en": "Language Services", "es": "Language Services"})
    context = StageContext(
        database=rig.database,
        clock=rig.clock,
        ids=RandomIds(),
        wake=lambda stage, shard: None,
        fhir=lambda endpoint: FhirClient(
            endpoint.fhir_base, lambda: Secret("backend-1"), clock=rig.clock
        ),
        channels={},
        library=lambda endpoint: library,
        status_base=url,
    )
    return CdsPorts(
        endpoints=lambda: rig.endpoints,
        fetch_keys=fetch_caller_keys,
        fhir=transient_clients(rig.clock),
        clock=rig.clock,
        ids=RandomIds(),
        desk=CdsDesk(context),
        public_url=url,
        # The machine may be busy; what happens when it takes long has its own test.
        seconds=20.0,
    )


def later(rig: Rig, **span) -> None:
    rig.clock.instant += timedelta(**span)


def signed(calls: Calls, **claims):
    return calls.sign(calls.claims(**claims))


def granted(calls: Calls, **changes):
    return calls.request(fhirAuthorization=calls.grant(**changes))


def counted(calls: Calls):
    with calls.rig.database.tx() as tx:
        return cds.list_refusals(tx)


def quick(calls: Calls, **changes):
    ports = replace(make_ports(calls.rig, calls.url), **changes)
    app = Flask("quick")
    app.register_blueprint(create_cds(ports))

    def send():
        headers = {"Authorization": f"Bearer {signed(calls)}"}
        return app.test_client().post(
            "/cds-services/carecue-patient-view", json=granted(calls), headers=headers
        )

    return send
