"""People and charts for the decision tests: Rosa goes home on a Friday in November."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from mappings.chart import Chart
from mappings.content import load_shipped
from mappings.endpoint import AppClient, BackendClient, Endpoint, EndpointKind, Site
from mappings.event import Event, EventKind
from mappings.nudge import Nudge, NudgeState
from mappings.plan import NS, Library
from mappings.preference import ConsentRecord, OwnRecord, Who
from middleware.decisions.checking import check_library
from middleware.decisions.deciding import Candidate, decide_event, decide_nudge

Resource = dict[str, Any]

NOW = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)  # Friday 17:00 in Chicago
NUMBER = "+13125550142"
MAIL = "rosa@example.org"
DISPOSITION = "http://terminology.hl7.org/CodeSystem/discharge-disposition"
SITE = Site(
    name="Northside Clinic",
    phone="(312) 555-0100",
    booking_url="https://northside.example.org/b",
    zone="America/Chicago",
    reviewers={"es": "L. Ortiz"},
)
WHOLE = load_shipped({"es": "L. Ortiz"})
# What a site has that switched nothing on.
LIBRARY = replace(WHOLE, plans=tuple(plan for plan in WHOLE.plans if plan.default_on))
# What a site has that switched everything on.
EVERYTHING = replace(
    WHOLE, plans=tuple(replace(plan, default_on=True) for plan in WHOLE.plans)
)


def endpoint(**changes: Any) -> Endpoint:
    site = changes.pop("site", SITE)
    values: dict[str, Any] = {
        "id": "north",
        "name": "North",
        "kind": EndpointKind.SANDBOX,
        "fhir_base": "http://localhost/fhir",
        "backend": BackendClient(),
        "app": AppClient(),
        "site": site,
        "allow_list": ("*",),
    }
    return Endpoint(**(values | changes))


def patient(**changes: Any) -> Resource:
    values: Resource = {
        "resourceType": "Patient",
        "id": "rosa",
        "meta": {"versionId": "3"},
        "active": True,
        "birthDate": "1961-03-02",
        "name": [{"given": ["Rosa"], "family": "Delgado"}],
        "telecom": [
            {"system": "sms", "value": NUMBER, "use": "mobile", "rank": 1},
            {"system": "email", "value": MAIL, "rank": 2},
        ],
        "address": [{"state": "IL"}],
        "communication": [
            {
                "language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "en"}]},
                "preferred": True,
            }
        ],
    }
    return {name: value for name, value in (values | changes).items() if value != ...}


def encounter(**changes: Any) -> Resource:
    disposition = changes.pop("disposition", "home")
    values: Resource = {
        "resourceType": "Encounter",
        "id": "stay",
        "meta": {"versionId": "2"},
        "status": "finished",
        "class": {"code": "IMP"},
        "subject": {"reference": "Patient/rosa"},
        "period": {
            "start": "2026-11-17T10:00:00-06:00",
            "end": "2026-11-20T16:30:00-06:00",
        },
    }
    if disposition is not None:
        coding = {"system": DISPOSITION, "code": disposition}
        values["hospitalization"] = {"dischargeDisposition": {"coding": [coding]}}
    return values | changes


def appointment(**changes: Any) -> Resource:
    values: Resource = {
        "resourceType": "Appointment",
        "id": "visit",
        "meta": {"versionId": "1"},
        "status": "booked",
        "start": "2026-12-02T09:30:00-06:00",
        "end": "2026-12-02T10:00:00-06:00",
        "participant": [
            {"actor": {"reference": "Patient/rosa"}, "status": "accepted"},
        ],
    }
    return values | changes


def care_plan(**changes: Any) -> Resource:
    values: Resource = {
        "resourceType": "CarePlan",
        "id": "plan",
        "meta": {"versionId": "1"},
        "status": "active",
        "intent": "plan",
        "subject": {"reference": "Patient/rosa"},
        "activity": [
            {
                "detail": {
                    "status": "scheduled",
                    "description": "Walk",
                    "scheduledPeriod": {"end": "2026-12-01"},
                }
            }
        ],
    }
    return values | changes


def consent(**changes: Any) -> ConsentRecord:
    values: dict[str, Any] = {
        "id": "c1",
        "endpoint_id": "north",
        "patient": "Patient/rosa",
        "system": "sms",
        "value": NUMBER,
        "topic": "*",
        "permit": True,
        "who": Who.PATIENT,
        "how": "asked at the desk",
        "recorded_at": NOW - timedelta(days=30),
    }
    return ConsentRecord(**(values | changes))


def own(**changes: Any) -> OwnRecord:
    return OwnRecord(**({"consents": (consent(),)} | changes))


def chart(*resources: Resource, person: Resource | None = None, **more: Any) -> Chart:
    return Chart(person or patient(), resources, more.pop("read_at", NOW), **more)


def event(kind: EventKind, focus: str, at: datetime = NOW) -> Event:
    return Event(
        id="event-1",
        key="key-1",
        endpoint_id="north",
        kind=kind,
        patient="Patient/rosa",
        shard=1,
        focus=focus,
        focus_version="1",
        occurred_at=at,
        received_at=at,
    )


DISCHARGED = event(EventKind.ENCOUNTER_DISCHARGED, "Encounter/stay")
BOOKED = event(EventKind.APPOINTMENT_BOOKED, "Appointment/visit")


def decide(
    what: Event,
    read: Chart,
    mine: OwnRecord | None = None,
    *,
    at: datetime = NOW,
    library: Library = LIBRARY,
    where: Endpoint | None = None,
) -> dict[str, Candidate]:
    found = decide_event(what, read, mine or own(), library, where or endpoint(), at)
    return {f"{item.plan.id}/{item.action.id}": item for item in found}


def nudge_of(candidate: Candidate, **changes: Any) -> Nudge:
    values: dict[str, Any] = {
        "id": "nudge-1",
        "key": candidate.key,
        "endpoint_id": "north",
        "event_id": "event-1",
        "patient": "Patient/rosa",
        "shard": 1,
        "plan": candidate.plan.url,
        "plan_version": candidate.plan.version,
        "action": candidate.action.id,
        "topic": candidate.plan.topic,
        "focus": candidate.focus,
        "occasion": candidate.occasion,
        "recipient": candidate.recipient,
        "state": NudgeState.PLANNED,
        "reason": candidate.verdict.reason,
        "due_at": candidate.due_at,
        "expires_at": candidate.expires_at,
        "created_at": NOW,
    }
    return Nudge(**(values | changes))


def look_again(
    nudge: Nudge,
    read: Chart,
    mine: OwnRecord | None = None,
    *,
    at: datetime | None = None,
    where: Endpoint | None = None,
    at_send: bool = True,
    library: Library = LIBRARY,
) -> Candidate:
    moment = at or nudge.due_at
    fresh = Chart(read.patient, read.resources, moment, read.incomplete)
    return decide_nudge(
        nudge,
        fresh,
        mine or own(),
        library,
        where or endpoint(),
        moment,
        at_send=at_send,
    )


def reason_of(candidate: Candidate) -> str:
    return f"{candidate.verdict.outcome.value}: {candidate.verdict.reason}"


def extension(name: str, **value: Any) -> Resource:
    return {"url": f"{NS}/StructureDefinition/{name}", **value}


def only(*names: str) -> Library:
    """Return a library with some plans, switched on."""
    kept = tuple(item for item in EVERYTHING.plans if item.id in names)
    assert len(kept) == len(names), names
    return replace(EVERYTHING, plans=kept)


def weigh(
    plan: str,
    read: Chart,
    mine: OwnRecord | None = None,
    *,
    what: Event | None = None,
    at: datetime = NOW,
    where: Endpoint | None = None,
    beside: tuple[str, ...] = (),
) -> dict[str, str]:
    """Return what one plan's steps come to on a review of the whole chart."""
    library = only(plan, *beside)
    found = decide_event(
        what or review(at), read, mine or own(), library, where or endpoint(), at
    )
    return {item.action.id: reason_of(item) for item in found if item.plan.id == plan}


def review(at: datetime = NOW) -> Event:
    return event(EventKind.PATIENT_REVIEW, "Patient/rosa", at)


def coding(system: str, code: str, text: str = "") -> Resource:
    found: Resource = {"coding": [{"system": system, "code": code}]}
    return found | ({"text": text} if text else {})


LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
ICD, CVX = "http://hl7.org/fhir/sid/icd-10-cm", "http://hl7.org/fhir/sid/cvx"
_SUBJECT = {"reference": "Patient/rosa"}


def condition(code: str, system: str = ICD, **changes: Any) -> Resource:
    values: Resource = {
        "resourceType": "Condition",
        "id": f"condition-{code}",
        "code": coding(system, code),
        "subject": _SUBJECT,
        "clinicalStatus": {"coding": [{"code": "active"}]},
    }
    return values | changes


def observation(code: str, day: str, value: Any = None, **changes: Any) -> Resource:
    values: Resource = {
        "resourceType": "Observation",
        "id": f"observation-{code}-{day}",
        "status": "final",
        "code": coding(LOINC, code),
        "subject": _SUBJECT,
        "effectiveDateTime": day,
    }
    if isinstance(value, int | float):
        values["valueQuantity"] = {"value": value, "unit": "%"}
    elif value is not None:
        values["valueCodeableConcept"] = value
    return values | changes


def procedure(code: str, day: str, **changes: Any) -> Resource:
    values: Resource = {
        "resourceType": "Procedure",
        "id": f"procedure-{code}",
        "status": "completed",
        "code": coding(SNOMED, code),
        "subject": _SUBJECT,
        "performedDateTime": day,
    }
    return values | changes


def order(code: str, system: str = LOINC, **changes: Any) -> Resource:
    values: Resource = {
        "resourceType": "ServiceRequest",
        "id": f"order-{code}",
        "status": "active",
        "intent": "order",
        "code": coding(system, code),
        "subject": _SUBJECT,
    }
    return values | changes


def immunization(code: str, day: str, **changes: Any) -> Resource:
    values: Resource = {
        "resourceType": "Immunization",
        "id": f"immunization-{code}-{day}",
        "status": "completed",
        "vaccineCode": coding(CVX, code),
        "patient": _SUBJECT,
        "occurrenceDateTime": day,
    }
    return values | changes


def due(text: str) -> datetime:
    """Return an instant, written with its offset, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def everything_on(**changes: Any) -> Endpoint:
    """Return the endpoint of a site that switched every plan on."""
    on = tuple(plan.id for plan in EVERYTHING.plans)
    return endpoint(site=replace(SITE, plans_on=on, **changes))


def texts_of(plan: str) -> set[tuple[str, str, str]]:
    """Return (step, channel, language) of every text of a plan that is sound."""
    found = next(item for item in EVERYTHING.plans if item.id == plan)
    faults = check_library(replace(EVERYTHING, plans=(found,)))
    return {
        (action.id, wording.channel, wording.language)
        for action in found.actions
        for wording in EVERYTHING.wordings
        if wording.definition == action.definition
        and not any(
            fault.startswith(
                f"{wording.definition.rsplit('/', 1)[-1]}, {wording.channel}, "
                f"{wording.language}:"
            )
            for fault in faults
        )
    }


def every_text_of(*steps: str) -> set[tuple[str, str, str]]:
    """Return what :func:`texts_of` must give for these steps."""
    return {
        (step, channel, language)
        for step in steps
        for channel in ("sms", "email", "screen")
        for language in ("en", "es", "vi", "zh-Hans", "ar")
    }
