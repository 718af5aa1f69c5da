"""Visits of infants, and of several patients: another's record may say no."""

from __future__ import annotations

from typing import Any

import pytest

from mappings.event import EventKind
from tests.unit.decisions.story import (
    appointment,
    chart,
    consent,
    decide,
    encounter,
    event,
    look_again,
    nudge_of,
    own,
    patient,
    reason_of,
)

BOOKED = event(EventKind.APPOINTMENT_BOOKED, "Appointment/visit")
PARENT = {
    "resourceType": "RelatedPerson",
    "id": "mother",
    "active": True,
    "patient": {"reference": "Patient/rosa"},
    "relationship": [
        {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode",
                    "code": "MTH",
                }
            ]
        }
    ],
    "telecom": [{"system": "sms", "value": "+13125550143"}],
    "communication": [
        {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "en"}]}}
    ],
}
NEWBORN = patient(birthDate="2026-11-10", telecom=...)
STAY: dict[str, Any] = {
    "id": "nicu",
    "status": "in-progress",
    "period": {"start": "2026-11-10T10:00:00-06:00"},
    "disposition": None,
}


def parents() -> Any:
    return own(consents=(consent(value="+13125550143"),))


def test_a_newborn_in_hospital_is_not_reminded_of_its_visit() -> None:
    """The stay begins a second before the reminder would go."""
    visit = appointment()
    planned = decide(BOOKED, chart(visit, PARENT, person=NEWBORN), parents())
    nudge = nudge_of(planned["appointment-reminder/one-day"])
    at = nudge.due_at
    well = chart(visit, PARENT, person=NEWBORN)
    assert reason_of(look_again(nudge, well, parents(), at=at)) == "send: due"
    ill = chart(visit, PARENT, encounter(**STAY), person=NEWBORN)
    found = look_again(nudge, ill, parents(), at=at)
    assert reason_of(found) == "hold: in-hospital"
    dead = chart(visit, PARENT, person={**NEWBORN, "deceasedBoolean": True})
    found = look_again(nudge, dead, parents(), at=at)
    assert reason_of(found) == "cancel: deceased"


def test_a_grown_patient_in_hospital_is_told_of_a_visit() -> None:
    read = chart(appointment(), encounter(**STAY))
    found = decide(BOOKED, read, own(consents=(consent(),)))
    assert reason_of(found["appointment-reminder/one-day"]) == "send: due"


@pytest.mark.parametrize(
    ("mine", "expected"),
    [
        (own(consents=(consent(),)), "hold: several-patients"),
        (
            own(consents=(consent(),), replaced=("Patient/child",)),
            "send: due",
        ),
    ],
)
def test_a_visit_of_mother_and_child_is_left_to_a_person(
    mine: Any, expected: str
) -> None:
    both = appointment()
    both["participant"] = [
        *both["participant"],
        {"actor": {"reference": "Patient/child"}, "status": "accepted"},
    ]
    found = decide(BOOKED, chart(both), mine)["appointment-reminder/one-day"]
    assert reason_of(found) == expected
    if expected != "send: due":
        assert found.task is not None
        assert found.task.key == "several-patients|Appointment/visit"
