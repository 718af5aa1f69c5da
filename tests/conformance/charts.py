"""The charts of the hostile EHR: whose they are, and the FHIR answers about them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

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

    ``leaks`` lets a search return every patient's resources.
    """

    resources: dict[str, Resource] = field(default_factory=dict)
    leaks: bool = False
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
    """Answer a read or search; 401 without a grant, 403 beyond its patient."""
    if grant is None:
        return write_fhir(write_outcome("login"), 401)
    kind, _, id_ = path.partition("/")
    if request.method != "GET" or not kind:
        return write_fhir(write_outcome("not-supported"), 405)
    asked = request.args.get("patient", "").removeprefix("Patient/")
    patient = str(grant.context.get("patient") or asked or "rosa")
    if not id_:
        return write_fhir(charts.search(kind, patient))
    found = charts.resources.get(path)
    if found is None:
        return write_fhir(write_outcome("not-found"), 404)
    if not charts.leaks and not _is_of(found, patient):
        return write_fhir(write_outcome("forbidden"), 403)
    return write_fhir(found)


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
