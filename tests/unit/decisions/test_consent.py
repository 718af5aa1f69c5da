"""Consent per contact point and topic: deny wins, unknown is not yes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mappings.consent import read_consents
from mappings.preference import ConsentRecord, Who
from middleware.decisions.consent import Asked, choose_permission
from tests.unit.decisions.consents import resource
from tests.unit.decisions.story import (
    DISCHARGED,
    MAIL,
    NOW,
    NUMBER,
    chart,
    consent,
    decide,
    encounter,
    own,
    reason_of,
)


def later(days: int, **changes: Any) -> ConsentRecord:
    at = NOW - timedelta(days=30) + timedelta(days=days)
    return consent(**({"id": f"c{days}", "recorded_at": at} | changes))


def permission(*records: ConsentRecord, topic: str = "appointment") -> str:
    asked = Asked("Patient/rosa", "sms", NUMBER, topic)
    return choose_permission(records, asked).reason


STOP = later(1, patient=None, permit=False)
START = later(2, patient=None)


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ((), "no-consent"),
        ((consent(),), ""),
        ((consent(value="+13125550199"),), "no-consent"),
        ((consent(system="email"),), "no-consent"),
        ((consent(topic="survey"),), "no-consent"),
        ((consent(topic="appointment"),), ""),
        ((consent(patient="Patient/other"),), "no-consent"),
        ((consent(patient=None),), "no-consent"),
        ((consent(), STOP), "opted-out"),
        ((consent(), STOP, START), ""),
        ((STOP, START), "no-consent"),
        ((consent(), later(1, permit=False, patient="Patient/other")), "opted-out"),
        (
            (consent(), later(1, permit=False, patient="Patient/x", topic="survey")),
            "",
        ),
        ((consent(), later(1, permit=False, topic="appointment")), "opted-out"),
        ((consent(), later(1, permit=False, topic="survey")), ""),
        ((consent(), later(1, permit=False, topic="appointment"), START), "opted-out"),
        (
            (
                consent(),
                later(1, permit=False, topic="appointment"),
                later(3, topic="appointment"),
            ),
            "",
        ),
        ((consent(), STOP, later(3, topic="appointment")), ""),
        ((consent(), STOP, later(3, who=Who.STAFF)), "opted-out"),
        ((consent(), later(1, permit=False, who=Who.CHART)), "opted-out"),
        (
            (later(1, permit=False, who=Who.CHART), later(3)),
            "opted-out",
        ),
    ],
)
def test_permission_weighs_every_answer(
    records: tuple[ConsentRecord, ...], expected: str
) -> None:
    assert permission(*records) == expected
    assert permission(*reversed(records)) == expected


def test_permission_of_a_topic_after_stop_covers_that_topic_only() -> None:
    records = (consent(), STOP, later(3, topic="appointment"))
    assert permission(*records, topic="survey") == "opted-out"


def test_screen_needs_no_permission() -> None:
    asked = Asked("Patient/rosa", "screen", "Patient/rosa", "x")
    assert choose_permission((), asked).allowed


def _medium(code: str) -> list[dict[str, Any]]:
    system = "http://terminology.hl7.org/CodeSystem/v3-ParticipationMode"
    return [{"coding": [{"system": system, "code": code}]}]


def of_chart(*resources: dict[str, Any], topic: str = "appointment") -> str:
    found = read_consents(resources, "north", "Patient/rosa", NOW)
    return permission(*found, topic=topic)


def test_chart_consent_permits_its_number_and_denies_its_exception() -> None:
    assert of_chart(resource()) == ""
    assert of_chart(resource(), topic="marketing") == "opted-out"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"status": "inactive"}, "no-consent"),
        ({"status": "proposed"}, "no-consent"),
        ({"category": []}, "no-consent"),
        ({"provision": {"type": "deny"}}, "opted-out"),
        ({"provision": {}}, "no-consent"),
        ({"provision": {}, "policyRule": {"coding": [{"code": "OPTIN"}]}}, ""),
        ({"policyRule": {"coding": [{"code": "OPTOUT"}]}}, "opted-out"),
        (
            {"provision": {"type": "permit", "period": {"end": "2026-11-01"}}},
            "no-consent",
        ),
        ({"extension": []}, "no-consent"),
        (
            {
                "extension": [],
                "provision": {"type": "permit", "code": _medium("SMSWRIT")},
            },
            "",
        ),
        (
            {
                "extension": [],
                "provision": {"type": "permit", "code": _medium("EMAILWRIT")},
            },
            "no-consent",
        ),
        ({"extension": [], "provision": {"type": "deny"}}, "opted-out"),
    ],
)
def test_chart_consent_is_read_strictly_for_yes(
    changes: dict[str, Any], expected: str
) -> None:
    assert of_chart(resource(**changes)) == expected


def test_chart_consent_two_active_that_disagree_deny() -> None:
    assert of_chart(resource(), resource(id="k2", provision={"type": "deny"})) == (
        "opted-out"
    )


def test_decision_names_the_consent_it_rests_on() -> None:
    found = decide(DISCHARGED, chart(encounter(), resource()), own(consents=()))
    facts = found["post-discharge/check-in"].verdict.facts
    named = [item for item in facts if item.reference == "Consent/k1"]
    assert [(item.version, item.value) for item in named] == [
        ("7", "permit, 2026-11-02, Consent in the chart")
    ]


def test_opted_out_of_sms_goes_by_permitted_email() -> None:
    mine = own(consents=(consent(), STOP, consent(id="m", system="email", value=MAIL)))
    found = decide(DISCHARGED, chart(encounter()), mine)["post-discharge/check-in"]
    assert (reason_of(found), found.channel, found.address) == (
        "send: due",
        "email",
        MAIL,
    )


def test_opted_out_everywhere_says_so_with_the_denial() -> None:
    found = decide(DISCHARGED, chart(encounter()), own(consents=(consent(), STOP)))
    candidate = found["post-discharge/check-in"]
    assert reason_of(candidate) == "hold: opted-out"
    assert candidate.verdict.facts[0].reference == "ConsentRecord/c1"


def test_same_patient_id_in_another_ehr_is_somebody_else() -> None:
    elsewhere = consent(endpoint_id="south")
    found = decide(DISCHARGED, chart(encounter()), own(consents=(elsewhere,)))
    assert reason_of(found["post-discharge/check-in"]) == "hold: no-consent"
    denied = replace(elsewhere, permit=False, id="c9")
    found = decide(DISCHARGED, chart(encounter()), own(consents=(consent(), denied)))
    assert reason_of(found["post-discharge/check-in"]) == "hold: opted-out"
