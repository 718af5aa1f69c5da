"""Examples that every expression of the content is run on before it is used.

Two charts for each event that starts a plan: a quiet one with nothing but the patient
and the thing that happened, and a busy one in which every list holds resources with the
codes of every value set. An expression must give yes or no on both.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from mappings.chart import Chart
from mappings.endpoint import AppClient, BackendClient, Endpoint, EndpointKind, Site
from mappings.event import EventKind
from mappings.plan import Condition, Library, Plan
from mappings.preference import OwnRecord, SentMessage
from mappings.resource import Resource
from middleware.decisions.conditions import answer
from middleware.decisions.environment import LISTS, Circumstances, make_environment
from middleware.decisions.focus import list_activities

NOW = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
ZONE = "America/Chicago"
PATIENT = "Patient/example"
_ENDPOINT = Endpoint(
    id="example",
    name="example",
    kind=EndpointKind.SANDBOX,
    fhir_base="http://localhost/fhir",
    backend=BackendClient(),
    app=AppClient(),
    site=Site(name="Example Clinic", phone="555-0100", booking_url="", zone=ZONE),
)
_STATUS = {
    "Encounter": "finished",
    "Appointment": "booked",
    "Procedure": "completed",
    "Observation": "final",
    "DiagnosticReport": "final",
    "Immunization": "completed",
    "Task": "requested",
}
_DATED: dict[str, Resource] = {
    "Appointment": {"start": "2026-12-02T09:30:00-06:00"},
    "Encounter": {
        "class": {"code": "IMP"},
        "period": {"start": "2026-11-17T10:00:00Z", "end": "2026-11-20T22:30:00Z"},
        "hospitalization": {
            "dischargeDisposition": {"coding": [{"code": "home"}]},
            "admitSource": {"coding": [{"code": "emd"}]},
        },
    },
    "Procedure": {"performedDateTime": "2026-05-04"},
    "Observation": {
        "effectiveDateTime": "2026-05-04",
        "valueQuantity": {"value": 7.5, "unit": "%"},
    },
    "DiagnosticReport": {"effectiveDateTime": "2026-05-04"},
    "Immunization": {"occurrenceDateTime": "2026-05-04"},
    "Condition": {"recordedDate": "2020-05-04", "onsetDateTime": "2020-05-04"},
    "ServiceRequest": {"authoredOn": "2026-11-01", "occurrenceDateTime": "2026-12-01"},
    "Task": {"authoredOn": "2026-11-01"},
    "CarePlan": {
        "intent": "plan",
        "activity": [
            {
                "detail": {
                    "status": "scheduled",
                    "description": "Walk",
                    "scheduledPeriod": {"start": "2026-11-01", "end": "2026-12-01"},
                }
            }
        ],
    },
}
_FOCUS = {
    "encounter": "Encounter",
    "appointment": "Appointment",
    "careplan": "CarePlan",
    "patient": "Patient",
}


def list_unclear(plan: Plan, library: Library) -> Iterator[str]:
    """Yield each condition that gives no yes or no on an example, with why."""
    for kind in plan.triggers:
        for name, chart in (("quiet", quiet(kind)), ("busy", busy(kind, library))):
            early = plan.trigger_conditions.get(kind)
            for where, condition in _conditions(plan, early):
                fault = _fault(condition, plan, chart, kind, library)
                if fault:
                    yield (
                        f"{plan.id}, {where}: condition {condition.reason!r} gives no "
                        f"yes or no on the {name} example of {kind} ({fault})"
                    )


def _conditions(plan: Plan, early: Condition | None) -> Iterator[tuple[str, Condition]]:
    if early is not None:
        yield "trigger", early
    for action in plan.actions:
        for condition in (*action.conditions, *action.stops):
            yield action.id, condition


def _fault(
    condition: Condition, plan: Plan, chart: Chart, kind: str, library: Library
) -> str | None:
    trigger = _happened(chart, kind)
    focus = chart.patient if plan.occasion == "year" else trigger
    days = list_activities(focus, chart, ZONE, NOW)
    about = Circumstances(
        focus=focus,
        event=NOW - timedelta(hours=1),
        now=NOW,
        zone=ZONE,
        activity=days[0] if plan.occasion == "activity" and days else None,
        trigger=trigger,
    )
    sent = SentMessage(NOW - timedelta(days=30), plan.topic, "sms")
    own = OwnRecord(sent=(sent,) if chart.resources[1:] else ())
    environment = make_environment(chart, own, library, _ENDPOINT, about)
    found = answer(condition, environment)
    return None if found.value is not None else f"{found.reason} {found.detail}".strip()


def _type_of(kind: str) -> str:
    return _FOCUS.get(kind.partition("-")[0], "Encounter")


def _happened(chart: Chart, kind: str) -> Resource:
    name = _type_of(kind)
    return chart.patient if name == "Patient" else chart.resources[0]


@functools.cache
def quiet(kind: str) -> Chart:
    """Return a chart with the patient and what happened alone."""
    EventKind(kind)
    name = _type_of(kind)
    resources = () if name == "Patient" else (_make(name, "focus"),)
    return Chart(_person(), resources, NOW)


def busy(kind: str, library: Library) -> Chart:
    """Return a chart in which everything occurs, with a code of every value set."""
    codings = [_coding(members) for members in _sets(library)]
    code = {"code": {"coding": codings}} if codings else {}
    others = [_make(name, f"{name.lower()}-1", **code) for name in LISTS.values()]
    return Chart(_person(), (*quiet(kind).resources, *others), NOW)


def _sets(library: Library) -> Iterator[frozenset[tuple[str, str]]]:
    seen: set[int] = set()
    for members in library.value_sets.values():
        if id(members) not in seen:
            seen.add(id(members))
            yield members


def _coding(members: frozenset[tuple[str, str]]) -> dict[str, str]:
    system, code = min(members)
    return {"system": system, "code": code.rstrip("*")}


def _make(name: str, identifier: str, **more: Any) -> Resource:
    subject = {"reference": PATIENT}
    mine: Resource = {"subject": subject, "patient": subject, "for": subject}
    if name == "Appointment":
        mine = {"participant": [{"actor": subject, "status": "accepted"}]}
    return {
        "resourceType": name,
        "id": identifier,
        "meta": {"versionId": "1"},
        "status": _STATUS.get(name, "active"),
        **mine,
        **_DATED.get(name, {}),
        **more,
    }


def _person() -> Resource:
    return {
        "resourceType": "Patient",
        "id": "example",
        "meta": {"versionId": "1"},
        "active": True,
        "birthDate": "1961-03-02",
        "gender": "female",
        "name": [{"given": ["Example"], "family": "Person"}],
    }
