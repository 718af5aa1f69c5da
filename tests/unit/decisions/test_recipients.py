"""Whom a message is for: minors, proxies, one place only, shared numbers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mappings.consent import read_consents
from mappings.endpoint import EndpointKind
from mappings.event import EventKind
from mappings.preference import Bearer, PreferenceRecord, SentMessage, Who
from mappings.recipient import PURPOSE, read_addresses
from mappings.related import EMERGENCY, KINDS, PARENT, read_contacts
from middleware.decisions.deciding import Candidate
from tests.unit.decisions.story import (
    BOOKED,
    LIBRARY,
    MAIL,
    NOW,
    NUMBER,
    appointment,
    chart,
    consent,
    decide,
    endpoint,
    event,
    look_again,
    nudge_of,
    own,
    patient,
    reason_of,
)

MOTHER = "+13125550190"
ANA = "RelatedPerson/ana"
ROLE = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
SENSITIVE = {
    "security": [
        {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}
    ]
}


def person(code: str = "MTH", **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "resourceType": "RelatedPerson",
        "id": "ana",
        "meta": {"versionId": "4"},
        "active": True,
        "patient": {"reference": "Patient/rosa"},
        "name": [{"given": ["Ana"]}],
        "relationship": [{"coding": [{"system": ROLE, "code": code}]}],
        "telecom": [{"system": "sms", "value": MOTHER}],
        "communication": [
            {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "es"}]}}
        ],
    }
    return {name: value for name, value in (values | changes).items() if value != ...}


def child(born: str, **changes: Any) -> dict[str, Any]:
    return patient(birthDate=born, **changes)


def reminder(
    *resources: dict[str, Any],
    who: dict[str, Any] | None = None,
    visit: dict[str, Any] | None = None,
    **mine: Any,
) -> Candidate:
    read = chart(visit or appointment(), *resources, person=who)
    return decide(BOOKED, read, own(**mine))["appointment-reminder/three-days"]


def way(found: Candidate) -> tuple[str, str, str | None]:
    return reason_of(found), found.recipient, found.address


YES = consent(id="m", value=MOTHER)
NAMED = consent(id="n", value=MOTHER, actor=ANA)
TO_ANA = ("send: due", ANA, MOTHER)


@pytest.mark.parametrize("born", ["2020-01-01", "2012-01-01", "2008-11-21"])
def test_a_parent_is_written_to_in_place_of_a_minor(born: str) -> None:
    found = reminder(person(), who=child(born), consents=(YES,))
    assert way(found) == TO_ANA
    assert found.language == "es"
    assert found.key.endswith("|Patient/rosa")


@pytest.mark.parametrize(
    ("changes", "consents"),
    [
        ({"active": False}, (YES,)),
        ({"period": {"end": "2026-11-01"}}, (YES,)),
        ({"period": {"start": "2026-12-01"}}, (YES,)),
        ({"code": "C"}, (YES,)),
        ({"code": "STPPRN"}, (YES,)),
        ({"code": "GRPRN"}, (NAMED,)),
        ({"telecom": []}, (YES,)),
        ({}, ()),
        ({}, (consent(),)),
        ({}, (YES, consent(id="no", value=MOTHER, patient=None, permit=False))),
        ({}, (NAMED, consent(id="no", system="*", value="*", actor=ANA, permit=False))),
    ],
)
def test_where_nobody_may_be_reached_a_person_decides_about_a_minor(
    changes: dict[str, Any], consents: tuple[Any, ...]
) -> None:
    changes = dict(changes)
    beside = person(changes.pop("code", "MTH"), **changes)
    found = reminder(beside, who=child("2015-01-01"), consents=consents)
    assert reason_of(found) == "hold: minor"
    assert found.task is not None


def test_nothing_sensitive_about_a_minor_goes_to_a_parent() -> None:
    visit = appointment(meta=SENSITIVE)
    found = reminder(
        person(), who=child("2012-01-01"), visit=visit, consents=(YES, consent())
    )
    assert reason_of(found) == "hold: sensitive"


def test_a_number_on_a_teens_chart_is_never_used_as_the_teens() -> None:
    found = reminder(who=child("2012-01-01"), consents=(consent(),))
    assert reason_of(found) == "hold: minor"


def test_a_parents_place_ends_on_the_eighteenth_birthday() -> None:
    eve, birthday = child("2008-11-21"), child("2008-11-20")
    named = (NAMED, replace(NAMED, id="w", system="*", value="*"))
    assert way(reminder(person(), who=eve, consents=named)) == TO_ANA
    grown = reminder(person(), who=birthday, consents=named)
    assert reason_of(grown) == "hold: no-consent"


def test_a_parents_number_on_the_chart_of_somebody_grown_up_stays_the_parents() -> None:
    telecom = [{"system": "sms", "value": MOTHER}]
    grown = child("2008-11-20", telecom=telecom)
    ended = person(active=False)
    assert reason_of(reminder(ended, who=grown, consents=(YES,))) == "hold: no-consent"
    since = replace(YES, recorded_at=NOW)
    assert way(reminder(ended, who=grown, consents=(since,))) == (
        "send: due",
        "Patient/rosa",
        MOTHER,
    )


def test_an_adults_proxy_needs_a_yes_that_names_them() -> None:
    nobody = patient(telecom=[])
    daughter = person("CHILD")
    assert reason_of(reminder(daughter, who=nobody, consents=(YES,))) == (
        "hold: no-address"
    )
    found = reminder(daughter, who=nobody, consents=(NAMED,))
    assert way(found) == TO_ANA
    named = {item.reference for item in found.verdict.facts}
    assert {ANA, "ConsentRecord/n"} <= named


def test_the_patient_comes_first_and_the_named_proxy_where_the_number_is_bad() -> None:
    both = (consent(), NAMED)
    assert reminder(person("CHILD"), consents=both).recipient == "Patient/rosa"
    bad = frozenset({("sms", NUMBER), ("email", MAIL)})
    found = reminder(person("CHILD"), consents=both, bad_addresses=bad)
    assert way(found) == TO_ANA


def test_who_said_no_is_not_written_to_through_somebody_else() -> None:
    stop = consent(id="s", patient=None, permit=False, recorded_at=NOW)
    found = reminder(person("CHILD"), consents=(consent(), NAMED, stop))
    assert reason_of(found) == "hold: opted-out"


def test_the_patients_own_order_of_people_counts() -> None:
    wish = PreferenceRecord("recipients", [ANA], Who.PATIENT, "asked", NOW)
    both = (consent(), NAMED)
    assert way(reminder(person("SPS"), consents=both, preferences=(wish,))) == TO_ANA


def test_a_yes_for_a_proxy_is_none_for_the_patients_own_number() -> None:
    record = consent(actor=ANA)
    assert reason_of(reminder(person("SPS"), consents=(record,))) == "hold: no-consent"


def test_revoking_a_proxy_holds_at_once_and_at_send_time() -> None:
    nobody = patient(telecom=[])
    read = chart(appointment(), person("CHILD"), person=nobody)
    planned = decide(BOOKED, read, own(consents=(NAMED,)))
    nudge = nudge_of(planned["appointment-reminder/three-days"])
    assert nudge.recipient == ANA
    sent = look_again(nudge, read, own(consents=(NAMED,)))
    assert (reason_of(sent), sent.recipient) == ("send: due", ANA)
    no = consent(id="r", system="*", value="*", actor=ANA, permit=False)
    no = replace(no, recorded_at=NOW)
    held = look_again(nudge, read, own(consents=(NAMED, no)))
    assert reason_of(held) == "hold: opted-out"
    ended = chart(appointment(), person("CHILD", active=False), person=nobody)
    assert look_again(nudge, ended, own(consents=(NAMED,))).verdict.reason == (
        "no-address"
    )


def test_hours_hold_in_the_zone_of_whoever_gets_it() -> None:
    away = person(telecom=[{"system": "sms", "value": "+14155550190"}])
    yes = consent(id="m", value="+14155550190")
    born = child("2015-01-01")
    visit = appointment(start="2026-12-02T09:30:00-06:00")
    found = reminder(away, who=born, visit=visit, consents=(yes,))
    local = reminder(person(), who=born, visit=visit, consents=(YES,))
    assert found.due_at - local.due_at == timedelta(hours=2)


# --- one place only ---------------------------------------------------------------


def only(value: Any, who: Who = Who.PATIENT, days: int = -1) -> PreferenceRecord:
    at = NOW + timedelta(days=days)
    return PreferenceRecord("confidential", value, who, "asked", at)


PLACE = {"system": "sms", "value": "(312) 555-0177", "note": "work break"}


def test_only_the_place_that_was_asked_for_is_used() -> None:
    mine = {"consents": (consent(), NAMED), "preferences": (only(PLACE),)}
    found = reminder(person("SPS"), **mine)
    assert (found.channel, found.address) == ("sms", "+13125550177")
    assert found.recipient == "Patient/rosa"
    assert "Rosa" not in found.text


@pytest.mark.parametrize(
    "place",
    [
        {"system": "sms", "value": "nowhere"},
        {"system": "letter", "value": "a box"},
        {},
    ],
)
def test_without_a_usable_place_staff_reach_out(place: dict[str, str]) -> None:
    found = reminder(preferences=(only(place),))
    assert reason_of(found) == "hold: confidential"
    assert found.task is not None


def test_there_is_no_way_round_the_place_that_was_asked_for() -> None:
    bad = frozenset({("sms", "+13125550177")})
    found = reminder(preferences=(only(PLACE),), bad_addresses=bad)
    assert reason_of(found) == "hold: confidential"
    stop = consent(id="s", value="+13125550177", patient=None, permit=False)
    stop = replace(stop, recorded_at=NOW)
    found = reminder(preferences=(only(PLACE),), consents=(consent(), stop))
    assert reason_of(found) == "hold: opted-out"


def test_a_request_stands_until_as_strong_a_voice_takes_it_back() -> None:
    weaker = only(None, Who.STAFF, 0)
    found = reminder(preferences=(only(PLACE), weaker))
    assert found.address == "+13125550177"
    found = reminder(preferences=(only(PLACE), only(None, days=0)))
    assert found.address == NUMBER


def test_a_flag_without_a_place_leaves_it_to_staff() -> None:
    flag = {
        "resourceType": "Flag",
        "id": "f",
        "status": "active",
        "subject": {"reference": "Patient/rosa"},
        "code": {"text": "Confidential communication requested"},
    }
    assert reason_of(reminder(flag)) == "hold: confidential"
    assert reminder({**flag, "status": "inactive"}).verdict.reason == "due"
    assert reminder(flag, preferences=(only(PLACE),)).address == "+13125550177"


# --- shared numbers ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("bearer", "named"),
    [
        (Bearer("sms", NUMBER, "north", NOW.date()), False),
        (Bearer("sms", NUMBER, "north", None), False),
        (Bearer("sms", NUMBER, "north", NOW.date() + timedelta(days=1)), True),
        (Bearer("email", MAIL, "north", None), True),
    ],
)
def test_no_name_goes_to_a_number_that_another_adult_has(
    bearer: Bearer, named: bool
) -> None:
    found = reminder(bearers=(bearer,))
    assert ("Rosa" in found.text) is named


def test_the_same_birthday_in_another_ehr_is_the_same_person() -> None:
    born = patient()["birthDate"]
    assert born == "1961-03-02"
    same = Bearer("sms", NUMBER, "south", NOW.date().replace(1979, 3, 2))
    assert "Rosa" in reminder(bearers=(same,)).text
    other = replace(same, adult_from=NOW.date().replace(1979, 3, 3))
    assert "Rosa" not in reminder(bearers=(other,)).text


# --- channels and places ----------------------------------------------------------


def order(name: str, *channels: str) -> PreferenceRecord:
    return PreferenceRecord(name, list(channels), Who.PATIENT, "asked", NOW)


BOTH = (consent(), consent(id="e", system="email", value=MAIL))


def test_a_topic_goes_by_its_own_channels_and_what_is_urgent_by_its_own() -> None:
    wishes = (order("channels:appointment", "email"), order("channels:urgent", "sms"))
    found = reminder(consents=BOTH, preferences=wishes)
    assert found.channel == "email"
    moved = event(EventKind.APPOINTMENT_NOSHOW, "Appointment/visit")
    missed = appointment(
        status="noshow",
        start="2026-11-20T09:30:00-06:00",
        end="2026-11-20T10:00:00-06:00",
    )
    plans = decide(moved, chart(missed), own(consents=BOTH, preferences=wishes))
    assert plans["no-show/rebook"].channel == "sms"


def test_what_was_ranked_first_in_the_chart_is_tried_first() -> None:
    telecom = [
        {"system": "sms", "value": NUMBER, "rank": 2},
        {"system": "email", "value": MAIL, "rank": 1},
    ]
    assert reminder(who=patient(telecom=telecom), consents=BOTH).channel == "email"


def test_the_number_named_for_the_topic_comes_first() -> None:
    concept = {
        "coding": [
            {
                "system": "https://carecue.example.org/fhir/CodeSystem/topic",
                "code": "appointment",
            }
        ]
    }
    purpose = [{"url": PURPOSE, "valueCodeableConcept": concept}]
    telecom = [
        {"system": "sms", "value": NUMBER, "rank": 1},
        {"system": "sms", "value": MOTHER, "rank": 2, "extension": purpose},
    ]
    both = (consent(), YES)
    found = reminder(who=patient(telecom=telecom), consents=both)
    assert found.address == MOTHER


def test_of_equal_numbers_the_newest_comes_first() -> None:
    telecom = [
        {"system": "sms", "value": NUMBER, "period": {"start": "2020-01-01"}},
        {"system": "sms", "value": MOTHER, "period": {"start": "2026-01-01"}},
        {"system": "sms", "value": "+13125550191"},
    ]
    found = read_addresses(patient(telecom=telecom), NOW)
    assert [item.value for item in found] == [MOTHER, NUMBER, "+13125550191"]


def test_a_step_that_asks_for_another_channel_uses_none_that_was_used() -> None:
    read = chart(appointment())
    planned = decide(BOOKED, read, own(consents=BOTH))
    first = planned["appointment-reminder/three-days"]
    nudge = nudge_of(first)
    about = (nudge.plan, nudge.focus, nudge.occasion)
    plan = next(item for item in LIBRARY.plans if item.url == nudge.plan)
    other = replace(
        plan, actions=tuple(replace(a, other_channel=True) for a in plan.actions)
    )
    library = replace(LIBRARY, plans=(other,))
    mine = own(consents=BOTH, sent=(sent_by("sms", about),))
    assert look_again(nudge, read, mine, library=library).channel == "email"
    tried = own(consents=BOTH, sent=(sent_by("sms", about), sent_by("email", about)))
    assert reason_of(look_again(nudge, read, tried, library=library)) == (
        "hold: no-address"
    )


def sent_by(channel: str, about: tuple[str, str, str]) -> Any:

    return SentMessage(NOW - timedelta(days=1), "appointment", channel, about=about)


# --- what the chart says ----------------------------------------------------------


def test_kinds_of_people_are_told_apart() -> None:
    assert (KINDS["MTH"], KINDS["C"]) == (PARENT, EMERGENCY)
    (found,) = read_contacts([person("MTH")], NOW)
    assert (found.kinds, found.name) == (frozenset({PARENT}), "Ana")


def test_consents_of_the_chart_that_name_a_person_are_about_them() -> None:
    resource = {
        "resourceType": "Consent",
        "id": "k",
        "status": "active",
        "scope": {"coding": [{"code": "patient-privacy"}]},
        "dateTime": "2026-11-02",
        "provision": {
            "type": "permit",
            "actor": [{"reference": {"reference": ANA}}],
            "provision": [{"type": "deny", "code": [_topic("billing")]}],
        },
    }
    found = read_consents([resource], "north", "Patient/rosa", NOW)
    assert [(i.actor, i.system, i.topic, i.permit) for i in found] == [
        (ANA, "*", "*", True),
        (ANA, "*", "billing", False),
    ]
    research = {**resource, "scope": {"coding": [{"code": "research"}]}}
    research["provision"] = {"type": "permit", "actor": resource["provision"]["actor"]}
    assert read_consents([research], "north", "Patient/rosa", NOW) == ()


def _topic(code: str) -> dict[str, Any]:
    system = "https://carecue.example.org/fhir/CodeSystem/topic"
    return {"coding": [{"system": system, "code": code}]}


def test_outside_production_a_proxy_must_be_listed_too() -> None:

    read = chart(appointment(), person(), person=child("2015-01-01"))
    where = endpoint(kind=EndpointKind.TEST, allow_list=(NUMBER,))
    found = decide(BOOKED, read, own(consents=(YES,)), where=where)
    assert reason_of(found["appointment-reminder/three-days"]) == (
        "hold: not-allow-listed"
    )
