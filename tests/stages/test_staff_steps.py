"""Steps for staff that wait for their time: asked then, once, if they still hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from middleware.storage.tasks import finish_task
from tests.stages.world import CHECK_IN, START, World, encounter

LEAD = ("post-discharge-contact-lead", "asap")
UNKNOWN = ("post-discharge-disposition-task", "urgent")
# She went home on a Friday: noon of the second business day is on Tuesday.
NOON = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)


def test_a_missing_disposition_is_asked_about_after_six_hours(world: World) -> None:
    world.discharge(hospitalization=...)
    world.run()
    assert world.state() == "held: disposition-unknown"
    assert world.state("disposition-task") == "planned: due"
    assert world.tasks() == []
    world.go(START + timedelta(hours=6, minutes=5))
    assert world.tasks() == [UNKNOWN]
    assert world.state("disposition-task") == "sent: asked"


def test_a_disposition_that_comes_in_time_is_not_asked_about(world: World) -> None:
    name = world.discharge(hospitalization=...)
    world.run()
    world.fhir.change(name, **encounter())
    world.notify(name)
    world.run()
    assert world.state("disposition-task") == "cancelled: already-done"
    world.go(START + timedelta(hours=7))
    assert world.tasks() == []
    assert world.state() == "planned: due"


@pytest.mark.parametrize("called", [True, False])
def test_a_lead_is_asked_at_noon_of_the_second_day_unless_the_call_is_done(
    world: World, *, called: bool
) -> None:
    world.discharge()
    world.go(CHECK_IN)
    assert world.state("contact-lead") == "planned: due"
    if called:
        call = world.one(
            "SELECT id FROM staff_task WHERE reason = 'post-discharge-contact-task'"
        )
        with world.database.tx() as tx:
            assert finish_task(tx, str(call), "A. Mehta", world.clock.instant)
    world.go(NOON - timedelta(minutes=1))
    assert LEAD not in world.tasks()
    world.go(NOON + timedelta(minutes=1))
    assert (LEAD in world.tasks()) is not called
    state = "cancelled: already-done" if called else "sent: asked"
    assert world.state("contact-lead") == state
    # The check-in and, on the third day, the offer of a visit.
    assert world.deliveries() == ["sms sent", "sms sent"]


def test_what_staff_were_asked_is_asked_once_and_counted_as_a_task(
    world: World,
) -> None:
    world.discharge(hospitalization=...)
    for hours in (1, 7, 8, 30):
        world.go(START + timedelta(hours=hours))
    assert world.tasks() == [UNKNOWN]
    told = world.rows(
        "SELECT outcome, reason FROM decision WHERE action = 'disposition-task' "
        "AND stage = 'deliver'"
    )
    assert [(row["outcome"], row["reason"]) for row in told] == [("send", "asked")]


def test_nobody_is_asked_about_a_patient_who_is_admitted_again(world: World) -> None:
    world.discharge()
    world.run()
    again = world.fhir.put(
        encounter(
            id="again",
            status="in-progress",
            hospitalization=...,
            period={"start": "2026-11-22T10:00:00-06:00"},
        )
    )
    world.notify(again)
    world.go(NOON + timedelta(hours=1))
    assert world.state("contact-lead") == "cancelled: readmitted"
    assert LEAD not in world.tasks()


MEDICINE = {
    "resourceType": "MedicationRequest",
    "id": "new",
    "status": "active",
    "intent": "order",
    "subject": {"reference": "Patient/rosa"},
    "authoredOn": "2026-11-20T15:00:00-06:00",
}


@pytest.mark.parametrize(
    ("answer", "asked"),
    [("2", True), ("call me", True), ("1", False), ("which ones?", False)],
)
def test_who_could_not_get_a_medicine_is_called_by_a_pharmacist(
    world: World, answer: str, *, asked: bool
) -> None:
    world.fhir.put(MEDICINE)
    world.discharge()
    world.go(CHECK_IN + timedelta(minutes=5))
    # On Sunday, two days after she went home.
    world.go(START + timedelta(days=2))
    assert world.state("bring-all") == "sent: due"
    world.reply(answer)
    world.run()
    told = world.rows(
        "SELECT priority, due_at FROM staff_task WHERE reason = 'medicines-answer'"
    )
    due = datetime(2026, 11, 23, 23, 0, tzinfo=UTC)
    expected = [("urgent", due)] if asked else []
    assert [(row["priority"], row["due_at"]) for row in told] == expected


def test_an_answer_about_something_else_is_no_matter_for_a_pharmacist(
    world: World,
) -> None:
    world.discharge()
    world.go(CHECK_IN + timedelta(minutes=5))
    world.reply("2")
    world.run()
    assert [reason for reason, _ in world.tasks()] == ["reply"]
