"""After the loss of a pregnancy nothing cheerful goes out, and nothing about a birth."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mappings.event import EventKind
from mappings.preference import PreferenceRecord, Who
from middleware.decisions.deciding import decide_event
from middleware.decisions.linting import find_faults
from middleware.decisions.loss import TOLD
from tests.unit.decisions.story import (
    EVERYTHING,
    LIBRARY,
    NOW,
    chart,
    condition,
    consent,
    decide,
    encounter,
    endpoint,
    event,
    look_again,
    nudge_of,
    observation,
    only,
    own,
    reason_of,
    review,
)

WANTED = (consent(), consent(id="c2", topic="social"))
LOST, DUE = "cancel: pregnancy-loss", "send: due"
DUE_DATE = "11778-8"


def told(days: int, value: Any = True) -> PreferenceRecord:
    when = NOW - timedelta(days=days)
    return PreferenceRecord(TOLD, value, Who.LEARNED, "reply by sms", when)


def expected(text: str, **changes: Any) -> dict[str, Any]:
    found = observation(DUE_DATE, "2026-03-01", **changes)
    found.pop("valueQuantity", None)
    return {**found, "valueDateTime": text}


def greet(*resources: Any, mine: Any = None) -> Any:
    read = chart(*resources)
    known = mine or own(consents=WANTED)
    (found,) = decide_event(review(), read, known, only("birthday"), endpoint(), NOW)
    return found


@pytest.mark.parametrize(
    ("resource", "verdict"),
    [
        (condition("O03.9", recordedDate="2026-03-01"), LOST),
        (condition("O02.1", recordedDate="2025-11-21"), LOST),
        (condition("O02.1", recordedDate="2025-11-01"), DUE),
        (condition("O03.9", recordedDate="2024-03-01"), DUE),
        (condition("O03.9", recordedDate="2024-03-01", onsetDateTime="2026-05"), LOST),
        (condition("O03.9"), LOST),
        (condition("Z37.1", recordedDate="2026-10-01"), LOST),
        (condition("Z37.0", recordedDate="2026-10-01"), DUE),
        (
            condition(
                "O03.9",
                recordedDate="2026-03-01",
                verificationStatus={"coding": [{"code": "entered-in-error"}]},
            ),
            DUE,
        ),
    ],
)
def test_a_code_of_loss_mutes_greetings_for_twelve_months(
    resource: Any, verdict: str
) -> None:
    found = greet(resource)
    assert reason_of(found) == verdict
    if verdict == LOST:
        assert found.task is not None
        assert found.task.key == "pregnancy-loss|Patient/rosa"


@pytest.mark.parametrize(
    ("resources", "verdict"),
    [
        ([expected("2026-10-01")], LOST),
        ([expected("2026-12-24")], DUE),
        ([expected("2024-10-01")], DUE),
        ([expected("2026-10-01", status="entered-in-error")], DUE),
        ([expected("2026-10-01"), condition("Z37.0", recordedDate="2026-09-20")], DUE),
        ([expected("2026-10-01"), condition("O80", recordedDate="2022-09-20")], LOST),
        (
            [expected("2026-10-01"), condition("Z37.1", recordedDate="2026-09-20")],
            LOST,
        ),
    ],
)
def test_a_due_date_that_passed_without_a_delivery_mutes_too(
    resources: list[Any], verdict: str
) -> None:
    assert reason_of(greet(*resources)) == verdict


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ([told(1)], LOST),
        ([told(360)], LOST),
        ([told(370)], DUE),
        ([told(90), told(10, None)], DUE),
        ([told(90, None), told(10)], LOST),
    ],
)
def test_what_was_told_mutes_until_it_is_taken_back(
    said: list[PreferenceRecord], verdict: str
) -> None:
    mine = own(consents=WANTED, preferences=tuple(said))
    assert reason_of(greet(mine=mine)) == verdict


def test_a_loss_a_second_before_ends_what_is_planned() -> None:
    mine = own(consents=WANTED)
    nudge = nudge_of(greet())
    at = nudge.due_at
    lost = condition("O03.9", recordedDate=(at - timedelta(seconds=1)).isoformat())
    library = only("birthday")
    assert reason_of(look_again(nudge, chart(), mine, at=at, library=library)) == DUE
    found = look_again(nudge, chart(lost), mine, at=at, library=library)
    assert reason_of(found) == LOST


def test_a_plan_about_a_birth_is_muted_whatever_its_topic() -> None:
    born = ("http://snomed.info/sct", "77386006")
    plans = tuple(replace(plan, about=(born,)) for plan in LIBRARY.plans)
    lost = condition("O03.9", recordedDate="2026-11-01")
    event_ = event(EventKind.ENCOUNTER_DISCHARGED, "Encounter/stay")
    read, mine = chart(encounter(), lost), own(consents=(consent(),))
    found = decide(event_, read, mine, library=replace(LIBRARY, plans=plans))
    assert reason_of(found["post-discharge/check-in"]) == LOST
    plain = decide(event_, read, mine)
    assert reason_of(plain["post-discharge/check-in"]) == DUE


@pytest.mark.parametrize(
    "word",
    ["Congratulations", "Felicidades", "恭喜您", "مبروك", "Chúc mừng em bé"],
)
def test_nobody_is_congratulated(word: str) -> None:
    found = find_faults(f"North: {word}. STOP", channel="sms", clinic="North")
    assert "it congratulates" in found


def test_a_birthday_is_greeted_in_every_language() -> None:
    texts = {
        (item.language, item.channel): item.text
        for item in EVERYTHING.wordings
        if item.definition.endswith("/birthday")
    }
    assert len({language for language, _ in texts}) == 5
    for text in texts.values():
        assert "it congratulates" not in find_faults(text, channel="sms", clinic="x")
