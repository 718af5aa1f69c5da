"""An urgent reply that nobody sees to reaches the people on call."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from mappings.errors import ChannelError
from middleware.stages.escalating import PROBE, escalate_tasks, probe_escalation
from middleware.storage import endpoints, marks, pages
from tests.stages.world import DOWN, ENDPOINT, World

NURSE, LEAD = "+13125550170", "lead@example.org"


@pytest.fixture
def urgent(world: World) -> World:
    """Somebody answers that the chest hurts; a nurse and a lead are on call."""
    site = replace(ENDPOINT.site, on_call=NURSE, on_call_manager=LEAD)
    with world.database.tx() as tx:
        endpoints.update_endpoint(tx, replace(ENDPOINT, site=site))
    world.discharge()
    world.run("resolve", "decide")
    world.go(world.nudge()["due_at"])
    world.reply("my chest hurts")
    world.run("listen")
    world.sms.sent.clear()
    world.email.sent.clear()
    return world


def heard(world: World) -> list[tuple[str, str]]:
    every = (*world.sms.sent, *world.email.sent)
    return [(item.channel, item.address) for item in every]


def after(world: World, minutes: float) -> int:
    world.clock.instant += timedelta(minutes=minutes)
    return escalate_tasks(world.context)


def stat(world: World) -> str:
    (row,) = world.rows("SELECT id FROM staff_task WHERE priority = 'stat'")
    return str(row["id"])


def test_it_is_passed_on_after_15_and_30_minutes_once_each(urgent: World) -> None:
    assert after(urgent, 14.9) == 0
    assert after(urgent, 0.2) == 1
    assert heard(urgent) == [("sms", NURSE)]
    assert after(urgent, 10) == 0
    assert after(urgent, 5) == 1
    assert heard(urgent) == [("sms", NURSE), ("email", LEAD)]
    assert after(urgent, 60) == 0


def test_a_page_says_nothing_about_the_patient(urgent: World) -> None:
    after(urgent, 16)
    (page,) = urgent.sms.sent
    assert "waits for 16 minutes" in page.text
    for word in ("Rosa", "Delgado", "chest"):
        assert word not in f"{page.subject} {page.text}"


def test_who_takes_it_is_left_alone(urgent: World) -> None:
    with urgent.database.tx() as tx:
        assert pages.take_task(tx, stat(urgent), "A. Mehta", urgent.clock.now())
    assert after(urgent, 40) == 0
    assert heard(urgent) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "accepted"},
        {"status": "in-progress"},
        {"status": "completed"},
        {"owner": {"reference": "Practitioner/mehta"}},
    ],
)
def test_who_takes_it_in_the_ehr_a_second_before_is_left_alone(
    urgent: World, changes: dict[str, object]
) -> None:
    urgent.run("record")
    urgent.clock.instant += timedelta(minutes=15)
    (there,) = (
        task for task in urgent.fhir.list_created("Task") if task["priority"] == "stat"
    )
    urgent.fhir.put({**there, **changes})
    urgent.clock.instant += timedelta(seconds=1)
    assert escalate_tasks(urgent.context) == 0
    assert after(urgent, 40) == 0
    assert heard(urgent) == []
    taken = "SELECT count(*) FROM audit WHERE action = 'task-taken'"
    assert urgent.one(taken) == (0 if changes == {"status": "completed"} else 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "requested"},
        {"status": "received"},
        {"status": "on-hold"},
        {"status": "failed"},
        {"owner": {"reference": "Organization/northside"}},
        {"owner": {"display": "A. Mehta"}},
    ],
)
def test_what_nobody_took_in_the_ehr_is_passed_on(
    urgent: World, changes: dict[str, object]
) -> None:
    urgent.run("record")
    (there,) = (
        task for task in urgent.fhir.list_created("Task") if task["priority"] == "stat"
    )
    urgent.fhir.put({**there, **changes})
    assert after(urgent, 16) == 1


def test_an_ehr_that_is_down_keeps_nobody_from_being_called(urgent: World) -> None:
    urgent.run("record")
    urgent.fhir.fault = lambda verb, what: DOWN
    assert after(urgent, 16) == 1
    assert heard(urgent) == [("sms", NURSE)]


def test_what_is_done_is_not_passed_on(urgent: World) -> None:
    with urgent.database.tx() as tx:
        tx.execute("UPDATE staff_task SET state = 'completed'")
        assert not pages.take_task(tx, stat(urgent), "A. Mehta", urgent.clock.now())
    assert after(urgent, 40) == 0


def test_a_page_that_failed_is_sent_again_in_a_minute(urgent: World) -> None:
    urgent.sms.answers.append(ChannelError("down", reason="channel-down"))
    assert after(urgent, 16) == 0
    assert urgent.one("SELECT error FROM page") == "down"
    assert after(urgent, 0.5) == 0
    assert after(urgent, 0.6) == 1
    assert urgent.one("SELECT count(*) FROM page WHERE sent_at IS NOT NULL") == 1


def test_two_workers_send_one_page(urgent: World) -> None:
    urgent.clock.instant += timedelta(minutes=16)
    with urgent.database.tx() as tx:
        (due,) = pages.list_due_pages(
            tx, {1: timedelta(minutes=15)}, urgent.clock.now()
        )
        assert pages.claim_page(tx, due, NURSE, urgent.clock.now())
    assert escalate_tasks(urgent.context) == 0


def test_a_routine_task_waits_for_office_hours(world: World) -> None:
    unknown = {"coding": [{"system": "urn:site", "code": "walked home"}]}
    world.discharge(hospitalization={"dischargeDisposition": unknown})
    world.run("resolve", "decide")
    assert world.tasks()
    assert after(world, 600) == 0


def test_the_path_is_tried_without_a_message(urgent: World) -> None:
    assert probe_escalation(urgent.context) == ()
    assert heard(urgent) == []
    with urgent.database.tx() as tx:
        assert marks.read_mark(tx, PROBE)["faults"] == []


def test_a_site_without_anybody_on_call_is_told(world: World) -> None:
    found = probe_escalation(world.context)
    assert found == (f"{ENDPOINT.name}: nobody is on call",)
    world.context = replace(world.context, channels={})
    site = replace(ENDPOINT.site, on_call=NURSE)
    with world.database.tx() as tx:
        endpoints.update_endpoint(tx, replace(ENDPOINT, site=site))
    assert "sms is not set up" in probe_escalation(world.context)[0]
