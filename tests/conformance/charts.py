"""The charts of the hostile EHR: whose they are, and the FHIR answers about them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from flask import Response, request

Resource = dict[str, Any]

ROSA: Resource = {
    "resourceType": "Patient",
    "id": "rosa",
    "meta": {"versionId": "1"},
    "name": [{"given": ["Rosa"], "family": "Delgado"}],
    "gender": "female",
    "birthDate": "1968-02-03",
    "identifier": [{"type": {"coding": [{"code": "MR"}]}, "value": "4471-0926"}],
    "telecom": [{"system": "phone", "use": "mobile", "value": "+14155550142"}],
    "address": [{"state": "CA", "postalCode": "94110", "country": "US"}],
    "communication": [{"language": {"coding": [{"code": "es"}]}, "preferred": True}],
    "active": True,
}
JAMES: Resource = {
    "resourceType": "Patient",
    "id": "james",
    "meta": {"versionId": "1"},
    "name": [{"given": ["James"], "family": "Okafor"}],
    "gender": "male",
    "birthDate": "1951-07-19",
    "identifier": [{"type": {"coding": [{"code": "MR"}]}, "value": "9912-3344"}],
    "telecom": [{"system": "phone", "use": "mobile", "value": "+14155550177"}],
    "address": [{"state": "NY", "postalCode": "10001", "country": "US"}],
    "active": True,
}
OSEI: Resource = {
    "resourceType": "Practitioner",
    "id": "osei",
    "name": [{"text": "Dr. Abena Osei"}],
}


@dataclass
class Charts:
    """What the EHR holds; ``bend`` may change any Bundle before it is sent.

    ``leaks`` lets a search return every patient's resources; ``batches`` lets several
    questions be asked at once; ``instead`` is what one of them is answered with.
    """

    resources: dict[str, Resource] = field(default_factory=dict)
    leaks: bool = False
    batches: bool = False
    instead: dict[str, tuple[Resource, int]] = field(default_factory=dict)
    bend: Callable[[str, Resource], Resource] | None = None

    def __post_init__(self) -> None:
        self.put(ROSA, JAMES, OSEI)

    def put(self, *resources: Resource) -> None:
        """Hold these too, each under its ``Type/id``."""
        for one in resources:
            self.resources[f"{one['resourceType']}/{one['id']}"] = one

    def search(self, kind: str, patient: str) -> Resource:
        """Return the searchset of a type in one patient's chart."""
        found = [
            {"resource": one, "search": {"mode": "match"}}
            for one in self.resources.values()
            if one["resourceType"] == kind and (self.leaks or _is_of(one, patient))
        ]
        bundle = {"resourceType": "Bundle", "type": "searchset", "entry": found}
        return self.bend(kind, bundle) if self.bend else bundle


def answer_fhir(charts: Charts, grant: Any, path: str) -> Response:
    """Answer a read, a search or a batch; 401 without a grant."""
    if grant is None:
        return write_fhir(write_outcome("login"), 401)
    if request.method == "POST" and not path and charts.batches:
        return write_fhir(_answer_batch(charts, grant))
    if request.method != "GET" or not path:
        return write_fhir(write_outcome("not-supported"), 405)
    return write_fhir(*_answer(charts, grant, path, request.args))


def _answer(
    charts: Charts, grant: Any, path: str, query: Mapping[str, str]
) -> tuple[Resource, int]:
    """Answer a read or search; 403 beyond the grant's patient."""
    if path in charts.instead:
        return charts.instead[path]
    kind, _, id_ = path.partition("/")
    asked = query.get("patient", "").removeprefix("Patient/")
    patient = str(grant.context.get("patient") or asked or "rosa")
    if not id_:
        return charts.search(kind, patient), 200
    found = charts.resources.get(path)
    if found is None:
        return write_outcome("not-found"), 404
    if not charts.leaks and not _is_of(found, patient):
        return write_outcome("forbidden"), 403
    return found, 200


def _answer_batch(charts: Charts, grant: Any) -> Resource:
    entries = []
    for entry in json.loads(request.get_data())["entry"]:
        parts = urlsplit(entry["request"]["url"])
        found, status = _answer(charts, grant, parts.path, dict(parse_qsl(parts.query)))
        entries.append({"resource": found, "response": {"status": str(status)}})
    return {"resourceType": "Bundle", "type": "batch-response", "entry": entries}


def write_fhir(resource: Resource, status: int = 200) -> Response:
    """Return a resource as an HTTP answer."""
    body = json.dumps(resource)
    return Response(body, status, content_type="application/fhir+json")


def write_outcome(
    code: str, severity: str = "error", details: str | None = None
) -> Resource:
    """Return an OperationOutcome of one issue."""
    issue: Resource = {"severity": severity, "code": code}
    if details is not None:
        issue["details"] = {"coding": [{"code": details}]}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def _is_of(resource: Resource, patient: str) -> bool:
    if resource["resourceType"] == "Patient":
        return bool(resource["id"] == patient)
    text = json.dumps(resource)
    return "Patient/" not in text or f'"Patient/{patient}"' in text
