"""A scripted EHR in good order, whose parts a test replaces with broken ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mappings.endpoint import AppClient, BackendClient, Endpoint, EndpointKind, Site
from mappings.instants import read_instant, write_instant
from middleware.clock import SystemClock
from middleware.fhir.checking.exchange import Caller, Patience
from middleware.fhir.checking.finding import Finding
from middleware.fhir.checking.push import PROFILE
from middleware.fhir.checking.steps import run_steps
from middleware.fhir.checking.talk import Needs, Talk
from middleware.fhir.keys import SigningKeys
from middleware.fhir.reach import endpoint_reach
from middleware.ports import Clock
from subscriptions.topics import CANONICAL
from tests.unit.fhir.scripted import Asked, Reply, Script

QUICK = Patience(connect=5.0, answer=10.0)
TOKEN = "SECRET-ACCESS-TOKEN-0123456789"
SCOPE = "system/*.rs system/Communication.cu system/Task.cu system/Subscription.crud"
NEEDS = Needs(
    reads={"Patient": "held", "Encounter": "held", "Procedure": "screening goes wrong"},
    safety=frozenset({"Patient", "Encounter"}),
    focus=("Encounter",),
    writes={"Communication": "cu", "Task": "cu", "Subscription": "crud"},
)
TOPIC = "http://ehr.example.org/SubscriptionTopic/encounter-change"
PHI = "Rosa Delgado"


def visit(number: int) -> dict[str, Any]:
    changed = datetime(2026, 1, number, tzinfo=UTC)
    return {
        "resourceType": "Encounter",
        "id": f"visit-{number}",
        "meta": {"versionId": "1", "lastUpdated": write_instant(changed)},
        "status": "finished",
        "subject": {"reference": f"Patient/rosa-{number}", "display": PHI},
    }


class Ehr:
    """Answers like a good server; ``broken`` may answer first, or None to pass."""

    def __init__(self, script: Script, keys: SigningKeys) -> None:
        self.base = script.base
        self.root = script.base.removesuffix("/fhir")
        self.keys = keys
        self.script = script
        self.visits = [visit(number) for number in (1, 2, 3)]
        self.broken: Callable[[Asked], Reply | None] = lambda _: None
        script.answer = self.answer

    def answer(self, asked: Asked) -> Reply:
        broken = self.broken(asked)
        if broken is not None:
            return broken
        parts = urlsplit(asked.path)
        path = parts.path.removeprefix("/fhir")
        fixed = {
            "/fhir/metadata": self.statement,
            "/fhir/.well-known/smart-configuration": self.configuration,
            "/token": token,
            "/.well-known/jwks.json": self.keys.public_jwks,
            "/health/live": lambda: {"status": "ok"},
        }
        if parts.path in fixed:
            return Reply(200, fixed[parts.path]())
        if parts.path.endswith(("/metadata", "/smart-configuration")):
            return Reply(404)
        if asked.headers.get("Authorization") != f"Bearer {TOKEN}":
            return Reply(401, outcome("login"))
        if asked.method == "POST" and not path:
            return Reply(200, batch(asked.json))
        if path == "/Encounter":
            return Reply(200, self.search(parse_qs(parts.query)))
        if path in ("/Procedure", "/Condition"):
            return Reply(200, bundle([]))
        return self.read(path)

    @property
    def lines(self) -> list[str]:
        return self.script.lines

    def read(self, path: str) -> Reply:
        found = {f"/Encounter/{item['id']}": item for item in self.visits}
        versions = path.removesuffix("/_history")
        if versions != path and versions in found:
            return Reply(200, {**bundle([found[versions]]), "type": "history"})
        if path in found:
            return Reply(200, found[path])
        return Reply(404, outcome("not-found"))

    def search(self, query: dict[str, list[str]]) -> dict[str, Any]:
        kept = list(self.visits)
        if "_lastUpdated" in query:
            since = read_instant(query["_lastUpdated"][0].removeprefix("ge"))
            kept = [item for item in kept if changed_at(item) >= since]
        if "patient" in query:
            wanted = query["patient"][0]
            kept = [i for i in kept if i["subject"]["reference"] == wanted]
        sort = query.get("_sort", ["_lastUpdated"])[0]
        kept.sort(key=changed_at, reverse=sort.startswith("-"))
        count = int(query.get("_count", ["20"])[0])
        start = int(query.get("page", ["0"])[0])
        page = bundle(kept[start : start + count])
        if len(kept) > start + count:
            url = f"{self.base}/Encounter?_count={count}&page={start + count}"
            page["link"] = [{"relation": "next", "url": url}]
        return page

    def statement(self, **changes: Any) -> dict[str, Any]:
        made = {"conditionalCreate": True}
        resources = [
            {"type": "Encounter"},
            {"type": "Communication", **made},
            {"type": "Task", **made},
            {
                "type": "Subscription",
                "interaction": [{"code": "create"}, {"code": "read"}],
                "supportedProfile": [PROFILE],
                "extension": [{"url": CANONICAL, "valueCanonical": TOPIC}],
            },
        ]
        return {
            "resourceType": "CapabilityStatement",
            "fhirVersion": "4.0.1",
            "software": {"name": "Good EHR"},
            "rest": [{"mode": "server", "resource": resources}],
            **changes,
        }

    def configuration(self, **changes: Any) -> dict[str, Any]:
        return {
            "issuer": self.base,
            "jwks_uri": f"{self.root}/jwks",
            "authorization_endpoint": f"{self.root}/authorize",
            "capabilities": ["launch-ehr", "permission-v2", "permission-online"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint": f"{self.root}/token",
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
            "grant_types_supported": ["client_credentials"],
            **changes,
        }

    def endpoint(self, base: str | None = None, **changes: Any) -> Endpoint:
        given: dict[str, Any] = {
            "kind": EndpointKind.TEST,
            "backend": BackendClient("carecue", f"{self.root}/token", SCOPE),
            "profile": {},
            "app": AppClient(
                "carecue-app",
                algorithm="RS384",
                frame_origins=("https://chart.example.org",),
            ),
        }
        return Endpoint(
            id="north",
            name="Northside EHR",
            fhir_base=base or self.base,
            site=Site(name="Northside", phone="", booking_url="", zone="UTC"),
            **(given | changes),
        )


def check(
    ehr: Ehr,
    endpoint: Endpoint | None = None,
    *,
    clock: Clock | None = None,
    public_url: str | None = None,
    patience: Patience = QUICK,
    needs: Needs = NEEDS,
    **changes: Any,
) -> dict[str, Finding]:
    """Run every step of the network and return the findings by step."""
    endpoint = endpoint or ehr.endpoint()
    clock = clock or SystemClock()
    caller = Caller(
        clock, patience, endpoint_reach(endpoint), endpoint.profile.get("ca_file")
    )
    talk = Talk(
        endpoint=endpoint,
        keys=ehr.keys,
        clock=clock,
        needs=needs,
        public_url=public_url or ehr.root,
        caller=caller,
        patience=patience,
        **changes,
    )
    try:
        return {item.step: item for item in run_steps(talk, lambda _: None)}
    finally:
        caller.close()


def token(**changes: Any) -> dict[str, Any]:
    whole = {
        "access_token": TOKEN,
        "token_type": "bearer",
        "expires_in": 300,
        "scope": SCOPE,
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def bundle(resources: list[dict[str, Any]]) -> dict[str, Any]:
    entries = [{"resource": item, "search": {"mode": "match"}} for item in resources]
    return {"resourceType": "Bundle", "type": "searchset", "entry": entries}


def batch(asked: dict[str, Any]) -> dict[str, Any]:
    entries = [{"response": {"status": "200"}} for _ in asked["entry"]]
    return {"resourceType": "Bundle", "type": "batch-response", "entry": entries}


def outcome(code: str, said: str = PHI) -> dict[str, Any]:
    issue = {"severity": "error", "code": code, "diagnostics": said}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def changed_at(resource: dict[str, Any]) -> datetime:
    return read_instant(resource["meta"]["lastUpdated"]).astimezone(UTC)


def ahead(seconds: float) -> datetime:
    return SystemClock().now() + timedelta(seconds=seconds)
