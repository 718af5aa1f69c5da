"""Welcome, survey, yearly question and birthday: once, at the right time, to the right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mappings.event import EventKind
from mappings.preference import PreferenceRecord, SentMessage, Who
from middleware.decisions.candidate import Candidate
from middleware.decisions.deciding import decide_event
from tests.unit.decisions.story import (
    MAIL,
    NOW,
    appointment,
    chart,
    condition,
    consent,
    encounter,
    endpoint,
    event,
    look_again,
    nudge_of,
    only,
    own,
    patient,
    reason_of,
    review,
    weigh,
)

NO, DUE = "not-due: not-applicable", "send: due"
ADDED = event(EventKind.PATIENT_ADDED, "Patient/rosa")
VISIT = event(EventKind.APPOINTMENT_BOOKED, "Appointment/visit")
LEFT = event(EventKind.ENCOUNTER_DISCHARGED, "Encounter/stay")


def local(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}-06:00").astimezone(UTC)


def office(**changes: Any) -> dict[str, Any]:
    values = {
        "class": {"code": "AMB"},
        "period": {"end": "2026-11-20T15:30:00-06:00"},
        "disposition": None,
    }
    return encounter(**(values | changes))


def decided(
    plan: str, *resources: Any, what: Any, mine: Any = None, person: Any = None
) -> list[Candidate]:
    read = chart(*resources, person=person)
    return list(decide_event(what, read, mine or own(), only(plan), endpoint(), NOW))


# --- welcome --------------------------------------------------------------------------


@pytest.mark.parametrize("what", [ADDED, VISIT])
def test_a_new_patient_with_a_first_visit_is_welcomed_in_three_steps(what: Any) -> None:
    found = decided("welcome", appointment(), what=what)
    assert {item.action.id: (reason_of(item), item.due_at) for item in found} == {
        "reach": (DUE, local("2026-11-20T18:00")),
        "online": (DUE, local("2026-11-23T18:00")),
        "services": (DUE, local("2026-11-30T18:00")),
    }
    assert {(item.focus, item.occasion) for item in found} == {("Patient/rosa", "once")}


@pytest.mark.parametrize(
    "resources",
    [
        (),
        (appointment(status="cancelled"),),
        (appointment(), office(period={"end": "2026-10-20T15:30:00-06:00"})),
        (
            appointment(),
            appointment(
                id="old", status="fulfilled", start="2021-10-20T15:30:00-06:00"
            ),
        ),
    ],
)
def test_who_is_not_new_or_has_no_visit_is_not_welcomed(
    resources: tuple[Any, ...],
) -> None:
    found = decided("welcome", *resources, what=ADDED)
    assert {reason_of(item) for item in found} == {NO}


def test_after_the_first_visit_the_welcome_goes_on() -> None:
    last = decided(
        "welcome", appointment(start="2026-11-24T09:30:00-06:00"), what=ADDED
    )[-1]
    kept = (
        appointment(status="fulfilled", start="2026-11-24T09:30:00-06:00"),
        office(period={"end": "2026-11-24T10:00:00-06:00"}),
    )
    again = look_again(nudge_of(last), chart(*kept), library=only("welcome"))
    assert reason_of(again) == DUE
    away = chart(appointment(status="cancelled"))
    again = look_again(nudge_of(last), away, library=only("welcome"))
    assert reason_of(again) == NO


def test_who_said_nothing_about_texts_is_not_texted() -> None:
    found = decided("welcome", appointment(), what=ADDED, mine=own(consents=()))
    assert {reason_of(item) for item in found} == {"hold: no-consent"}
    mail = own(consents=(consent(system="email", value=MAIL),))
    assert (
        decided("welcome", appointment(), what=ADDED, mine=mail)[0].channel == "email"
    )


def test_a_child_is_not_welcomed_by_text() -> None:
    child = patient(birthDate="2015-01-01")
    found = decided("welcome", appointment(), what=ADDED, person=child)
    assert {reason_of(item) for item in found} == {NO}


def test_every_text_of_the_welcome_has_one_question_at_most() -> None:
    found = decided("welcome", appointment(), what=ADDED)
    assert all(item.text.count("?") <= 1 for item in found)


# --- survey ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("visit", "expected"),
    [
        (office(), DUE),
        (office(**{"class": {"code": "VR"}}), DUE),
        (encounter(), NO),
        (encounter(**{"class": {"code": "EMER"}}), NO),
        (office(status="cancelled"), "cancel: event-undone"),
    ],
)
def test_an_office_visit_is_asked_about(visit: Any, expected: str) -> None:
    assert weigh("visit-survey", chart(visit), what=LEFT) == {"ask": expected}


def test_it_is_asked_one_to_three_days_later() -> None:
    found = decided("visit-survey", office(), what=LEFT)[0]
    assert found.due_at == local("2026-11-21T15:30")
    assert found.expires_at == local("2026-11-23T15:30")


@pytest.mark.parametrize(("days", "expected"), [(29, NO), (31, DUE)])
def test_at_most_one_survey_in_30_days(days: int, expected: str) -> None:
    sent = own(sent=(SentMessage(NOW - timedelta(days=days), "survey", "sms"),))
    assert weigh("visit-survey", chart(office()), sent, what=LEFT) == {"ask": expected}


# --- is this still the best way -------------------------------------------------------


def said(days: float, who: Who = Who.PATIENT) -> PreferenceRecord:
    moment = NOW - timedelta(days=days)
    return PreferenceRecord("channels", ["sms"], who, "asked", moment)


@pytest.mark.parametrize(
    ("answered", "preferences", "expected"),
    [
        (366, (), DUE),
        (364, (), NO),
        (900, (said(366),), DUE),
        (900, (said(364),), NO),
        (900, (said(30, Who.STAFF),), DUE),
    ],
)
def test_once_a_year_it_is_asked_whether_it_still_holds(
    answered: int, preferences: tuple[PreferenceRecord, ...], expected: str
) -> None:
    yes = consent(recorded_at=NOW - timedelta(days=answered))
    mine = own(consents=(yes,), preferences=preferences)
    assert weigh("confirm-preferences", chart(), mine) == {"ask": expected}


def test_who_never_said_anything_is_not_asked_whether_it_still_holds() -> None:
    mine = own(consents=(consent(who=Who.STAFF),))
    assert weigh("confirm-preferences", chart(), mine) == {"ask": NO}


def test_it_is_not_asked_twice_in_a_year() -> None:
    sent = SentMessage(
        NOW - timedelta(days=200),
        "welcome",
        "sms",
        about=("confirm-preferences", "", "x"),
    )
    old = consent(recorded_at=NOW - timedelta(days=700))
    mine = own(consents=(old,), sent=(sent,))
    assert weigh("confirm-preferences", chart(), mine) == {"ask": NO}


# --- birthday -------------------------------------------------------------------------


def wanted(**changes: Any) -> Any:
    return own(consents=(consent(), consent(id="c2", topic="social", **changes)))


def test_who_asked_for_greetings_gets_one_at_ten_in_the_morning() -> None:
    found = decided("birthday", what=review(), mine=wanted())[0]
    assert reason_of(found) == DUE
    assert found.due_at == local("2027-03-02T10:00")
    assert found.expires_at == local("2027-03-02T19:00")
    assert found.occasion == "2027"
    assert "happy birthday, Rosa" in found.text
    assert not any(sign.isdigit() for sign in found.text)


@pytest.mark.parametrize(
    "mine",
    [
        own(),
        wanted(permit=False),
        wanted(who=Who.STAFF),
    ],
)
def test_nobody_is_greeted_who_did_not_ask_for_it(mine: Any) -> None:
    assert weigh("birthday", chart(), mine) == {"greet": NO}


def test_a_later_no_ends_the_greetings() -> None:
    early = consent(id="c2", topic="social", recorded_at=NOW - timedelta(days=90))
    late = consent(id="c3", topic="social", permit=False)
    mine = own(consents=(late, consent(), early))
    assert weigh("birthday", chart(), mine) == {"greet": NO}


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (chart(person=patient(birthDate="2010-03-02")), NO),
        (chart(person=patient(deceasedBoolean=True)), "cancel: deceased"),
        (
            chart(condition("O03.9", recordedDate="2026-03-01")),
            "cancel: pregnancy-loss",
        ),
        (chart(condition("O03.9", recordedDate="2024-03-01")), DUE),
        (chart(condition("Z51.5")), NO),
        (
            chart(condition("385763009", "http://snomed.info/sct")),
            "cancel: hospice",
        ),
        (chart(incomplete=("Condition",)), "hold: ehr-unreachable"),
    ],
)
def test_whom_a_greeting_would_hurt_is_never_greeted(read: Any, expected: str) -> None:
    assert weigh("birthday", read, wanted()) == {"greet": expected}


@pytest.mark.parametrize(
    ("born", "day"),
    [
        ("1961-11-20", "2026-11-20"),
        ("1961-11-19", "2027-11-19"),
        ("1960-02-29", "2027-02-28"),
    ],
)
def test_which_birthday_is_the_next(born: str, day: str) -> None:
    person = patient(birthDate=born)
    found = decided("birthday", what=review(), mine=wanted(), person=person)
    assert [item.expires_at for item in found] == [local(f"{day}T19:00")]


@pytest.mark.parametrize("born", ["1961", "1961-03", "soon", ...])
def test_without_a_whole_date_there_is_no_birthday(born: Any) -> None:
    person = patient(birthDate=born)
    assert decided("birthday", what=review(), mine=wanted(), person=person) == []
