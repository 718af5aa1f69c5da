"""What the EHR takes back: planned messages end at once, sent ones ask a person."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from mappings.instants import write_instant
from tests.stages.world import (
    CHECK_IN,
    ENDPOINT,
    START,
    World,
    appointment,
    encounter,
    patient,
)

BEN, BEN_NUMBER = "Patient/ben", "+13125550177"
VISIT = START + timedelta(days=5)


@pytest.fixture
def ben(world: World) -> World:
    """A second patient, who may be texted too."""
    telecom = [{"system": "sms", "value": BEN_NUMBER, "use": "mobile", "rank": 1}]
    world.fhir.put(patient(id="ben", telecom=telecom), START - timedelta(days=90))
    world.permit(patient=BEN, value=BEN_NUMBER)
    return world


def care_plan(**changes: Any) -> dict[str, Any]:
    day = (START + timedelta(days=6)).date().isoformat()
    detail = {"status": "scheduled", "scheduledPeriod": {"end": day}}
    values = {
        "resourceType": "CarePlan",
        "id": "plan",
        "status": "active",
        "intent": "plan",
        "subject": {"reference": "Patient/rosa"},
        "activity": [{"detail": detail}],
    }
    return values | changes


def states(world: World, person: str = "Patient/rosa") -> set[str]:
    rows = world.rows("SELECT state, reason FROM nudge WHERE patient = %s", person)
    return {f"{row['state']}: {row['reason']}" for row in rows}


@pytest.mark.parametrize("resource", [encounter(), appointment(), care_plan()])
@pytest.mark.parametrize("how", ["entered-in-error", "deleted", "moved"])
def test_what_is_planned_ends_at_once(
    ben: World, resource: dict[str, Any], how: str
) -> None:
    name = ben.fhir.put(resource)
    ben.notify(name)
    ben.run()
    assert states(ben) == {"planned: due"}
    if how == "deleted":
        gone = {"resourceType": resource["resourceType"], "id": resource["id"]}
        ben.fhir.put(gone | {"_deleted": True})
    elif how == "moved":
        other = {"reference": BEN}
        people = [{"actor": other, "status": "accepted"}]
        visit = resource["resourceType"] == "Appointment"
        change = {"participant": people} if visit else {"subject": other}
        ben.fhir.change(name, **change)
    else:
        ben.fhir.change(name, status=how)
    ben.notify(name)
    ben.run()
    assert states(ben) == {"cancelled: event-undone"}
    planned = {"planned: due"} if how == "moved" else set()
    assert states(ben, BEN) == planned
    assert ben.tasks() == []


def test_a_stay_filed_under_the_wrong_patient_is_told_to_the_right_one(
    ben: World,
) -> None:
    name = ben.discharge()
    ben.run()
    ben.fhir.change(name, subject={"reference": BEN})
    ben.notify(name)
    ben.go(CHECK_IN)
    assert [message.address for message in ben.sms.sent] == [BEN_NUMBER]


def test_a_stay_that_comes_back_is_planned_again(ben: World) -> None:
    name = ben.discharge()
    ben.run()
    for subject in (BEN, "Patient/rosa"):
        ben.fhir.change(name, subject={"reference": subject})
        ben.notify(name)
        ben.run()
    assert states(ben) == {"planned: due"}
    assert states(ben, BEN) == {"cancelled: event-undone"}


def test_whoever_was_told_of_another_persons_stay_is_called(ben: World) -> None:
    name = ben.discharge()
    ben.go(CHECK_IN)
    ben.fhir.change(name, subject={"reference": BEN})
    ben.notify(name)
    ben.notify(name)
    ben.run()
    assert ben.tasks() == [("event-undone", "urgent")]
    row = ben.rows("SELECT patient, text FROM staff_task WHERE reason = 'event-undone'")
    assert row[0]["patient"] == "Patient/rosa"
    assert "not meant for them" in row[0]["text"]


@pytest.mark.parametrize(
    ("days", "priority"), [(0, "urgent"), (3, "routine")], ids=["ahead", "over"]
)
def test_whoever_was_reminded_of_a_visit_that_never_was_is_told(
    world: World, days: int, priority: str
) -> None:
    name = world.book(VISIT)
    world.go(VISIT - timedelta(hours=24))
    assert world.sms.sent
    world.clock.instant += timedelta(days=days)
    world.fhir.change(name, status="entered-in-error")
    world.notify(name)
    world.run()
    assert world.tasks() == [("event-undone", priority)]


def test_what_was_told_long_ago_misleads_nobody(world: World) -> None:
    name = world.discharge()
    world.go(CHECK_IN)
    world.wait(days=31)
    world.fhir.change(name, status="entered-in-error")
    world.notify(name)
    world.run()
    assert ("event-undone", "routine") not in world.tasks()


def test_a_visit_put_back_on_the_waiting_list_ends_its_reminders_at_once(
    world: World,
) -> None:
    name = world.book(VISIT)
    world.run()
    world.fhir.change(name, status="waitlist")
    world.notify(name)
    world.run()
    assert states(world) == {"cancelled: appointment-cancelled"}
    world.fhir.change(name, status="booked")
    world.notify(name)
    world.run()
    assert states(world) == {"planned: due"}


def test_a_stay_that_is_completed_after_the_discharge_is_one_discharge(
    world: World,
) -> None:
    """R5: the patient leaves, and days later the papers are complete."""
    period = {"start": "2026-11-17T10:00:00-06:00"}
    stay = encounter(status="discharged", hospitalization=..., period=...)
    place = {"text": "home", "coding": [{"code": "home"}]}
    place["coding"][0]["system"] = (  # type: ignore[index]
        "http://terminology.hl7.org/CodeSystem/discharge-disposition"
    )
    act = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    stay |= {
        "class": [{"coding": [{"system": act, "code": "IMP"}]}],
        "actualPeriod": period | {"end": "2026-11-20T16:30:00-06:00"},
        "admission": {"dischargeDisposition": place},
    }
    going = stay | {"status": "in-progress", "actualPeriod": period}
    name = world.fhir.put(going, START - timedelta(days=3))
    world.fhir.put(stay)
    world.notify(name)
    world.run()
    world.fhir.change(name, status="completed")
    world.notify(name)
    world.go(CHECK_IN)
    kinds = [row["kind"] for row in world.rows("SELECT kind FROM event ORDER BY seq")]
    assert kinds == ["encounter-admitted", "encounter-discharged"]
    assert len(world.sms.sent) == 1


def test_a_second_r5_stay_ends_what_the_first_one_planned(world: World) -> None:
    world.discharge()
    world.run()
    act = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    again = encounter(id="again", status="in-progress", hospitalization=..., period=...)
    again |= {
        "class": [{"coding": [{"system": act, "code": "EMER"}]}],
        "actualPeriod": {"start": write_instant(START)},
    }
    name = world.fhir.put(again)
    world.notify(name)
    world.run()
    assert world.state() == "held: in-hospital"
    world.fhir.change(name, **{"class": [{"coding": [{"system": act, "code": "IMP"}]}]})
    world.notify(name)
    world.run()
    assert world.state() == "cancelled: readmitted"


@pytest.mark.parametrize("how", ["entered-in-error", "cancelled", "moved", "class"])
def test_a_readmission_that_was_none_lets_the_first_check_in_go_on(
    ben: World, how: str
) -> None:
    ben.discharge()
    ben.run()
    again = encounter(id="again", status="in-progress", hospitalization=...)
    name = ben.fhir.put(again | {"period": {"start": write_instant(START)}})
    ben.notify(name)
    ben.run()
    assert ben.state() == "cancelled: readmitted"
    change: dict[str, Any] = {"status": how}
    if how == "moved":
        change = {"subject": {"reference": BEN}}
    elif how == "class":
        change = {"class": {"code": "AMB"}}
    ben.fhir.change(name, **change)
    ben.notify(name)
    ben.run()
    assert ben.state() == "planned: due"
    ben.go(CHECK_IN)
    assert len(ben.sms.sent) == 1


def test_an_r5_readmission_that_has_ended_stops_the_first_check_in(
    world: World,
) -> None:
    world.discharge()
    world.run()
    act = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    again = encounter(id="again", status="completed", hospitalization=..., period=...)
    again |= {
        "class": [{"coding": [{"system": act, "code": "IMP"}]}],
        "actualPeriod": {
            "start": write_instant(START),
            "end": write_instant(START + timedelta(hours=2)),
        },
    }
    world.clock.instant = START + timedelta(hours=3)
    name = world.fhir.put(again)
    world.notify(name)
    world.run()
    row = world.rows("SELECT state, reason FROM nudge WHERE focus = 'Encounter/stay'")
    assert {(item["state"], item["reason"]) for item in row} == {
        ("cancelled", "readmitted")
    }


def test_nobody_is_told_twice_of_one_stay_that_two_rows_tell_of(ben: World) -> None:
    """The move and the discharge reach the inbox out of order, many times."""
    name = ben.discharge()
    ben.fhir.change(name, subject={"reference": BEN})
    for _ in range(4):
        ben.notify(name)
        ben.run()
    ben.go(CHECK_IN)
    assert [message.address for message in ben.sms.sent] == [BEN_NUMBER]
    assert ben.one("SELECT count(*) FROM event WHERE kind = 'resource-moved'") == 1
    assert ben.rows("SELECT 1 FROM nudge WHERE endpoint_id <> %s", ENDPOINT.id) == []
