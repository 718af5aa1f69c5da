"""A reply that staff have dealt with holds nothing any more."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mappings.errors import FhirError
from middleware.stages.settled import end_task, read_tasks, trust_address
from tests.stages.world import CHECK_IN, World

BOOKING = "book-visit"


@pytest.fixture
def held(world: World) -> World:
    """Rosa told of pain after her check-in; her next message waits for a person."""
    world.discharge()
    world.go(CHECK_IN)
    world.clock.instant += timedelta(minutes=5)
    world.reply("I have chest pain")
    world.run()
    assert world.tasks() == [("reply-needs-person", "stat")]
    world.go(world.nudge(BOOKING)["due_at"])
    assert world.state(BOOKING) == "held: reply-needs-person"
    return world


def mark(world: World, status: str) -> None:
    """Let staff set the status of the Task that they got."""
    (there,) = (
        item for item in world.fhir.list_created("Task") if item["priority"] == "stat"
    )
    world.fhir.put({**there, "status": status})


def test_a_task_completed_in_the_ehr_lets_messages_go_on(held: World) -> None:
    mark(held, "requested")
    assert read_tasks(held.context) == 0
    mark(held, "completed")
    assert read_tasks(held.context) == 1
    held.run()
    assert held.state(BOOKING) == "sent: due"
    assert read_tasks(held.context) == 0
    (entry,) = held.rows("SELECT who, patient FROM audit WHERE action = 'task-ended'")
    assert entry == {"who": "staff, in the EHR", "patient": "Patient/rosa"}


@pytest.mark.parametrize("status", ["requested", "in-progress", "failed"])
def test_a_task_that_is_not_done_keeps_the_hold(held: World, status: str) -> None:
    mark(held, status)
    assert read_tasks(held.context) == 0
    held.run()
    assert held.state(BOOKING) == "held: reply-needs-person"


def test_a_task_that_cannot_be_read_keeps_the_hold(held: World) -> None:
    mark(held, "completed")
    held.fhir.fault = lambda verb, what: FhirError("down", status=503)
    assert read_tasks(held.context) == 0
    assert held.state(BOOKING) == "held: reply-needs-person"


def test_a_task_ended_by_hand_lets_messages_go_on_once(held: World) -> None:
    task_id = held.one("SELECT id FROM staff_task WHERE priority = 'stat'")
    assert end_task(held.context, task_id, "A. Mehta")
    assert not end_task(held.context, task_id, "A. Mehta")
    held.run()
    assert held.state(BOOKING) == "sent: due"


def test_a_number_that_was_right_after_all_is_used_again(world: World) -> None:
    world.discharge()
    world.go(CHECK_IN)
    world.clock.instant += timedelta(minutes=5)
    world.reply("Who is this?")
    world.run()
    (task,) = world.rows(
        "SELECT id FROM staff_task WHERE reason = 'reply-needs-person'"
    )
    bad = "SELECT count(*) AS n FROM contact_point WHERE bad_reason IS NOT NULL"
    assert world.one(bad) == 1

    assert trust_address(world.context, task["id"], "A. Mehta") == "sms"
    assert end_task(world.context, task["id"], "A. Mehta")

    assert world.one(bad) == 0
    world.go(world.nudge(BOOKING)["due_at"])
    assert world.state(BOOKING) == "sent: due"


def test_only_a_reply_s_task_makes_an_address_trusted(world: World) -> None:
    assert (
        trust_address(world.context, "task-disposition-unknown|x", "A. Mehta") is None
    )
