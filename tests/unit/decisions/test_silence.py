"""Frail patients of whom nothing was heard for long: a person confirms first."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mappings.preference import OwnRecord, PreferenceRecord, SentMessage, Who
from middleware.decisions.silence import check_silence
from tests.unit.decisions.story import (
    DISCHARGED,
    LIBRARY,
    NOW,
    Resource,
    appointment,
    chart,
    consent,
    decide,
    encounter,
    own,
    patient,
    reason_of,
)

SCREENING = next(item for item in LIBRARY.plans if item.id == "colorectal")
STAY = next(item for item in LIBRARY.plans if item.id == "post-discharge")
OLD = patient(birthDate="1946-11-20")
YOUNGER = patient(birthDate="1946-11-22")
LONG_AGO = NOW - timedelta(days=181)
LATELY = NOW - timedelta(days=179)
ILL: Resource = {
    "resourceType": "Condition",
    "id": "ill",
    "subject": {"reference": "Patient/rosa"},
    "code": {"coding": [{"system": "http://snomed.info/sct", "code": "1"}]},
}
LIBRARY_ILL = replace(
    LIBRARY,
    value_sets={
        **LIBRARY.value_sets,
        "advanced-illness": frozenset({("http://snomed.info/sct", "1")}),
    },
)


def asked(
    person: Resource, *rest: Resource, mine: Any = None, plan: Any = None
) -> bool:
    found = check_silence(
        plan or SCREENING,
        chart(*rest, person=person),
        mine or OwnRecord(),
        LIBRARY_ILL,
        NOW,
        "America/Chicago",
    )
    if found is None:
        return False
    assert found.reason == "long-silent"
    assert found.facts
    return True


def stay(end: Any) -> Resource:
    return encounter(id="old", period={"start": "2020-01-01", "end": end.isoformat()})


def test_only_the_frail_are_asked_for() -> None:
    assert asked(OLD)
    assert not asked(YOUNGER)
    assert asked(YOUNGER, ILL)
    assert not asked(patient(birthDate=...))


def test_only_preventive_messages_wait() -> None:
    assert not asked(OLD, plan=STAY)


@pytest.mark.parametrize(
    ("sign", "expected"),
    [
        (stay(LATELY), False),
        (stay(LONG_AGO), True),
        (appointment(start=LATELY.isoformat()), False),
        (appointment(start=LONG_AGO.isoformat()), True),
        (appointment(start=(NOW + timedelta(days=9)).isoformat()), False),
        (appointment(start="soon"), True),
    ],
)
def test_a_stay_or_visit_is_a_sign(sign: Resource, expected: bool) -> None:
    assert asked(OLD, sign) is expected


@pytest.mark.parametrize(
    ("mine", "expected"),
    [
        ({"consents": (consent(recorded_at=LATELY),)}, False),
        ({"consents": (consent(recorded_at=LONG_AGO),)}, True),
        (
            {
                "preferences": (
                    PreferenceRecord("language", "en", Who.STAFF, "call", LATELY),
                )
            },
            False,
        ),
        ({"sent": (SentMessage(LATELY, "appointment", "sms", True),)}, False),
        ({"sent": (SentMessage(LATELY, "appointment", "sms"),)}, True),
    ],
)
def test_an_answer_is_a_sign_and_our_own_message_is_none(
    mine: dict[str, Any], expected: bool
) -> None:
    assert asked(OLD, mine=OwnRecord(**mine)) is expected


def test_the_gate_holds_it_and_asks_a_person() -> None:
    """The visit is only a week away in the plan, and half a year ago for the gate."""
    plan = replace(
        SCREENING,
        actions=tuple(
            replace(
                step,
                conditions=(),
                timing=replace(step.timing, window_hours=24 * 365),
            )
            for step in SCREENING.actions[:1]
        ),
    )
    library = replace(LIBRARY, plans=(plan,))
    before = own(consents=(consent(recorded_at=LONG_AGO),))
    office = {"class": {"code": "AMB"}}
    silent = encounter(**office, period={"end": LONG_AGO.isoformat()})
    found = decide(DISCHARGED, chart(silent, person=OLD), before, library=library)
    (offer,) = found.values()
    assert reason_of(offer) == "hold: long-silent"
    assert offer.task is not None
    assert offer.task.key == "long-silent|Patient/rosa"
    recent = encounter(**office, period={"end": NOW.isoformat()})
    found = decide(DISCHARGED, chart(recent, person=OLD), before, library=library)
    (offer,) = found.values()
    assert reason_of(offer) == "send: due"
