"""An entry of the audit as FHIR AuditEvent: who saw or did what of whom, and why.

Written as IHE's Basic Audit Log Patterns write a query with a patient: the person who
asked, the app, where the data came from; the patient, what was searched, the launch.
R4 (and R4B) and R5 spell the same differently. Nothing that a chart says is in it. An
AuditEvent has no identifier in any release: the entry's own is an entity of it, as there.
"""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

from mappings.audited import SEARCHED, VIEWED, Audited
from mappings.endpoint import Endpoint
from mappings.instants import write_instant
from mappings.plan import NS
from mappings.resource import Resource, dict_of, list_of

TERMS = "http://terminology.hl7.org/CodeSystem"
DCM = "http://dicom.nema.org/resources/ontology/DCM"
INTERACTION = "http://hl7.org/fhir/restful-interaction"
URI = "urn:ietf:rfc:3986"
URN = "urn:uuid:"
LAUNCH = f"{NS}/launch"
ACTION = f"{NS}/CodeSystem/audit-action"

Term = tuple[str, str, str]
REST: Term = (f"{TERMS}/audit-event-type", "rest", "RESTful Operation")
SESSION: Term = (DCM, "110114", "User Authentication")
RECORD: Term = (DCM, "110110", "Patient Record")
EXPORT: Term = (DCM, "110106", "Export")
SEARCH: Term = (INTERACTION, "search-type", "search-type")
UPDATE: Term = (INTERACTION, "update", "update")
CREATE: Term = (INTERACTION, "create", "create")
LOGIN: Term = (DCM, "110122", "Login")
LOGOUT: Term = (DCM, "110123", "Logout")
PERSON: Term = (f"{TERMS}/audit-entity-type", "1", "Person")
SYSTEM: Term = (f"{TERMS}/audit-entity-type", "2", "System Object")
OTHER: Term = (f"{TERMS}/audit-entity-type", "4", "Other")
PATIENT: Term = (f"{TERMS}/object-role", "1", "Patient")
RESOURCE: Term = (f"{TERMS}/object-role", "4", "Domain Resource")
QUERY: Term = (f"{TERMS}/object-role", "24", "Query")
ENTRY: Term = (
    "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType",
    "XrequestId",
    "X-Request-ID",
)
JOB: Term = (f"{TERMS}/object-role", "20", "Job")
RECIPIENT: Term = (f"{TERMS}/v3-ParticipationType", "IRCP", "information recipient")
AUTHOR: Term = (f"{TERMS}/v3-ParticipationType", "AUT", "author (originator)")
APPLICATION: Term = (DCM, "110150", "Application")
SOURCE: Term = (DCM, "110153", "Source Role ID")
SERVER: Term = (f"{TERMS}/security-source-type", "4", "Application Server")
SUCCESS: Term = (
    "http://hl7.org/fhir/issue-severity",
    "success",
    "Operation Successful",
)

# What kind of act each action is: type, subtype, and C, R, U, D or E.
KINDS: dict[str, tuple[Term, Term, str]] = {
    VIEWED: (REST, SEARCH, "E"),
    SEARCHED: (REST, SEARCH, "E"),
    "cds-card": (REST, SEARCH, "E"),
    "launch-opened": (SESSION, LOGIN, "E"),
    "launch-ended": (SESSION, LOGOUT, "E"),
    "preference-saved": (REST, UPDATE, "U"),
    "preference-undone": (REST, UPDATE, "U"),
    "preference-settled": (REST, UPDATE, "U"),
    "consent-recorded": (REST, CREATE, "C"),
    "consent-saved": (REST, CREATE, "C"),
    "nudge-moved": (REST, UPDATE, "U"),
    "nudge-put-back": (REST, UPDATE, "U"),
    "nudge-skipped": (REST, UPDATE, "U"),
    "patient-export": (EXPORT, (ACTION, "patient-export", "Patient export"), "R"),
    "patient-audit": (EXPORT, (ACTION, "patient-audit", "Accounting"), "R"),
    "patient-erase": (RECORD, (ACTION, "patient-erase", "Patient erase"), "D"),
}
# Why somebody looked, as far as the launch said.
WHY = ("view", "service", "intent", "encounter", "fhir_context", "reason")
REFERENCES = ("Practitioner/", "PractitionerRole/", "Patient/", "RelatedPerson/")


def write_audit_event(
    entry: Audited, patient: str, endpoint: Endpoint, release: str
) -> Resource:
    """Write an entry that concerns ``Patient/id``; ``release`` is R4 or R5."""
    kind, subtype, action = KINDS.get(
        entry.action, (RECORD, (ACTION, entry.action, entry.action), "E")
    )
    event = {
        "resourceType": "AuditEvent",
        "action": action,
        "recorded": write_instant(entry.at),
        "agent": _agents(entry, endpoint, release),
        "entity": _entities(entry, patient, release),
    }
    site = endpoint.site.name
    observer = {"display": "CareCue"}
    if release == "R5":
        return {
            **event,
            "category": [_concept(kind)],
            "code": _concept(subtype),
            "outcome": {"code": _coding(SUCCESS)},
            "patient": {"reference": patient},
            "source": {
                "site": {"display": site},
                "observer": observer,
                "type": [_concept(SERVER)],
            },
        }
    return {
        **event,
        "type": _coding(kind),
        "subtype": [_coding(subtype)],
        "outcome": "0",
        "source": {"site": site, "observer": observer, "type": [_coding(SERVER)]},
    }


def names_entry(event: Resource, found: Resource) -> bool:
    """Tell whether an AuditEvent that was found is of the same entry as ours."""
    return bool(_entry_of(event)) and _entry_of(event) == _entry_of(found)


def _entry_of(event: Resource) -> list[str]:
    return [
        str(value)
        for item in list_of(event.get("entity"))
        for value in [dict_of(dict_of(item).get("what")).get("identifier")]
        for value in [dict_of(value).get("value")]
        if str(value).startswith(URN)
    ]


def _name_entry(entry: Audited, patient: str, release: str) -> Resource:
    """Name the entry of a patient by what it is made of: a restored database counts anew."""
    parts = (entry.endpoint_id, entry.id, entry.at.isoformat(), entry.who, entry.action)
    told = "|".join(map(str, (*parts, entry.subject, patient)))
    value = f"{URN}{uuid.uuid5(uuid.NAMESPACE_URL, f'{NS}/audit|{told}')}"
    what: Resource = {"what": {"identifier": {"system": URI, "value": value}}}
    if release == "R5":
        return {**what, "role": _concept(ENTRY)}
    return {**what, "type": _coding(ENTRY)}


def _agents(entry: Audited, endpoint: Endpoint, release: str) -> list[Resource]:
    reads = "read" in entry.detail or entry.action == SEARCHED
    person = RECIPIENT if reads else AUTHOR
    agents: list[Resource] = [
        {"type": _concept(person), "who": _who(entry), "requestor": True},
        {
            "type": _concept(APPLICATION),
            "who": {"display": "CareCue"},
            "requestor": False,
        },
    ]
    if reads:
        base = endpoint.fhir_base
        address = (
            {"networkUri": base}
            if release == "R5"
            else {"network": {"address": base, "type": "5"}}
        )
        agents.append(
            {
                "type": _concept(SOURCE),
                "who": {"display": endpoint.name},
                "requestor": False,
                **address,
            }
        )
    return agents


def _who(entry: Audited) -> Resource:
    """Return who did it: a reference, how the EHR's sign-in names them, else a name."""
    subject = entry.detail.get("sub")
    who: Resource = {}
    if entry.who.startswith(REFERENCES):
        who["reference"] = entry.who
        if isinstance(name := entry.detail.get("by"), str):
            who["display"] = name
    if subject:
        who["identifier"] = {"system": entry.detail.get("iss"), "value": subject}
    return who or {"display": entry.who}


def _entities(entry: Audited, patient: str, release: str) -> list[Resource]:
    found = [_entity(PERSON, PATIENT, {"what": {"reference": patient}}, {}, release)]
    for name, count in dict_of(entry.detail.get("read")).items():
        if name != "Patient":
            query = _encode(f"{name}?patient={patient}")
            told = {"returned": str(count)}
            found.append(_entity(SYSTEM, QUERY, {"query": query}, told, release))
    if entry.action == SEARCHED:
        query = _encode("Patient?" + "&".join(entry.detail.get("by", ())))
        told = {"returned": str(entry.detail.get("count", 0))}
        found.append(_entity(SYSTEM, QUERY, {"query": query}, told, release))
    why = {name: _text(entry.detail[name]) for name in WHY if entry.detail.get(name)}
    if entry.subject or why:
        what = {"what": {"identifier": {"system": LAUNCH, "value": entry.subject}}}
        opened = entry.action in (VIEWED, SEARCHED) or "launch" in entry.action
        role = JOB if opened else RESOURCE
        named = what if opened else {"name": entry.subject or entry.action}
        found.append(_entity(OTHER, role, named, why, release))
    found.append(_name_entry(entry, patient, release))
    return found


def _entity(
    kind: Term, role: Term, what: Resource, told: dict[str, str], release: str
) -> Resource:
    entity: Resource = dict(what)
    if release == "R5":
        if "name" in entity:
            entity["what"] = {"display": entity.pop("name")}
        entity["role"] = _concept(role)
    else:
        entity |= {"type": _coding(kind), "role": _coding(role)}
    detail = [
        {"type": {"text": name} if release == "R5" else name, "valueString": text}
        for name, text in told.items()
    ]
    return {**entity, "detail": detail} if detail else entity


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _coding(term: Term) -> Resource:
    system, code, display = term
    return {"system": system, "code": code, "display": display}


def _concept(term: Term) -> Resource:
    return {"coding": [_coding(term)]}
