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

NOSHOW = event(EventKind.APPOINTMENT_NOSHOW, "Appointment/visit")
ACTIVATED = event(EventKind.CAREPLAN_ACTIVATED, "CarePlan/plan")
FULFILLED = event(EventKind.APPOINTMENT_FULFILLED, "Appointment/visit")
OFFICE = {"code": "AMB"}


def due(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def stay_again(**changes: Any) -> dict[str, Any]:
    values = {
        "id": "again",
        "status": "in-progress",
        "period": {"start": "2026-11-21T02:00:00Z"},
        "disposition": None,
    }
    return encounter(**(values | changes))


def test_post_discharge_home_plans_two_messages_and_a_task() -> None:
    found = decide(DISCHARGED, chart(encounter()))
    assert {name: reason_of(item) for name, item in found.items()} == {
        "post-discharge/check-in": "send: due",
        "post-discharge/book-visit": "send: due",
        "post-discharge/contact-task": "send: due",
        "ed-followup/ed-followup-1": "not-due: not-applicable",
        "ed-followup/ed-followup-2": "not-due: not-applicable",
        **{
            f"colorectal/{step}": "not-due: not-applicable"
            for step in ("offer", "second", "other", "call")
        },
    }
    check_in = found["post-discharge/check-in"]
    assert check_in.due_at == due("2026-11-21T16:30:00-06:00")
    assert check_in.expires_at == due("2026-11-23T16:30:00-06:00")
    assert found["post-discharge/book-visit"].due_at == due("2026-11-23T16:30-06:00")


def test_post_discharge_task_is_due_at_the_end_of_the_second_business_day() -> None:
    task = decide(DISCHARGED, chart(encounter()))["post-discharge/contact-task"].task
    assert task is not None
    assert (task.due_at, task.priority) == (due("2026-11-24T17:00-06:00"), "urgent")


@pytest.mark.parametrize("code", ["ACUTE", "NONAC", "OBSENC", "SS"])
def test_post_discharge_every_inpatient_class_applies(code: str) -> None:
    found = decide(DISCHARGED, chart(encounter(**{"class": {"code": code}})))
    assert reason_of(found["post-discharge/check-in"]) == "send: due"


def test_post_discharge_r5_encounter_is_read_alike() -> None:
    stay = encounter(
        **{"class": [{"coding": [{"code": "IMP"}]}], "status": "completed"},
        disposition=None,
        admission=encounter()["hospitalization"],
    )
    stay["actualPeriod"] = stay.pop("period")
    found = decide(DISCHARGED, chart(stay))["post-discharge/check-in"]
    assert reason_of(found) == "send: due"
    assert found.due_at == due("2026-11-21T16:30-06:00")


def test_post_discharge_newborn_is_left_out() -> None:
    stay = encounter()
    stay["hospitalization"]["admitSource"] = {"coding": [{"code": "born"}]}
    found = decide(DISCHARGED, chart(stay))["post-discharge/check-in"]
    assert reason_of(found) == "not-due: not-applicable"


@pytest.mark.parametrize(
    ("extra", "action", "expected"),
    [
        (stay_again(), "check-in", "cancel: readmitted"),
        (stay_again(status="finished"), "check-in", "cancel: readmitted"),
        (stay_again(status="planned"), "check-in", "send: due"),
        (stay_again(**{"class": OFFICE}), "check-in", "send: due"),
        (stay_again(**{"class": OFFICE}), "book-visit", "cancel: already-done"),
        (appointment(), "book-visit", "cancel: already-booked"),
        (appointment(status="cancelled"), "book-visit", "send: due"),
        (appointment(start="2026-12-05T09:00:00Z"), "book-visit", "send: due"),
        (appointment(start="2026-11-10T09:00:00Z"), "book-visit", "send: due"),
        (appointment(), "check-in", "send: due"),
    ],
)
def test_post_discharge_stops(
    extra: dict[str, Any], action: str, expected: str
) -> None:
    found = decide(DISCHARGED, chart(encounter(), extra))
    assert reason_of(found[f"post-discharge/{action}"]) == expected


def test_post_discharge_names_the_booked_visit_as_fact() -> None:
    found = decide(DISCHARGED, chart(encounter(), appointment()))
    facts = found["post-discharge/book-visit"].verdict.facts
    assert [(item.reference, item.version, item.path) for item in facts[:2]] == [
        ("Appointment/visit", "1", "status"),
        ("Appointment/visit", "1", "start"),
    ]


def test_post_discharge_unread_appointments_are_unknown_not_none() -> None:
    read = chart(encounter(), incomplete=("Appointment",))
    found = decide(DISCHARGED, read)
    assert reason_of(found["post-discharge/book-visit"]) == "hold: ehr-unreachable"
    assert reason_of(found["post-discharge/check-in"]) == "send: due"


def test_ed_visit_home_plans_two_messages() -> None:
    found = decide(DISCHARGED, chart(encounter(**{"class": {"code": "EMER"}})))
    first, second = (found[f"ed-followup/ed-followup-{n}"] for n in (1, 2))
    assert (reason_of(first), reason_of(second)) == ("send: due", "send: due")
    assert first.due_at == due("2026-11-21T16:30-06:00")
    assert second.due_at == due("2026-11-23T16:30-06:00")
    assert reason_of(found["post-discharge/check-in"]) == "not-due: not-applicable"


def test_ed_visit_admitted_within_seven_days_stops() -> None:
    emergency = encounter(**{"class": {"code": "EMER"}})
    admitted = stay_again(
        period={"start": "2026-11-25T02:00:00Z", "end": "2026-11-26T02:00:00Z"},
        status="finished",
    )
    found = decide(DISCHARGED, chart(emergency, admitted))
    assert reason_of(found["ed-followup/ed-followup-2"]) == "cancel: readmitted"
    late = admitted | {"period": {"start": "2026-11-29T02:00:00Z"}}
    found = decide(DISCHARGED, chart(emergency, late))
    assert reason_of(found["ed-followup/ed-followup-2"]) == "send: due"


def test_reminder_booked_far_ahead_plans_both() -> None:
    found = decide(BOOKED, chart(appointment()))
    assert {name: item.due_at for name, item in found.items()} == {
        "appointment-reminder/three-days": due("2026-11-29T12:00-06:00"),
        "appointment-reminder/one-day": due("2026-12-01T09:30-06:00"),
    }
    one_day = found["appointment-reminder/one-day"]
    assert one_day.expires_at == due("2026-12-02T07:30-06:00")
    assert one_day.occasion == "2026-12-02T15:30:00+00:00"


@pytest.mark.parametrize(
    ("start", "three", "one"),
    [
        ("2026-11-22T18:00:00Z", "cancel: window-passed", "send: due"),
        ("2026-11-21T12:00:00Z", "cancel: window-passed", "cancel: window-passed"),
        ("2026-11-19T12:00:00Z", "cancel: window-passed", "cancel: window-passed"),
    ],
)
def test_reminder_whose_lead_has_passed_at_booking_is_not_sent(
    start: str, three: str, one: str
) -> None:
    found = decide(BOOKED, chart(appointment(start=start)))
    assert reason_of(found["appointment-reminder/three-days"]) == three
    assert reason_of(found["appointment-reminder/one-day"]) == one


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("cancelled", "cancel: appointment-cancelled"),
        ("pending", "cancel: appointment-cancelled"),
        ("arrived", "cancel: appointment-over"),
        ("fulfilled", "cancel: appointment-over"),
        ("noshow", "cancel: appointment-over"),
        ("entered-in-error", "cancel: event-undone"),
    ],
)
def test_reminder_status_decides(status: str, expected: str) -> None:
    found = decide(BOOKED, chart(appointment(status=status)))
    assert reason_of(found["appointment-reminder/one-day"]) == expected


def test_reminder_without_a_start_is_held() -> None:
    visit = appointment()
    del visit["start"]
    found = decide(BOOKED, chart(visit))["appointment-reminder/one-day"]
    assert reason_of(found) == "hold: data-missing"


def test_reminder_moved_is_cancelled_and_the_new_one_has_its_own_key() -> None:
    before = decide(BOOKED, chart(appointment()))["appointment-reminder/one-day"]
    moved = chart(appointment(start="2026-12-08T10:00:00-06:00"))
    again = look_again(nudge_of(before), moved, at=NOW, at_send=False)
    assert reason_of(again) == "cancel: appointment-moved"
    rescheduled = event(EventKind.APPOINTMENT_RESCHEDULED, "Appointment/visit")
    after = decide(rescheduled, moved)["appointment-reminder/one-day"]
    assert (reason_of(after), after.key != before.key) == ("send: due", True)


def test_no_show_first_offers_another_time() -> None:
    missed = appointment(status="noshow", start="2026-11-19T10:00:00-06:00")
    found = decide(NOSHOW, chart(missed))
    assert reason_of(found["no-show/rebook"]) == "send: due"
    assert found["no-show/rebook"].due_at == NOW
    assert reason_of(found["no-show/call-task"]) == "not-due: not-applicable"


@pytest.mark.parametrize(
    ("earlier", "rebook", "task"),
    [
        ("2026-07-01T10:00:00Z", "not-due: not-applicable", "send: due"),
        ("2026-05-01T10:00:00Z", "send: due", "not-due: not-applicable"),
    ],
)
def test_no_show_second_in_six_months_goes_to_a_person(
    earlier: str, rebook: str, task: str
) -> None:
    missed = appointment(status="noshow", start="2026-11-19T10:00:00-06:00")
    first = appointment(id="first", status="noshow", start=earlier)
    found = decide(NOSHOW, chart(missed, first))
    assert reason_of(found["no-show/rebook"]) == rebook
    assert reason_of(found["no-show/call-task"]) == task
    assert (found["no-show/call-task"].task is None) == task.startswith("not-due")


def test_no_show_taken_back_or_booked_again_stops() -> None:
    missed = appointment(status="noshow", start="2026-11-19T10:00:00-06:00")
    arrived = decide(NOSHOW, chart(missed | {"status": "fulfilled"}))
    assert reason_of(arrived["no-show/rebook"]) == "cancel: event-undone"
    booked = decide(NOSHOW, chart(missed, appointment(id="next")))
    assert reason_of(booked["no-show/rebook"]) == "cancel: already-booked"


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
