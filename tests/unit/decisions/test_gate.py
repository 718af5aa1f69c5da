"""The gate at send time: hours, limits, pauses and windows for the present instant."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mappings.content import load_shipped
from mappings.nudge import REASONS, Nudge
from mappings.preference import PreferenceRecord, SentMessage, Who
from tests.unit.decisions.story import (
    BOOKED,
    DISCHARGED,
    LIBRARY,
    MAIL,
    NOW,
    SITE,
    appointment,
    chart,
    consent,
    decide,
    encounter,
    endpoint,
    look_again,
    nudge_of,
    own,
    patient,
    reason_of,
)


def said(name: str, value: Any, who: Who = Who.PATIENT) -> PreferenceRecord:
    return PreferenceRecord(name, value, who, "asked", NOW)


def planned(read: Any = None) -> Nudge:
    found = decide(DISCHARGED, read or chart(encounter()))
    return nudge_of(found["post-discharge/check-in"])


def local(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}-06:00").astimezone(UTC)


def test_send_in_hours_writes_the_text() -> None:
    found = look_again(planned(), chart(encounter()))
    assert reason_of(found) == "send: due"
    assert found.text == (
        "Northside Clinic: checking in after your stay. Reply 1 if OK, 2 if you want a "
        "call. Not monitored 24/7; emergency call 911. (312) 555-0100. STOP to end"
    )
    assert (found.channel, found.language, found.subject) == (
        "sms",
        "en",
        "Checking in",
    )


def test_send_outside_hours_waits_for_the_opening() -> None:
    found = look_again(planned(), chart(encounter()), at=local("2026-11-21T21:00"))
    assert reason_of(found) == "hold: outside-hours"
    assert found.verdict.until == found.due_at == local("2026-11-22T12:00")


def test_send_after_the_last_opening_is_over() -> None:
    found = look_again(planned(), chart(encounter()), at=local("2026-11-23T17:00"))
    assert reason_of(found) == "cancel: window-passed"
    late = look_again(
        replace(planned(), expires_at=local("2026-11-22T08:00")),
        chart(encounter()),
        at=local("2026-11-21T21:00"),
    )
    assert reason_of(late) == "cancel: window-passed"


def test_hold_before_the_window_ended_keeps_its_reason() -> None:
    found = look_again(
        planned(), chart(encounter()), own(consents=()), at=local("2026-11-24T17:00")
    )
    assert reason_of(found) == "hold: no-consent"


def test_planning_moves_due_into_the_patients_own_hours() -> None:
    mine = own(preferences=(said("window", [17, 19]),))
    found = decide(DISCHARGED, chart(encounter()), mine)["post-discharge/check-in"]
    assert found.due_at == local("2026-11-21T17:00")


def test_limit_holds_until_the_next_days_opening() -> None:
    sent = (SentMessage(local("2026-11-21T10:00"), "care-plan", "sms"),)
    found = look_again(planned(), chart(encounter()), own(sent=sent))
    assert reason_of(found) == "hold: limit-reached"
    assert found.verdict.until == local("2026-11-22T12:00")


def test_limit_beyond_the_window_is_over() -> None:
    sent = tuple(
        SentMessage(local(f"2026-11-{day}T10:00"), "care-plan", "sms")
        for day in (18, 19, 20)
    )
    found = look_again(planned(), chart(encounter()), own(sent=sent))
    assert reason_of(found) == "cancel: window-passed"


def test_limit_of_the_week_does_not_hold_visit_reminders() -> None:
    sent = tuple(
        SentMessage(local(f"2026-{day}T10:00"), "care-plan", "sms")
        for day in ("11-29", "11-30", "12-01")
    )
    reminder = nudge_of(
        decide(BOOKED, chart(appointment()))["appointment-reminder/one-day"]
    )
    found = look_again(reminder, chart(appointment()), own(sent=sent))
    assert reason_of(found) == "send: due"
    other = (SentMessage(local("2026-12-01T09:05"), "appointment", "sms"),)
    again = look_again(reminder, chart(appointment()), own(sent=other))
    assert reason_of(again) == "cancel: window-passed"


def test_reminder_cancelled_one_second_before_is_not_sent() -> None:
    reminder = nudge_of(
        decide(BOOKED, chart(appointment()))["appointment-reminder/one-day"]
    )
    gone = chart(appointment(status="cancelled"))
    assert reason_of(look_again(reminder, gone)) == "cancel: appointment-cancelled"


def test_stale_chart_holds() -> None:
    from middleware.decisions.deciding import decide_nudge

    nudge = planned()
    read = chart(encounter(), read_at=nudge.due_at - timedelta(seconds=61))
    found = decide_nudge(
        nudge, read, own(), LIBRARY, endpoint(), nudge.due_at, at_send=True
    )
    assert reason_of(found) == "hold: facts-stale"


def test_pause_holds_until_it_ends() -> None:
    until = "2026-11-22T00:00:00Z"
    paused = own(preferences=(said("pause", {"until": until, "why": "away"}),))
    found = look_again(planned(), chart(encounter()), paused)
    assert reason_of(found) == "hold: paused"
    assert found.verdict.until == datetime.fromisoformat(until)
    later = look_again(
        planned(), chart(encounter()), paused, at=local("2026-11-22T13:00")
    )
    assert reason_of(later) == "send: due"


def test_pause_without_end_holds_and_resuming_releases() -> None:
    open_end = said("pause", {"until": None, "why": "asked"})
    paused = own(preferences=(open_end,))
    assert (
        reason_of(look_again(planned(), chart(encounter()), paused)) == "hold: paused"
    )
    resumed = replace(open_end, value=None, recorded_at=NOW + timedelta(hours=1))
    found = look_again(
        planned(), chart(encounter()), own(preferences=(open_end, resumed))
    )
    assert reason_of(found) == "send: due"


@pytest.mark.parametrize(
    ("communication", "expected"),
    [
        (..., "hold: language-missing"),
        ([], "hold: language-missing"),
        ([{"language": {"text": "English"}}], "hold: language-missing"),
        ([{"language": {"coding": [{"code": "es"}]}}], "send: due"),
        ([{"language": {"coding": [{"code": "es-MX"}]}}], "send: due"),
        ([{"language": {"coding": [{"code": "fr"}]}}], "hold: wording-missing"),
        ([{"language": {"coding": [{"code": "vi"}]}}], "hold: wording-not-reviewed"),
        (
            [
                {"language": {"coding": [{"code": "es"}]}},
                {"language": {"coding": [{"code": "en"}]}},
            ],
            "hold: language-missing",
        ),
        (
            [
                {"language": {"coding": [{"code": "es"}]}, "preferred": True},
                {"language": {"coding": [{"code": "en"}]}},
            ],
            "send: due",
        ),
    ],
)
def test_language_decides_the_wording(communication: Any, expected: str) -> None:
    person = patient(communication=communication)
    found = decide(DISCHARGED, chart(encounter(), person=person))
    candidate = found["post-discharge/check-in"]
    assert reason_of(candidate) == expected
    if expected == "send: due":
        assert candidate.text.startswith("Northside Clinic: le escribimos")


def test_wording_nobody_approved_is_held() -> None:
    spanish = own(preferences=(said("language", "es"),))
    found = decide(DISCHARGED, chart(encounter()), spanish, library=load_shipped())[
        "post-discharge/check-in"
    ]
    assert reason_of(found) == "hold: wording-not-reviewed"


def test_own_language_beats_the_chart() -> None:
    spanish = own(preferences=(said("language", "es"),))
    found = decide(DISCHARGED, chart(encounter()), spanish)["post-discharge/check-in"]
    assert (found.language, found.text[:32]) == (
        "es",
        "Northside Clinic: le escribimos ",
    )


def test_zone_missing_holds() -> None:
    person = patient(
        address=..., telecom=[{"system": "email", "value": MAIL, "rank": 1}]
    )
    mine = own(consents=(consent(system="email", value=MAIL),))
    found = decide(DISCHARGED, chart(encounter(), person=person), mine)
    assert reason_of(found["post-discharge/check-in"]) == "hold: zone-missing"
    stated = own(consents=mine.consents, preferences=(said("zone", CHICAGO),))
    found = decide(DISCHARGED, chart(encounter(), person=person), stated)
    assert reason_of(found["post-discharge/check-in"]) == "send: due"


CHICAGO = "America/Chicago"


def test_zones_that_differ_must_all_be_open() -> None:
    person = patient(address=[{"state": "CA"}])  # and a number of Chicago
    read = chart(encounter(), person=person)
    found = look_again(planned(read), read, at=local("2026-11-22T13:00"))
    assert found.due_at == local("2026-11-22T14:00")  # a Sunday's noon in Los Angeles
    evening = look_again(planned(read), read, at=local("2026-11-21T20:30"))
    assert reason_of(evening) == "hold: outside-hours"  # past 8 in Chicago


def test_channel_order_and_bad_addresses_route() -> None:
    both = (consent(), consent(id="m", system="email", value=MAIL))
    mine = own(consents=both, preferences=(said("channels", ["email", "sms"]),))
    read = chart(encounter())
    assert decide(DISCHARGED, read, mine)["post-discharge/check-in"].channel == "email"
    bounced = replace(mine, bad_addresses=frozenset({("email", MAIL)}))
    found = decide(DISCHARGED, read, bounced)["post-discharge/check-in"]
    assert found.channel == "sms"
    nothing = own(bad_addresses=frozenset({("sms", "+13125550142")}), consents=both[:1])
    found = decide(DISCHARGED, read, nothing)["post-discharge/check-in"]
    assert reason_of(found) == "hold: no-consent"


def test_screen_is_used_when_the_patient_chose_it() -> None:
    mine = own(consents=(), preferences=(said("channels", ["screen"]),))
    found = decide(DISCHARGED, chart(encounter()), mine)["post-discharge/check-in"]
    assert (reason_of(found), found.channel, found.address) == (
        "send: due",
        "screen",
        "Patient/rosa",
    )


def test_no_address_says_so() -> None:
    person = patient(telecom=[{"system": "phone", "value": "call me", "use": "home"}])
    found = decide(DISCHARGED, chart(encounter(), person=person))
    assert reason_of(found["post-discharge/check-in"]) == "hold: no-address"


def test_refused_wording_names_the_fault_not_the_text() -> None:
    site = replace(SITE, name="Northside Cardiology")
    found = decide(DISCHARGED, chart(encounter()), where=endpoint(site=site))
    candidate = found["post-discharge/check-in"]
    assert reason_of(candidate) == "hold: wording-refused"
    assert candidate.verdict.detail == (
        "a word may reveal a diagnosis, medicine, test or specialty"
    )


def test_facts_name_resource_version_and_element() -> None:
    facts = decide(DISCHARGED, chart(encounter()))["post-discharge/check-in"]
    named = {(item.reference, item.path): item for item in facts.verdict.facts}
    expected = {
        ("Encounter/stay", "status"): ("2", "finished"),
        ("Encounter/stay", "class.code"): ("2", "IMP"),
        ("Encounter/stay", "hospitalization.dischargeDisposition.coding"): (
            "2",
            "home",
        ),
        ("Patient/rosa", "Patient.communication[0].language"): ("3", "en"),
        ("Patient/rosa", "Patient.address[0]"): ("3", CHICAGO),
        ("Patient/rosa", "Patient.telecom[0]"): ("3", "sms"),
        ("ConsentRecord/c1", "provision[sms, *]"): (
            None,
            "permit, 2026-10-21, asked at the desk",
        ),
    }
    assert {key: (named[key].version, named[key].value) for key in expected} == expected


def test_deciding_twice_gives_the_same() -> None:
    read = chart(encounter(), appointment())
    assert decide(DISCHARGED, read) == decide(DISCHARGED, read)


def test_sentences_say_why_and_what_stops_it() -> None:
    found = decide(DISCHARGED, chart(encounter()))["post-discharge/check-in"]
    assert f"{found.why} {found.stops}" == (
        "Left hospital Nov 20, going home. Asks how Rosa is. Stops if Rosa is admitted "
        "again."
    )


def test_key_leaves_the_plans_version_out() -> None:
    plans = tuple(replace(item, version="9.0.0") for item in LIBRARY.plans)
    newer = replace(LIBRARY, plans=plans)
    read = chart(encounter())
    one, other = decide(DISCHARGED, read), decide(DISCHARGED, read, library=newer)
    assert [item.key for item in one.values()] == [item.key for item in other.values()]


def test_every_verdict_uses_a_known_reason() -> None:
    for read in (chart(encounter()), chart(), chart(encounter(disposition="exp"))):
        for found in decide(DISCHARGED, read).values():
            reason = REASONS[found.verdict.reason]
            assert reason.outcome is found.verdict.outcome


def test_old_stays_of_a_newly_connected_ehr_ask_for_nothing() -> None:
    period = {"start": "2021-03-01T10:00:00Z", "end": "2021-03-04T10:00:00Z"}
    for disposition in ("home", "exp", None):
        stay = encounter(disposition=disposition, period=period)
        found = decide(DISCHARGED, chart(stay))
        assert {item.task for item in found.values()} == {None}
        outcomes = {item.verdict.outcome.value for item in found.values()}
        assert outcomes <= {"cancel", "not-due"}
    found = decide(DISCHARGED, chart(encounter(period=period)))
    assert reason_of(found["post-discharge/check-in"]) == "cancel: window-passed"


def test_a_stay_moved_to_another_chart_is_not_told_to_the_first_patient() -> None:
    nudge = planned()
    moved = encounter(subject={"reference": "Patient/ben"})
    found = look_again(nudge, chart(moved))
    assert reason_of(found) == "cancel: event-undone"
    assert "ben" not in str(found.verdict.facts)


def test_a_stay_of_the_same_id_under_an_unknown_base_is_held_and_not_undone() -> None:
    nudge = planned()
    far = "https://elsewhere.example/fhir/Patient"
    same = encounter(subject={"reference": f"{far}/rosa"})
    found = look_again(nudge, chart(same))
    assert reason_of(found) == "hold: data-missing"
    assert "elsewhere" not in str(found.verdict.facts)
    other = encounter(subject={"reference": f"{far}/ben"})
    assert reason_of(look_again(nudge, chart(other))) == "cancel: event-undone"
