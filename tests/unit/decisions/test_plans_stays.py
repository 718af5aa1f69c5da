"""Plans after a stay or an emergency visit: whom, when, what stops them, who is asked."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from mappings.preference import AskedTask
from middleware.decisions.candidate import Candidate
from tests.unit.decisions import story
from tests.unit.decisions.story import (
    DISCHARGED,
    NOW,
    WHOLE,
    appointment,
    chart,
    due,
    encounter,
    endpoint,
    event,
    every_text_of,
    everything_on,
    nudge_of,
    own,
    patient,
    reason_of,
    texts_of,
)

# With the plans that are off until a site switches them on.
decide = partial(story.decide, library=WHOLE)
look_again = partial(story.look_again, library=WHOLE)

OFFICE = {"code": "AMB"}
EMERGENCY = {"code": "EMER"}
NUBC = "https://www.nubc.org/CodeSystem/PatDischargeStatus"
SNOMED = "http://snomed.info/sct"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
Found = dict[str, Candidate]


def ended(code: str, *, system: str = NUBC, **changes: Any) -> dict[str, Any]:
    stay = encounter(**changes)
    coding = [{"system": system, "code": code}]
    stay["hospitalization"] = {"dischargeDisposition": {"coding": coding}}
    return stay


def left(day: str, at: str = "16:30:00-06:00", **changes: Any) -> dict[str, Any]:
    period = {"start": f"{day}T01:00:00-06:00", "end": f"{day}T{at}"}
    return encounter(period=period, **changes)


def all_on(*resources: dict[str, Any], at: datetime = NOW, **more: Any) -> Found:
    read = chart(*resources, read_at=at, person=more.pop("person", None))
    happened = event(DISCHARGED.kind, "Encounter/stay", more.pop("when", at))
    return decide(happened, read, at=at, where=everything_on(), **more)


def steps(found: Found, plan: str) -> dict[str, str]:
    return {
        name.partition("/")[2]: reason_of(item)
        for name, item in found.items()
        if name.partition("/")[0] == plan
    }


def asked(found: Candidate) -> tuple[str, str] | None:
    return (found.task.reason, found.task.priority) if found.task else None


def stay_again(**changes: Any) -> dict[str, Any]:
    values = {
        "id": "again",
        "status": "in-progress",
        "period": {"start": "2026-11-21T02:00:00Z"},
        "disposition": None,
    }
    return encounter(**(values | changes))


def test_post_discharge_home_plans_messages_and_tasks() -> None:
    found = decide(DISCHARGED, chart(encounter()))
    told = {name: reason_of(item) for name, item in found.items()}
    steps = {name: said for name, said in told.items() if "post-discharge/" in name}
    assert steps == {
        "post-discharge/check-in": "send: due",
        "post-discharge/book-visit": "send: due",
        "post-discharge/book-call-high-risk": "not-due: not-applicable",
        "post-discharge/book-call": "send: due",
        "post-discharge/contact-task": "send: due",
        "post-discharge/contact-lead": "send: due",
        "post-discharge/contact-attempts": "send: due",
        "post-discharge/disposition-task": "cancel: already-done",
    }
    assert told["ed-followup/ed-followup-1"] == "not-due: not-applicable"
    assert told["ed-followup/ed-followup-2"] == "not-due: not-applicable"
    assert told["colorectal/offer"] == "not-due: not-applicable"
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


# --- the call within two business days -------------------------------------------


@pytest.mark.parametrize(
    ("day", "call", "lead", "attempts"),
    [
        # Friday: two business days are Monday and Tuesday.
        (
            "2026-11-20",
            "2026-11-24T17:00-06:00",
            "2026-11-24T12:00-06:00",
            "2026-11-25T17:00-06:00",
        ),
        # The day before Thanksgiving: Friday and Monday.
        (
            "2026-11-25",
            "2026-11-30T17:00-06:00",
            "2026-11-30T12:00-06:00",
            "2026-12-01T17:00-06:00",
        ),
        # The Friday before the clocks go forward: Monday and Tuesday, an hour earlier.
        (
            "2027-03-12",
            "2027-03-16T17:00-05:00",
            "2027-03-16T12:00-05:00",
            "2027-03-17T17:00-05:00",
        ),
    ],
)
def test_contact_counts_business_days_and_noon_of_the_second(
    day: str, call: str, lead: str, attempts: str
) -> None:
    at = due(f"{day}T17:00:00-06:00")
    found = all_on(left(day), at=at)
    dues = [
        found[f"post-discharge/{step}"].due_at
        for step in ("contact-task", "contact-lead", "contact-attempts")
    ]
    assert dues == [due(call), due(lead), due(attempts)]


def test_contact_is_asked_at_once_and_the_lead_only_when_it_is_late() -> None:
    found = decide(DISCHARGED, chart(encounter()))
    call, lead = (found[f"post-discharge/contact-{name}"] for name in ("task", "lead"))
    assert asked(call) == ("post-discharge-contact-task", "urgent")
    assert (lead.task, lead.is_planned) == (None, True)
    late = look_again(nudge_of(lead), chart(encounter()))
    assert asked(late) == ("post-discharge-contact-lead", "asap")
    assert late.task is not None
    assert late.task.due_at == due("2026-11-24T17:00-06:00")


@pytest.mark.parametrize("step", ["contact-lead", "contact-attempts"])
def test_contact_that_was_made_asks_nobody_more(step: str) -> None:
    name = f"post-discharge/{step}"
    nudge = nudge_of(decide(DISCHARGED, chart(encounter()))[name])
    task = ("post-discharge-contact-task", "Encounter/stay")
    for done, focus, said in (
        (True, task[1], "cancel: already-done"),
        (False, task[1], "send: due"),
        (True, "Encounter/earlier", "send: due"),
    ):
        mine = own(asked=(AskedTask(task[0], focus, done),))
        assert reason_of(look_again(nudge, chart(encounter()), mine)) == said


def test_contact_lead_is_not_asked_about_who_was_seen_or_admitted() -> None:
    name = "post-discharge/contact-lead"
    nudge = nudge_of(decide(DISCHARGED, chart(encounter()))[name])
    seen = stay_again(**{"class": OFFICE})
    said = reason_of(look_again(nudge, chart(encounter(), seen)))
    assert said == "cancel: already-done"
    said = reason_of(look_again(nudge, chart(encounter(), stay_again())))
    assert said == "cancel: readmitted"


# --- how a stay ended --------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "expected", "task"),
    [
        ("01", "send: due", None),
        ("81", "send: due", None),
        ("20", "cancel: disposition-died", "disposition-died"),
        ("50", "cancel: disposition-hospice", "disposition-hospice"),
        ("02", "cancel: disposition-facility", None),
        ("03", "cancel: disposition-facility", None),
        ("07", "cancel: disposition-against-advice", None),
        ("21", "cancel: disposition-law", None),
        ("09", "not-due: not-applicable", None),
        ("30", "not-due: not-applicable", None),
    ],
)
@pytest.mark.parametrize(
    ("kind", "name"),
    [("IMP", "post-discharge/check-in"), ("EMER", "ed-followup/ed-followup-1")],
)
def test_disposition_decides_for_stays_and_emergency_visits(
    code: str, expected: str, task: str | None, kind: str, name: str
) -> None:
    stay = ended(code, **{"class": {"code": kind}})
    found = decide(DISCHARGED, chart(stay))[name]
    assert reason_of(found) == expected
    assert (found.task.reason if found.task else None) == task


def test_death_stops_every_plan_and_asks_for_the_family_once() -> None:
    found = all_on(ended("20"))
    told = {reason_of(item) for item in found.values()}
    assert told == {"cancel: disposition-died", "cancel: deceased"}
    keys = {item.task.key for item in found.values() if item.task}
    assert keys == {"disposition-died|Encounter/stay"}


def test_planned_return_keeps_the_visit_and_leaves_out_the_rest() -> None:
    found = all_on(ended("86"))
    assert reason_of(found["post-discharge/book-visit"]) == "send: due"
    assert reason_of(found["post-discharge-check-ins/day-3"]) == (
        "not-due: not-applicable"
    )


def test_facility_stay_starts_the_plan_when_it_ends_at_home() -> None:
    first = ended("03", id="first")
    nursing = encounter(
        **{"class": {"code": "NONAC"}},
        period={"start": "2026-11-20T17:00:00-06:00", "end": "2026-12-10T10:00-06:00"},
    )
    at = due("2026-12-10T10:30-06:00")
    found = all_on(first, nursing, at=at)["post-discharge/check-in"]
    assert (reason_of(found), found.due_at) == (
        "send: due",
        due("2026-12-11T10:00-06:00"),
    )


@pytest.mark.parametrize("kind", ["AMB", "EMER"])
def test_observation_by_type_is_a_stay_and_no_emergency_visit(kind: str) -> None:
    observed = [{"coding": [{"system": SNOMED, "code": "448951000124107"}]}]
    found = all_on(encounter(type=observed, **{"class": {"code": kind}}))
    assert reason_of(found["post-discharge/check-in"]) == "send: due"
    assert reason_of(found["ed-followup/ed-followup-1"]) == "not-due: not-applicable"


def test_newborn_by_diagnosis_is_left_out() -> None:
    born = {
        "resourceType": "Condition",
        "id": "born",
        "code": {"coding": [{"system": ICD, "code": "Z38.00"}]},
        "encounter": {"reference": "Encounter/stay"},
    }
    found = all_on(encounter(), born)
    assert reason_of(found["post-discharge/check-in"]) == "not-due: not-applicable"
    elsewhere = born | {"encounter": {"reference": "Encounter/other"}}
    found = all_on(encounter(), elsewhere)
    assert reason_of(found["post-discharge/check-in"]) == "send: due"


@pytest.mark.parametrize(
    ("kind", "plan"), [("IMP", "post-discharge"), ("EMER", "ed-followup")]
)
def test_missing_disposition_waits_six_hours_and_then_asks(
    kind: str, plan: str
) -> None:
    stay = encounter(disposition=None, **{"class": {"code": kind}})
    found = decide(DISCHARGED, chart(stay))
    assert {item.task for item in found.values()} == {None}
    waits = found[f"{plan}/disposition-task"]
    assert (waits.is_planned, waits.due_at) == (True, due("2026-11-20T22:30-06:00"))
    nudge = nudge_of(waits)
    assert asked(look_again(nudge, chart(stay))) == (
        f"{plan}-disposition-task",
        "urgent",
    )
    written = encounter(**{"class": {"code": kind}})
    assert reason_of(look_again(nudge, chart(written))) == "cancel: already-done"


# --- left against advice -------------------------------------------------------------


@pytest.mark.parametrize("kind", ["IMP", "EMER", "OBSENC"])
def test_against_advice_a_person_calls_the_same_day(kind: str) -> None:
    found = all_on(ended("07", **{"class": {"code": kind}}))
    call, message = (
        found[f"against-advice/{name}"] for name in ("call-task", "check-in")
    )
    assert asked(call) == ("against-advice-call-task", "asap")
    assert call.due_at == due("2026-11-20T17:00-06:00")
    assert (reason_of(message), message.due_at) == (
        "send: due",
        due("2026-11-21T16:30-06:00"),
    )
    assert "advice" not in message.text
    others = {name for name, item in found.items() if reason_of(item) == "send: due"}
    assert others == {"against-advice/call-task", "against-advice/check-in"}


def test_against_advice_does_not_apply_to_others_and_stops() -> None:
    assert set(steps(all_on(encounter()), "against-advice").values()) == {
        "not-due: not-applicable"
    }
    again = all_on(ended("07"), stay_again())
    assert set(steps(again, "against-advice").values()) == {"cancel: readmitted"}
    assert texts_of("against-advice") == every_text_of("check-in")


# --- the follow-up visit ---------------------------------------------------------------


def risk(**changes: Any) -> dict[str, Any]:
    code = {"coding": [{"code": changes.pop("level", "high")}]}
    return {
        "resourceType": "RiskAssessment",
        "id": "risk",
        "status": "final",
        "occurrenceDateTime": "2026-11-19",
        "prediction": [{"qualitativeRisk": code}],
        **changes,
    }


@pytest.mark.parametrize(
    ("assessment", "expected"),
    [
        (risk(), "send: due"),
        (risk(level="certain"), "send: due"),
        (risk(level="low"), "not-due: not-applicable"),
        (risk(status="cancelled"), "not-due: not-applicable"),
        (risk(occurrenceDateTime="2026-05-01"), "not-due: not-applicable"),
    ],
)
def test_visit_call_on_day_seven_is_for_high_risk(
    assessment: dict[str, Any], expected: str
) -> None:
    found = all_on(encounter(), assessment)["post-discharge/book-call-high-risk"]
    assert reason_of(found) == expected
    assert found.due_at == due("2026-11-27T16:30-06:00")


def test_visit_call_on_day_seven_is_unknown_where_risk_is_unread() -> None:
    read = chart(encounter(), incomplete=("RiskAssessment",))
    found = decide(DISCHARGED, read)
    said = reason_of(found["post-discharge/book-call-high-risk"])
    assert said == "hold: ehr-unreachable"
    assert reason_of(found["post-discharge/book-call"]) == "send: due"


def test_visit_call_on_day_ten_is_asked_unless_a_visit_is_booked_by_then() -> None:
    nudge = nudge_of(decide(DISCHARGED, chart(encounter()))["post-discharge/book-call"])
    asked_then = look_again(nudge, chart(encounter()))
    assert asked(asked_then) == ("post-discharge-book-call", "urgent")
    assert asked_then.task is not None
    # The tenth day is a Monday: by five in the afternoon.
    assert asked_then.task.due_at == due("2026-11-30T17:00-06:00")
    booked = chart(encounter(), appointment())
    assert reason_of(look_again(nudge, booked)) == "cancel: already-booked"
    late = look_again(nudge, chart(encounter()), at=nudge.due_at + timedelta(days=4))
    assert reason_of(late) == "cancel: window-passed"


def test_more_offers_of_a_visit_are_off_until_switched_on() -> None:
    off = decide(DISCHARGED, chart(encounter()))
    assert set(steps(off, "post-discharge-booking").values()) == {"cancel: plan-off"}
    found = all_on(encounter())
    dues = [found[f"post-discharge-booking/day-{n}"].due_at for n in (1, 6, 10)]
    assert dues == [
        due("2026-11-21T16:30-06:00"),
        due("2026-11-27T09:00-06:00"),  # the day after Thanksgiving
        due("2026-11-30T16:30-06:00"),
    ]
    booked = all_on(encounter(), appointment())
    said = set(steps(booked, "post-discharge-booking").values())
    assert said == {"cancel: already-booked"}
    assert texts_of("post-discharge-booking") == every_text_of(
        "day-1", "day-6", "day-10"
    )


# --- check-ins over thirty days ----------------------------------------------------------


def test_check_ins_taper_over_thirty_days_where_switched_on() -> None:
    off = decide(DISCHARGED, chart(encounter()))
    assert set(steps(off, "post-discharge-check-ins").values()) == {"cancel: plan-off"}
    found = all_on(encounter())
    days = (3, 6, 9, 13, 17, 22, 28)
    names = [f"post-discharge-check-ins/day-{day}" for day in days]
    assert {reason_of(found[name]) for name in names} == {"send: due"}
    gone = due("2026-11-20T16:30-06:00")
    # The sixth day is Thanksgiving: its message waits until nine the next morning.
    waited = timedelta(days=6, hours=16, minutes=30)
    assert [found[name].due_at - gone for name in names] == [
        waited if day == 6 else timedelta(days=day) for day in days
    ]
    again = all_on(encounter(), stay_again())
    said = set(steps(again, "post-discharge-check-ins").values())
    assert said == {"cancel: readmitted"}
    assert texts_of("post-discharge-check-ins") == every_text_of(
        *(f"day-{day}" for day in days)
    )


def test_check_ins_keep_the_hour_when_the_clocks_change() -> None:
    at = due("2027-03-12T17:00:00-06:00")
    found = all_on(left("2027-03-12"), at=at)["post-discharge-check-ins/day-3"]
    assert found.due_at == due("2027-03-15T16:30:00-05:00")


# --- medicines ---------------------------------------------------------------------------


def medicine(**changes: Any) -> dict[str, Any]:
    values = {
        "resourceType": "MedicationRequest",
        "id": "new",
        "status": "active",
        "intent": "order",
        "authoredOn": "2026-11-20T15:00:00-06:00",
        "medicationCodeableConcept": {"text": "metformin"},
    }
    return values | changes


INSIDE = [{"coding": [{"code": "inpatient"}]}]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (medicine(), "send: due"),
        (medicine(status="stopped"), "send: due"),
        (
            medicine(authoredOn="2025", encounter={"reference": "Encounter/stay"}),
            "send: due",
        ),
        (medicine(authoredOn="2026-10-01"), "not-due: not-applicable"),
        (medicine(category=INSIDE), "not-due: not-applicable"),
        (medicine(intent="proposal"), "not-due: not-applicable"),
        (medicine(status="draft"), "not-due: not-applicable"),
    ],
)
def test_medicines_are_asked_about_when_they_changed(
    request_: dict[str, Any], expected: str
) -> None:
    found = all_on(encounter(), request_)["post-discharge-medicines/bring-all"]
    assert reason_of(found) == expected
    # Two days after a Friday is a Sunday, whose hours end at six.
    assert found.due_at == due("2026-11-22T16:30-06:00")
    assert "metformin" not in found.text


def test_medicines_unread_are_unknown_and_a_visit_stops_the_question() -> None:
    name = "post-discharge-medicines/bring-all"
    read = chart(encounter(), incomplete=("MedicationRequest",))
    assert reason_of(decide(DISCHARGED, read)[name]) == "hold: ehr-unreachable"
    seen = stay_again(**{"class": OFFICE})
    found = all_on(encounter(), medicine(), seen)[name]
    assert reason_of(found) == "cancel: already-done"
    assert texts_of("post-discharge-medicines") == every_text_of("bring-all")


# --- mental health -----------------------------------------------------------------------


def diagnosed(code: str, **changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "id": "why",
        "code": {"coding": [{"system": ICD, "code": code}]},
        "encounter": {"reference": "Encounter/stay"},
        **changes,
    }


@pytest.mark.parametrize(
    ("code", "applies"),
    [("F32.2", True), ("T14.91XA", True), ("X78.1XXA", True), ("J18.9", False)],
)
def test_mental_health_stay_goes_to_a_person_first(code: str, *, applies: bool) -> None:
    found = all_on(encounter(), diagnosed(code))
    said = steps(found, "mental-health-discharge")
    expected = "send: due" if applies else "not-due: not-applicable"
    assert set(said.values()) == {expected}
    if applies:
        call = found["mental-health-discharge/call-task"]
        assert asked(call) == ("mental-health-discharge-call-task", "urgent")
        assert call.due_at == due("2026-11-23T17:00-06:00")
        check_in = found["post-discharge/check-in"]
        assert reason_of(check_in) == "hold: sensitive"


def test_mental_health_by_listed_diagnosis_label_or_reason() -> None:
    listed = diagnosed("F20.0", encounter=None)
    names = {"diagnosis": [{"condition": {"reference": "Condition/why"}}]}
    label = {"meta": {"versionId": "2", "security": [{"code": "PSY"}]}}
    reason = {"reasonCode": [{"coding": [{"system": ICD, "code": "F41.1"}]}]}
    for changes in (names, label, reason):
        found = all_on(encounter(**changes), listed)
        assert reason_of(found["mental-health-discharge/call-task"]) == "send: due"
    found = all_on(encounter(), listed)
    said = reason_of(found["mental-health-discharge/call-task"])
    assert said == "not-due: not-applicable"


def test_mental_health_is_for_six_years_and_older() -> None:
    for birth, expected in (
        ("2020-11-20", "send: due"),
        ("2020-11-22", "not-due: not-applicable"),
        (..., "hold: data-missing"),
    ):
        person = patient(birthDate=birth)
        found = all_on(encounter(), diagnosed("F32.2"), person=person)
        call = found["mental-health-discharge/call-task"]
        assert reason_of(call) == expected


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("2026-11-24T10:00:00-06:00", "cancel: already-booked"),
        # On the day of discharge, and after seven days: neither counts.
        ("2026-11-20T18:00:00-06:00", "send: due"),
        ("2026-11-30T10:00:00-06:00", "send: due"),
    ],
)
def test_mental_health_third_day_without_a_visit_asks_for_a_call_that_day(
    start: str, expected: str
) -> None:
    why = diagnosed("F32.2")
    name = "mental-health-discharge/visit-task"
    nudge = nudge_of(all_on(encounter(), why)[name])
    assert nudge.due_at == due("2026-11-23T16:30-06:00")
    read = chart(encounter(), why, appointment(start=start))
    found = look_again(nudge, read)
    assert reason_of(found) == expected
    if expected == "send: due":
        assert found.task is not None
        assert (found.task.priority, found.task.due_at) == (
            "asap",
            due("2026-11-23T17:00-06:00"),
        )


def test_mental_health_message_is_off_and_its_words_reveal_nothing() -> None:
    off = decide(DISCHARGED, chart(encounter(), diagnosed("F32.2")))
    assert reason_of(off["mental-health-message/message"]) == "cancel: plan-off"
    plan = next(item for item in WHOLE.plans if item.id == "mental-health-message")
    assert (plan.sensitive, plan.default_on) == ("generic", False)
    assert texts_of("mental-health-message") == every_text_of("message")
    definition = plan.actions[0].definition
    english = {
        item.text
        for item in WHOLE.wordings
        if (item.definition, item.language, item.channel) == (definition, "en", "sms")
    }
    text = (
        "{{ clinic }}: you have a message. Sign in at {{ link }} or call {{ phone }}. "
        "Emergency call 911. Reply STOP to end texts"
    )
    assert english == {text}


# --- emergency visits ----------------------------------------------------------------------


def test_ed_visit_call_on_the_fifth_day_unless_booked_or_admitted() -> None:
    visit = encounter(**{"class": EMERGENCY})
    nudge = nudge_of(decide(DISCHARGED, chart(visit))["ed-followup/visit-task"])
    assert nudge.due_at == due("2026-11-25T16:30-06:00")
    found = look_again(nudge, chart(visit))
    assert asked(found) == ("ed-followup-visit-task", "routine")
    for extra, expected in (
        (appointment(), "cancel: already-booked"),
        (stay_again(), "cancel: readmitted"),
        (stay_again(**{"class": OFFICE}), "cancel: already-done"),
    ):
        assert reason_of(look_again(nudge, chart(visit, extra))) == expected


def test_ed_visit_call_before_a_holiday_is_due_by_the_next_business_day() -> None:
    at = due("2026-11-21T17:00:00-06:00")
    visit = left("2026-11-21", **{"class": EMERGENCY})
    nudge = nudge_of(all_on(visit, at=at)["ed-followup/visit-task"])
    found = look_again(nudge, chart(visit))
    # Thanksgiving is no business day.
    assert nudge.due_at == due("2026-11-26T16:30-06:00")
    assert found.task is not None
    assert found.task.due_at == due("2026-11-27T17:00-06:00")


@pytest.mark.parametrize(
    ("plan", "messages"),
    [
        ("post-discharge", ("check-in", "book-visit")),
        ("ed-followup", ("ed-followup-1", "ed-followup-2")),
    ],
)
def test_stay_texts_are_sound_in_five_languages(
    plan: str, messages: tuple[str, ...]
) -> None:
    assert texts_of(plan) == every_text_of(*messages)


@pytest.mark.parametrize(
    "plan",
    ["post-discharge", "ed-followup", "against-advice", "mental-health-discharge"],
)
def test_stay_task_has_an_owner_and_says_what_to_do(plan: str) -> None:
    found = next(item for item in WHOLE.plans if item.id == plan)
    tasks = [item for item in found.actions if item.kind == "task"]
    assert tasks
    assert all(item.owner and item.text for item in tasks)


def test_a_site_may_switch_a_stay_plan_off() -> None:
    where = endpoint(site=everything_on(plans_off=("post-discharge",)).site)
    found = decide(DISCHARGED, chart(encounter()), where=where)
    assert set(steps(found, "post-discharge").values()) == {"cancel: plan-off"}
