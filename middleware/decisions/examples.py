"""Examples that every expression of the content is run on before it is used.

Charts for each event that starts a plan: a quiet one with nothing but the patient and
the thing that happened, and busy ones in which every list holds resources with the codes
of every value set. No expression may break on the quiet one, and each must give yes or
no on one of them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from mappings.chart import Chart
from mappings.endpoint import AppClient, BackendClient, Endpoint, EndpointKind, Site
from mappings.event import EventKind, suppose_event
from mappings.nudge import NOT_KNOWN
from mappings.plan import Condition, Library, Plan, PlanAction, Timing
from mappings.preference import OwnRecord, SentMessage
from mappings.reference import reference_of
from mappings.resource import Resource
from middleware.decisions.candidate import Candidate
from middleware.decisions.deciding import decide_event
from middleware.decisions.environment import LISTS

NOW = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
ZONE = "America/Chicago"
PATIENT = "Patient/example"
ANY_TIME = Timing("event", 0, 24 * 366)
# What is observed is a number, a day or a word: each condition asks for one of them.
VALUES: tuple[Resource, ...] = (
    {"valueQuantity": {"value": 7.5, "unit": "%"}},
    {"valueDateTime": "2020-05-04"},
    {"valueCodeableConcept": {"coding": [{"system": "urn:example", "code": "yes"}]}},
)
Tried = tuple[str, Condition]
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
    """Yield each condition that breaks on a quiet chart, or is unknown on every one.

    The plan is decided on as an event would, one step for each condition. What a quiet
    chart leaves unknown is no fault: unknown never sends.
    """
    for kind in plan.triggers:
        tried, conditions = _take_apart(plan, kind)
        content = replace(library, plans=(tried,))
        unknown = _unknown(_decide(kind, quiet(kind), content))
        broken = {name for name, why in unknown.items() if why == "plan-unknown"}
        for value in VALUES:
            if unknown:
                found = _unknown(
                    _decide(kind, _busy_for(kind, content, value), content)
                )
                unknown = {name: why for name, why in found.items() if name in unknown}
        for name, (where, condition) in conditions.items():
            if name in broken or name in unknown:
                yield (
                    f"{plan.id}, {where}: condition {condition.reason!r} gives no yes "
                    f"or no on the examples of {kind} "
                    f"({unknown.get(name, 'plan-unknown')})"
                )


def _unknown(decided: Sequence[Candidate]) -> dict[str, str]:
    """Return why each condition is unknown, by its step, of those that are."""
    return {
        item.action.id: item.verdict.reason
        for item in decided
        if item.verdict.detail.startswith(NOT_KNOWN)
    }


def _take_apart(plan: Plan, kind: str) -> tuple[Plan, dict[str, Tried]]:
    """Return the plan with one step for each condition, and which is which."""
    found: dict[str, Tried] = {}
    actions: list[PlanAction] = []
    early = plan.trigger_conditions.get(kind)
    triggers = [("trigger", plan.actions[0], early, False)] if early else []
    known: set[tuple[str, bool]] = set()
    for where, action, condition, stops in (*triggers, *_conditions(plan)):
        # The steps of a group share most of their conditions.
        if (condition.expression, stops) in known:
            continue
        known.add((condition.expression, stops))
        name = f"c{len(actions)}"
        found[name] = (where, condition)
        step = replace(
            action,
            id=name,
            kind="message",
            timing=ANY_TIME,
            conditions=() if stops else (condition,),
            stops=(condition,) if stops else (),
        )
        actions.append(step)
    tried = replace(
        plan,
        actions=tuple(actions),
        trigger_conditions={},
        effective_start=None,
        effective_end=None,
        bundle="",
        default_on=True,
    )
    return tried, found


def _conditions(plan: Plan) -> Iterator[tuple[str, PlanAction, Condition, bool]]:
    for action in plan.actions:
        for condition in action.conditions:
            yield action.id, action, condition, False
        for condition in action.stops:
            yield action.id, action, condition, True


def _decide(kind: str, chart: Chart, library: Library) -> tuple[Candidate, ...]:
    focus = reference_of(_happened(chart, kind))
    event = suppose_event(
        EventKind(kind), PATIENT, _ENDPOINT.id, NOW, focus=focus, version="1"
    )
    topic = library.plans[0].topic
    sent = SentMessage(NOW - timedelta(days=30), topic, "sms")
    own = OwnRecord(sent=(sent,) if chart.resources[1:] else ())
    return decide_event(event, chart, own, library, _ENDPOINT, NOW)


def _busy_for(kind: str, library: Library, value: Resource) -> Chart:
    """Return the busy chart with what the one plan of a library reads beside."""
    named = {query.partition("?")[0] for query in library.plans[0].data}
    return busy(kind, library, value, tuple(sorted(named)))


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


def busy(
    kind: str, library: Library, value: Resource, more: tuple[str, ...] = ()
) -> Chart:
    """Return a chart in which everything occurs, with a code of every value set.

    ``value`` is what was observed, ``more`` are types of resources beside those that
    conditions see as lists.
    """
    codings = [_coding(members) for members in _sets(library)]
    code = {"code": {"coding": codings}} if codings else {}
    names = sorted({*LISTS.values(), *more} - {"Patient", "Consent"})
    values = {"Observation": value}
    others = [
        _make(name, f"{name.lower()}-1", **code, **values.get(name, {}))
        for name in names
    ]
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
