"""Plans about visits: reminders, preparation, video, moves, cancellations, waiting."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from mappings.event import EventKind
from mappings.preference import SentMessage
from middleware.decisions.candidate import Candidate
from tests.unit.decisions import story
from tests.unit.decisions.story import (
    BOOKED,
    NOW,
    WHOLE,
    appointment,
    chart,
    due,
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

NOSHOW = event(EventKind.APPOINTMENT_NOSHOW, "Appointment/visit")
MOVED = event(EventKind.APPOINTMENT_RESCHEDULED, "Appointment/visit")
CANCELLED = event(EventKind.APPOINTMENT_CANCELLED, "Appointment/visit")
WAITS = event(EventKind.APPOINTMENT_WAITLISTED, "Appointment/visit")
MISSED = {"start": "2026-11-19T10:00:00-06:00", "end": "2026-11-19T10:30:00-06:00"}
REASON = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment."
JOIN = "https://video.example.org/r/4f2a9c"
Resource = dict[str, Any]


def remind(name: str, *resources: Resource, **more: Any) -> Candidate:
    found = decide(more.pop("what", BOOKED), chart(*resources, **more))
    return found[f"appointment-reminder/{name}"]


def coded(system: str, code: str) -> list[Resource]:
    return [{"coding": [{"system": system, "code": code}]}]


def test_reminder_booked_far_ahead_plans_both() -> None:
    found = decide(BOOKED, chart(appointment()))
    planned = {
        name.partition("/")[2]: item.due_at
        for name, item in found.items()
        if reason_of(item) == "send: due"
    }
    assert planned == {
        "three-days": due("2026-11-29T12:00-06:00"),
        "one-day": due("2026-12-01T09:30-06:00"),
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
    missed = appointment(status="noshow", **MISSED)
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


def test_no_show_call_waits_until_two_hours_after_the_end() -> None:
    missed = appointment(status="noshow", **MISSED)
    first = appointment(id="first", status="noshow", start="2026-07-01T10:00:00Z")
    soon = due("2026-11-19T11:00-06:00")
    happened = event(EventKind.APPOINTMENT_NOSHOW, "Appointment/visit", soon)
    read = chart(missed, first, read_at=soon)
    call = decide(happened, read, at=soon)["no-show/call-task"]
    assert (reason_of(call), call.task, call.is_planned) == (
        "hold: not-yet",
        None,
        True,
    )
    found = look_again(nudge_of(call), read)
    assert reason_of(found) == "send: due"
    assert found.task is not None
    assert found.task.due_at == due("2026-11-19T17:00-06:00")
    came = chart(missed | {"status": "fulfilled"}, first)
    assert reason_of(look_again(nudge_of(call), came)) == "cancel: event-undone"


# --- reminders -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "not-due: not-applicable"),
        ({"created": "2026-10-30"}, "send: due"),
        ({"created": "2026-11-10"}, "not-due: not-applicable"),
        ({"serviceType": coded("http://snomed.info/sct", "73761001")}, "send: due"),
        (
            {"appointmentType": coded("http://snomed.info/sct", "44441009")[0]},
            "send: due",
        ),
        ({"serviceType": coded("urn:local", "check")}, "not-due: not-applicable"),
    ],
)
def test_reminder_a_week_before_is_for_preparation_or_a_long_lead(
    changes: Resource, expected: str
) -> None:
    found = remind("seven-days", appointment(**changes))
    assert reason_of(found) == expected
    assert found.due_at == due("2026-11-25T09:30-06:00")


def test_reminder_keeps_the_hour_of_the_visit_when_the_clocks_change() -> None:
    at = due("2027-03-10T12:00:00-06:00")
    visit = appointment(start="2027-03-15T10:00:00-05:00")
    booked = event(EventKind.APPOINTMENT_BOOKED, "Appointment/visit", at)
    found = decide(booked, chart(visit, read_at=at), at=at)
    three = found["appointment-reminder/three-days"]
    assert three.due_at == due("2027-03-12T10:00:00-06:00")


def test_reminder_one_tells_of_all_visits_of_a_day() -> None:
    first = appointment()
    second = appointment(id="second", start="2026-12-02T14:00:00-06:00")
    found = remind("one-day", first, second)
    assert reason_of(found) == "send: due"
    assert "Wed, Dec 2 at 9:30 AM and 2:00 PM" in found.text
    other = event(EventKind.APPOINTMENT_BOOKED, "Appointment/second")
    held = remind("one-day", first, second, what=other)
    assert reason_of(held) == "hold: same-day-visit"
    assert [fact.reference for fact in held.verdict.facts][:1] == ["Appointment/visit"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"status": "cancelled"}, "send: due"),
        ({"start": "2026-12-03T09:30:00-06:00"}, "send: due"),
        # The evening of the day before in Chicago, the same day in UTC.
        ({"start": "2026-12-01T20:00:00-06:00"}, "send: due"),
        ({"start": "2026-12-02T14:00:00-06:00"}, "hold: same-day-visit"),
    ],
)
def test_reminder_of_the_second_visit_goes_when_the_first_falls_away(
    changes: Resource, expected: str
) -> None:
    visits = (
        appointment(id="first"),
        appointment(start="2026-12-02T14:00:00-06:00"),
    )
    held = remind("one-day", *visits)
    assert reason_of(held) == "hold: same-day-visit"
    nudge = nudge_of(held)
    # Of two visits at one instant the one with the lower id is told of.
    read = chart(visits[0] | changes, visits[1])
    assert reason_of(look_again(nudge, read)) == expected


def test_reminder_unread_visits_are_unknown() -> None:
    read = chart(appointment(), incomplete=("Appointment",))
    found = decide(BOOKED, read)["appointment-reminder/one-day"]
    assert reason_of(found) == "hold: ehr-unreachable"


# --- video ---------------------------------------------------------------------------------


VIRTUAL = [{"url": "address", "valueUrl": JOIN}]
BY_VIDEO: list[Resource] = [
    {"virtualService": [{"addressUrl": JOIN}]},
    {"extension": [{"url": f"{R5}virtualService", "extension": VIRTUAL}]},
]


@pytest.mark.parametrize("changes", BY_VIDEO)
def test_video_link_goes_the_day_before_and_a_quarter_of_an_hour_before(
    changes: Resource,
) -> None:
    visit = appointment(**changes)
    assert reason_of(remind("one-day", visit)) == "not-due: not-applicable"
    day_before = remind("one-day-video", visit)
    assert (reason_of(day_before), JOIN in day_before.text) == ("send: due", True)
    found = decide(BOOKED, chart(visit))
    link = found["video-visit/link"]
    assert (link.due_at, link.expires_at) == (
        due("2026-12-02T09:15-06:00"),
        due("2026-12-02T09:29-06:00"),
    )
    assert (reason_of(link), JOIN in link.text) == ("send: due", True)
    assert reason_of(found["video-visit/link-task"]) == "cancel: already-done"


def test_video_link_keeps_its_quarter_of_an_hour_when_the_clocks_change() -> None:
    at = due("2027-03-10T12:00:00-06:00")
    start = "2027-03-14T14:00:00-05:00"
    visit = appointment(start=start, virtualService=[{"addressUrl": JOIN}])
    booked = event(EventKind.APPOINTMENT_BOOKED, "Appointment/visit", at)
    found = decide(booked, chart(visit, read_at=at), at=at)["video-visit/link"]
    assert found.due_at == due("2027-03-14T13:45:00-05:00")


@pytest.mark.parametrize(
    "link",
    [None, "http://video.example.org/r", "https://video.example.org/" + "x" * 80],
)
def test_video_visit_without_a_fitting_link_asks_staff_the_day_before(
    link: str | None,
) -> None:
    visit = appointment(serviceType=coded(ACT_CODE, "VR"))
    if link is not None:
        visit["virtualService"] = [{"addressUrl": link}]
    found = decide(BOOKED, chart(visit))
    assert reason_of(found["appointment-reminder/one-day-video"]) == (
        "hold: data-missing"
    )
    assert reason_of(found["video-visit/link"]) == "hold: data-missing"
    task = found["video-visit/link-task"]
    assert (task.is_planned, task.due_at) == (True, due("2026-12-01T09:30-06:00"))
    asked = look_again(nudge_of(task), chart(visit))
    assert asked.task is not None
    assert asked.task.reason == "video-visit-link-task"
    written = visit | {"virtualService": [{"addressUrl": JOIN}]}
    late = look_again(nudge_of(found["video-visit/link"]), chart(written))
    assert reason_of(late) == "send: due"


def test_video_plan_does_not_apply_to_others_and_stops() -> None:
    found = decide(BOOKED, chart(appointment()))
    assert reason_of(found["video-visit/link"]) == "not-due: not-applicable"
    visit = appointment(status="cancelled", virtualService=[{"addressUrl": JOIN}])
    found = decide(BOOKED, chart(visit))
    assert reason_of(found["video-visit/link"]) == "cancel: appointment-cancelled"
    assert texts_of("video-visit") == every_text_of("link")


# --- moved ---------------------------------------------------------------------------------


def test_moved_visit_is_told_at_once_whatever_was_said_today() -> None:
    at = due("2026-11-20T14:00:00-06:00")
    moved = event(EventKind.APPOINTMENT_RESCHEDULED, "Appointment/visit", at)
    read = chart(appointment(), read_at=at)
    found = decide(moved, read, at=at)["visit-moved/new-time"]
    assert (reason_of(found), found.due_at) == ("send: due", at)
    assert "It is now Wed, Dec 2 at 9:30 AM" in found.text
    sent = (SentMessage(at - timedelta(hours=1), "appointment", "sms"),)
    again = look_again(nudge_of(found), read, own(sent=sent))
    assert reason_of(again) == "send: due"


def test_moved_visit_is_told_in_permitted_hours() -> None:
    at = due("2026-11-21T22:00:00-06:00")
    moved = event(EventKind.APPOINTMENT_RESCHEDULED, "Appointment/visit", at)
    found = decide(moved, chart(appointment(), read_at=at), at=at)
    # Saturday night: Sunday at noon.
    assert found["visit-moved/new-time"].due_at == due("2026-11-22T12:00-06:00")


def test_moved_visit_is_told_at_once_where_the_clock_of_the_ehr_is_ahead() -> None:
    at = due("2026-11-20T14:00:00-06:00")
    moved = event(EventKind.APPOINTMENT_RESCHEDULED, "Appointment/visit", at)
    ahead = replace(moved, occurred_at=at + timedelta(days=9))
    found = decide(ahead, chart(appointment(), read_at=at), at=at)
    assert found["visit-moved/new-time"].due_at == at


def test_moved_visit_moved_again_or_cancelled_stops() -> None:
    nudge = nudge_of(decide(MOVED, chart(appointment()))["visit-moved/new-time"])
    again = appointment(start="2026-12-09T09:30:00-06:00")
    assert reason_of(look_again(nudge, chart(again))) == "cancel: appointment-moved"
    off = appointment(status="cancelled")
    assert reason_of(look_again(nudge, chart(off))) == "cancel: appointment-cancelled"
    assert "visit-moved/new-time" not in decide(BOOKED, chart(appointment()))
    assert texts_of("visit-moved") == every_text_of("new-time")


# --- cancelled -----------------------------------------------------------------------------


def cancelled(code: str | None, **changes: Any) -> Resource:
    visit = appointment(status="cancelled", **changes)
    if code is not None:
        visit["cancelationReason"] = coded(REASON, code)[0]
    return visit


@pytest.mark.parametrize(
    ("code", "recall", "sorry"),
    [
        ("pat", "send: due", "not-due: not-applicable"),
        ("pat-crs", "send: due", "not-due: not-applicable"),
        ("pat-mv", "not-due: not-applicable", "not-due: not-applicable"),
        ("pat-uwp", "not-due: not-applicable", "not-due: not-applicable"),
        ("pat-preg", "hold: sensitive", "not-due: not-applicable"),
        ("pat-dec", "cancel: deceased", "cancel: deceased"),
        ("prov-pers", "not-due: not-applicable", "send: due"),
        ("oth-weath", "not-due: not-applicable", "send: due"),
        ("maint", "not-due: not-applicable", "send: due"),
        ("other", "not-due: not-applicable", "not-due: not-applicable"),
        (None, "not-due: not-applicable", "not-due: not-applicable"),
    ],
)
def test_cancelled_visit_who_cancelled_decides(
    code: str | None, recall: str, sorry: str
) -> None:
    found = decide(CANCELLED, chart(cancelled(code)))
    assert reason_of(found["visit-recall/offer"]) == recall
    assert reason_of(found["visit-called-off/sorry"]) == sorry


def test_cancelled_visit_r5_reason_is_read_alike() -> None:
    visit = appointment(
        status="cancelled", cancellationReason=coded(REASON, "pat-crs")[0]
    )
    found = decide(CANCELLED, chart(visit))["visit-recall/offer"]
    assert reason_of(found) == "send: due"


def test_cancelled_for_death_stops_all_and_asks_for_the_family() -> None:
    found = decide(CANCELLED, chart(cancelled("pat-dec")))
    assert {reason_of(item) for item in found.values()} == {"cancel: deceased"}
    tasks = {item.task for item in found.values() if item.task}
    assert {(task.key, task.priority) for task in tasks} == {
        ("deceased|Appointment/visit", "urgent")
    }
    other = appointment(id="other")
    what = event(EventKind.APPOINTMENT_BOOKED, "Appointment/other")
    held = decide(what, chart(other, cancelled("pat-dec")))
    assert {reason_of(item) for item in held.values()} == {"cancel: deceased"}


def test_cancelled_for_pregnancy_goes_to_a_person() -> None:
    found = decide(CANCELLED, chart(cancelled("pat-preg")))["visit-recall/offer"]
    assert found.task is not None
    assert (found.task.reason, found.task.priority) == ("sensitive", "urgent")


def test_cancelled_by_the_patient_is_recalled_twice_and_then_called() -> None:
    read = chart(cancelled("pat"))
    found = decide(CANCELLED, read)
    names = ("offer", "offer-again", "call-task")
    assert [found[f"visit-recall/{name}"].due_at for name in names] == [
        # A Sunday, before six.
        due("2026-11-22T17:00-06:00"),
        due("2026-12-04T17:00-06:00"),
        due("2026-12-11T17:00-06:00"),
    ]
    assert found["visit-recall/call-task"].task is None
    call = look_again(nudge_of(found["visit-recall/call-task"]), read)
    assert call.task is not None
    assert call.task.reason == "visit-recall-call-task"
    booked = chart(cancelled("pat"), appointment(id="next", start="2027-01-05T15:00Z"))
    said = reason_of(look_again(nudge_of(found["visit-recall/offer"]), booked))
    assert said == "cancel: already-booked"
    taken_back = chart(appointment())
    said = reason_of(look_again(nudge_of(found["visit-recall/offer"]), taken_back))
    assert said == "cancel: event-undone"


def test_cancelled_by_the_clinic_is_apologised_for_the_same_day() -> None:
    at = due("2026-11-20T11:00:00-06:00")
    happened = event(EventKind.APPOINTMENT_CANCELLED, "Appointment/visit", at)
    read = chart(cancelled("prov-pers"), read_at=at)
    found = decide(happened, read, at=at)
    sorry = found["visit-called-off/sorry"]
    assert (reason_of(sorry), sorry.due_at) == ("send: due", at)
    assert "we are sorry" in sorry.text
    task = found["visit-called-off/call-task"]
    assert (task.task, task.due_at) == (None, due("2026-11-23T11:00-06:00"))
    booked = chart(cancelled("prov-pers"), appointment(id="next"))
    assert reason_of(look_again(nudge_of(task), booked)) == "cancel: already-booked"
    unread = chart(cancelled("prov-pers"), incomplete=("Appointment",), read_at=at)
    unknown = decide(happened, unread, at=at)["visit-called-off/sorry"]
    assert reason_of(unknown) == "hold: ehr-unreachable"


# --- preparation -----------------------------------------------------------------------------


COLONOSCOPY = {"serviceType": coded("http://snomed.info/sct", "73761001")}


def prepare(visit: Resource, *, at: datetime = NOW) -> dict[str, Candidate]:
    booked = event(EventKind.APPOINTMENT_BOOKED, "Appointment/visit", at)
    read = chart(visit, read_at=at)
    return decide(booked, read, at=at, where=everything_on())


def test_preparation_points_to_a_page_and_names_no_procedure() -> None:
    off = decide(BOOKED, chart(appointment(**COLONOSCOPY)))
    assert reason_of(off["visit-preparation/week-before"]) == "cancel: plan-off"
    found = prepare(appointment(**COLONOSCOPY))
    week, again = (
        found[f"visit-preparation/{name}"]
        for name in ("week-before", "two-days-before")
    )
    assert {reason_of(week), reason_of(again)} == {"send: due"}
    assert week.due_at == due("2026-11-25T09:30-06:00")
    assert again.due_at == due("2026-11-30T09:30-06:00")
    assert "https://northside.example.org/b" in week.text
    assert "colonoscopy" not in week.text.lower()
    plain = prepare(appointment())
    assert reason_of(plain["visit-preparation/week-before"]) == (
        "not-due: not-applicable"
    )
    off = prepare(appointment(status="cancelled", **COLONOSCOPY))
    assert reason_of(off["visit-preparation/week-before"]) == (
        "cancel: appointment-cancelled"
    )
    assert texts_of("visit-preparation") == every_text_of(
        "week-before", "two-days-before"
    )


def test_preparation_nobody_answered_about_is_asked_the_day_before() -> None:
    visit = appointment(**COLONOSCOPY)
    task = prepare(visit)["visit-preparation/unconfirmed-task"]
    nudge = nudge_of(task)
    assert nudge.due_at == due("2026-12-01T09:30-06:00")
    sent = nudge.due_at - timedelta(days=2)
    for answered, topic, said in (
        (False, "appointment", "send: due"),
        (True, "appointment", "cancel: already-done"),
        (True, "preventive", "send: due"),
    ):
        mine = own(sent=(SentMessage(sent, topic, "sms", answered=answered),))
        found = look_again(nudge, chart(visit), mine, where=everything_on())
        assert reason_of(found) == said


# --- the waiting list --------------------------------------------------------------------------


def test_waiting_list_asks_staff_and_offers_a_time_only_where_switched_on() -> None:
    visit = appointment(status="waitlist")
    found = decide(WAITS, chart(visit))
    task = found["waitlist/offer-task"].task
    assert task is not None
    assert (task.reason, task.due_at) == ("waitlist-offer-task", NOW)
    assert reason_of(found["waitlist-offer/offer"]) == "cancel: plan-off"
    found = decide(WAITS, chart(visit), where=everything_on())
    offer = found["waitlist-offer/offer"]
    assert (reason_of(offer), offer.due_at) == ("send: due", NOW)
    assert offer.expires_at == NOW + timedelta(hours=2)
    assert "within 2 hours" in offer.text


def test_waiting_list_offer_ends_with_its_two_hours_or_the_list() -> None:
    visit = appointment(status="waitlist")
    found = decide(WAITS, chart(visit), where=everything_on())
    nudge = nudge_of(found["waitlist-offer/offer"])
    later = NOW + timedelta(hours=2)
    where = everything_on()
    late = look_again(nudge, chart(visit), at=later, where=where)
    assert reason_of(late) == "cancel: window-passed"
    booked = look_again(nudge, chart(appointment()), where=where)
    assert reason_of(booked) == "cancel: event-undone"
    evening = NOW + timedelta(hours=2, minutes=30)
    happened = event(EventKind.APPOINTMENT_WAITLISTED, "Appointment/visit", evening)
    read = chart(visit, read_at=evening)
    # Half past seven: the two hours reach past eight, and it still goes.
    found = decide(happened, read, at=evening, where=where)
    assert reason_of(found["waitlist-offer/offer"]) == "send: due"
    night = evening + timedelta(hours=1)
    happened = event(EventKind.APPOINTMENT_WAITLISTED, "Appointment/visit", night)
    found = decide(happened, chart(visit, read_at=night), at=night, where=where)
    assert reason_of(found["waitlist-offer/offer"]) == "cancel: window-passed"


def test_waiting_list_without_a_time_has_nothing_to_offer() -> None:
    visit = appointment(status="waitlist")
    del visit["start"]
    found = decide(WAITS, chart(visit), where=everything_on())
    assert reason_of(found["waitlist-offer/offer"]) == "not-due: not-applicable"
    assert found["waitlist/offer-task"].task is not None
    assert texts_of("waitlist-offer") == every_text_of("offer")


@pytest.mark.parametrize(
    ("plan", "messages"),
    [
        (
            "appointment-reminder",
            ("seven-days", "three-days", "one-day", "one-day-video"),
        ),
        ("no-show", ("rebook",)),
        ("visit-recall", ("offer", "offer-again")),
        ("visit-called-off", ("sorry",)),
    ],
)
def test_visit_texts_are_sound_in_five_languages(
    plan: str, messages: tuple[str, ...]
) -> None:
    assert texts_of(plan) == every_text_of(*messages)


@pytest.mark.parametrize(
    "plan",
    [
        "no-show",
        "video-visit",
        "visit-recall",
        "visit-called-off",
        "visit-preparation",
        "waitlist",
    ],
)
def test_visit_task_has_an_owner_and_says_what_to_do(plan: str) -> None:
    found = next(item for item in WHOLE.plans if item.id == plan)
    tasks = [item for item in found.actions if item.kind == "task"]
    assert tasks
    assert all(item.owner and item.text for item in tasks)


def test_visit_of_a_minor_is_left_to_a_person() -> None:
    read = chart(appointment(), person=patient(birthDate="2015-01-01"))
    found = decide(MOVED, read)["visit-moved/new-time"]
    assert reason_of(found) == "hold: minor"
