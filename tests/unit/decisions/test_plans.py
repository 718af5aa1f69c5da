"""Every shipped plan: it applies, it does not, it stops, it is unknown."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mappings.event import EventKind
from mappings.plan import Condition
from mappings.preference import SentMessage
from tests.unit.decisions.story import (
    BOOKED,
    DISCHARGED,
    LIBRARY,
    NOW,
    appointment,
    care_plan,
    chart,
    decide,
    encounter,
    event,
    look_again,
    nudge_of,
    own,
    patient,
    reason_of,
)

ACTIVATED = event(EventKind.CAREPLAN_ACTIVATED, "CarePlan/plan")
FULFILLED = event(EventKind.APPOINTMENT_FULFILLED, "Appointment/visit")
OFFICE = {"code": "AMB"}


def due(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def test_care_plan_step_is_told_two_days_before_at_ten() -> None:
    found = decide(ACTIVATED, chart(care_plan()))["care-plan-activity/activity-due"]
    assert reason_of(found) == "send: due"
    # Two days before is a Sunday, whose hours begin at noon.
    assert found.due_at == due("2026-11-29T12:00-06:00")
    assert "Tue, Dec 1" in found.text
    assert "Walk" not in found.text + found.subject


def test_care_plan_task_and_string_and_timing_have_days() -> None:
    plan = care_plan(
        activity=[
            {"reference": {"reference": "Task/t"}},
            {"detail": {"status": "scheduled", "scheduledString": "by 2026-12-03"}},
            {"id": "a9", "detail": {"scheduledTiming": {"event": ["2026-12-04"]}}},
            {"detail": {"status": "scheduled", "scheduledString": "every spring"}},
        ]
    )
    task = {
        "resourceType": "Task",
        "id": "t",
        "status": "ready",
        "restriction": {"period": {"end": "2026-12-02T18:00:00Z"}},
    }
    found = _activity_occasions(plan, task)
    assert [item.partition("@")[2] for item in found] == [
        "2026-12-02",
        "2026-12-03",
        "2026-12-04",
    ]
    assert [found[0], found[2]] == ["Task/t@2026-12-02", "a9@2026-12-04"]


def _activity_occasions(*resources: dict[str, Any]) -> list[str]:
    from middleware.decisions.focus import list_activities

    read = chart(*resources)
    found = list_activities(resources[0], read, "America/Chicago", NOW)
    return [item.occasion for item in found]


def test_care_plan_step_keeps_its_name_when_another_is_put_before_it() -> None:
    plan = care_plan()
    longer = care_plan(
        activity=[
            {
                "detail": {
                    "description": "Swim",
                    "scheduledPeriod": {"end": "2026-12-09"},
                }
            },
            *plan["activity"],
        ]
    )
    assert _activity_occasions(plan)[0] == _activity_occasions(longer)[1]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("completed", "cancel: already-done"),
        ("cancelled", "cancel: care-plan-ended"),
        ("stopped", "cancel: care-plan-ended"),
    ],
)
def test_care_plan_step_done_or_cancelled_stops(status: str, expected: str) -> None:
    plan = care_plan()
    nudge = nudge_of(decide(ACTIVATED, chart(plan))["care-plan-activity/activity-due"])
    plan["activity"][0]["detail"]["status"] = status
    assert reason_of(look_again(nudge, chart(plan))) == expected


def test_care_plan_ended_or_moved_stops() -> None:
    nudge = nudge_of(
        decide(ACTIVATED, chart(care_plan()))["care-plan-activity/activity-due"]
    )
    ended = look_again(nudge, chart(care_plan(status="revoked")))
    assert reason_of(ended) == "cancel: care-plan-ended"
    moved = care_plan()
    moved["activity"][0]["detail"]["scheduledPeriod"] = {"end": "2026-12-08"}
    again = look_again(nudge, chart(moved))
    assert reason_of(again) == "cancel: care-plan-ended"


def _office(**changes: Any) -> dict[str, Any]:
    return encounter(**{"class": OFFICE}, disposition=None, **changes)


def test_colorectal_office_visit_offers_a_visit_without_naming_the_test() -> None:
    found = decide(DISCHARGED, chart(_office()))["colorectal/offer"]
    assert reason_of(found) == "send: due"
    assert found.due_at == due("2026-11-27T16:30-06:00")
    assert (found.focus, found.occasion) == ("Patient/rosa", "2026-08-27")
    assert found.text == (
        "Northside Clinic: you have a preventive visit due. Book: "
        "https://northside.example.org/b or call (312) 555-0100. Reply STOP to end "
        "texts"
    )


def test_colorectal_fulfilled_visit_and_its_encounter_are_one_message() -> None:
    visit = appointment(status="fulfilled", start="2026-11-20T09:00:00-06:00")
    one = decide(FULFILLED, chart(visit))["colorectal/offer"]
    other = decide(DISCHARGED, chart(_office()))["colorectal/offer"]
    assert (reason_of(one), one.key) == ("send: due", other.key)


@pytest.mark.parametrize(
    ("birth", "expected"),
    [
        ("1981-11-28", "not-due: not-applicable"),
        ("1981-11-20", "send: due"),
        ("1951-11-19", "send: due"),
        ("1950-11-20", "not-due: not-applicable"),
        (..., "hold: data-missing"),
    ],
)
def test_colorectal_age_decides(birth: Any, expected: str) -> None:
    read = chart(_office(), person=patient(birthDate=birth))
    assert reason_of(decide(DISCHARGED, read)["colorectal/offer"]) == expected


def _done(kind: str, system: str, code: str, when: str, **more: Any) -> dict[str, Any]:
    dated = "performedDateTime" if kind == "Procedure" else "effectiveDateTime"
    return {
        "resourceType": kind,
        "id": "done",
        "status": "completed" if kind == "Procedure" else "final",
        "code": {"coding": [{"system": system, "code": code}]},
        dated: when,
        **more,
    }


SNOMED, LOINC = "http://snomed.info/sct", "http://loinc.org"


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (_done("Procedure", SNOMED, "73761001", "2017-01-05"), "cancel: already-done"),
        (_done("Procedure", SNOMED, "73761001", "2016"), "cancel: already-done"),
        (_done("Procedure", SNOMED, "73761001", "2016-11-01"), "send: due"),
        (
            _done("Procedure", SNOMED, "73761001", "2020-01-05", status="not-done"),
            "send: due",
        ),
        (_done("Observation", LOINC, "29771-3", "2026-01-05"), "cancel: already-done"),
        (_done("Observation", LOINC, "29771-3", "2025-11-01"), "send: due"),
        (_done("Observation", LOINC, "77353-1", "2024-01-05"), "cancel: already-done"),
        (_done("Observation", LOINC, "77353-1", "2023-11-01"), "send: due"),
        (
            _done("DiagnosticReport", LOINC, "79101-2", "2022-01-05"),
            "cancel: already-done",
        ),
        (_done("Procedure", SNOMED, "44441009", "2020-01-05"), "send: due"),
        (
            _done("ServiceRequest", LOINC, "29771-3", "2026-11-01", status="active"),
            "cancel: already-done",
        ),
        (
            _done("Procedure", SNOMED, "26390003", "2001-01-05"),
            "not-due: not-applicable",
        ),
    ],
)
def test_colorectal_done_ordered_or_excluded(
    resource: dict[str, Any], expected: str
) -> None:
    found = decide(DISCHARGED, chart(_office(), resource))["colorectal/offer"]
    assert reason_of(found) == expected


def test_colorectal_cancer_by_branch_code_is_left_out() -> None:
    condition = {
        "resourceType": "Condition",
        "id": "c",
        "code": {
            "coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "C18.7"}]
        },
    }
    found = decide(DISCHARGED, chart(_office(), condition))["colorectal/offer"]
    assert reason_of(found) == "not-due: not-applicable"


def test_colorectal_once_in_twelve_months() -> None:
    for days, expected in ((300, "not-due: not-applicable"), (380, "send: due")):
        sent = (SentMessage(NOW - timedelta(days=days), "preventive", "sms"),)
        found = decide(DISCHARGED, chart(_office()), own(sent=sent))
        assert reason_of(found["colorectal/offer"]) == expected


def test_broken_condition_makes_its_plan_unknown_never_false() -> None:
    plan = next(item for item in LIBRARY.plans if item.id == "appointment-reminder")
    broken = Condition("%focus.noSuchFunction()", "not-applicable", "It breaks.")
    actions = tuple(replace(item, conditions=(broken,)) for item in plan.actions)
    library = replace(LIBRARY, plans=(replace(plan, actions=actions),))
    found = decide(BOOKED, chart(appointment()), library=library)
    assert {reason_of(item) for item in found.values()} == {"hold: plan-unknown"}


def test_unknown_condition_yields_to_a_definite_refusal() -> None:
    plan = next(item for item in LIBRARY.plans if item.id == "appointment-reminder")
    broken = Condition("%focus.noSuchFunction()", "not-applicable", "It breaks.")
    actions = tuple(
        replace(item, conditions=(broken, *item.conditions)) for item in plan.actions
    )
    library = replace(LIBRARY, plans=(replace(plan, actions=actions),))
    read = chart(appointment(status="cancelled"))
    found = decide(BOOKED, read, library=library)["appointment-reminder/one-day"]
    assert reason_of(found) == "cancel: appointment-cancelled"
