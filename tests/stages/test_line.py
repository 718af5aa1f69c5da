"""The whole line: discharge to message to Communication, whatever order news come in."""

from __future__ import annotations

import random
from datetime import timedelta

from mappings.instants import write_instant
from tests.stages.world import CHECK_IN, NUMBER, ROSA, START, World, encounter


def test_a_discharge_becomes_one_text_and_one_communication(world: World) -> None:
    world.discharge()
    world.run()
    assert (world.state(), world.sms.sent) == ("planned: due", [])
    assert world.nudge()["due_at"] == CHECK_IN
    world.go(CHECK_IN - timedelta(seconds=1))
    assert world.sms.sent == []
    world.go(CHECK_IN)
    (message,) = world.sms.sent
    assert (message.address, message.language) == (NUMBER, "en")
    assert world.state() == "sent: due"
    assert world.deliveries() == ["sms sent"]
    (said,) = world.fhir.list_created("Communication")
    (asked,) = world.fhir.list_created("CommunicationRequest")
    assert said["subject"] == asked["subject"] == {"reference": ROSA}
    assert said["payload"][0]["contentString"] == message.text
    assert world.rows("SELECT 1 FROM outbox WHERE state <> 'done'") == []
    assert world.reasons() == [
        "decide send due",
        "deliver send due",
    ]


def test_the_same_news_again_changes_nothing(world: World) -> None:
    name = world.discharge()
    visit = world.book(START + timedelta(days=12))
    world.run()
    world.go(CHECK_IN)
    before = world.snapshot()
    order = random.Random(7)
    for _ in range(3):
        news = [name, visit, name, visit, name]
        order.shuffle(news)
        for item in news:
            world.notify(item)
        world.poll()
        world.run()
    assert world.snapshot() == before
    assert len(world.sms.sent) == 1


def test_the_same_key_is_one_item(world: World) -> None:
    name = world.fhir.put(encounter())
    assert [world.notify(name, "same") for _ in range(3)] == [1, 0, 0]


def test_news_come_before_or_after_their_versions(world: World) -> None:
    """Each version is announced late, in the wrong order, and read from history."""
    name = world.discharge()
    world.run()
    world.fhir.change(name, status="entered-in-error")
    world.fhir.change(name, status="finished")
    for _ in range(3):
        world.notify(name)
    world.run()
    kinds = [row["kind"] for row in world.rows("SELECT kind FROM event ORDER BY seq")]
    assert kinds == [
        "encounter-admitted",
        "encounter-discharged",
        "encounter-entered-in-error",
        "encounter-discharged",
    ]


def test_an_older_version_never_undoes_a_newer_one(world: World) -> None:
    name = world.book(START + timedelta(days=5))
    world.run()
    world.fhir.change(name, status="cancelled")
    world.notify(name)
    world.run()
    assert world.state("three-days") == "cancelled: appointment-cancelled"
    world.fhir.versions[name].pop()  # a lagging replica shows the booked version
    world.notify(name)
    world.run()
    assert world.state("three-days") == "cancelled: appointment-cancelled"
    assert world.one("SELECT status FROM focus_state") == "cancelled"
    world.go(START + timedelta(days=5))
    assert world.sms.sent == []


def test_a_moved_visit_is_reminded_of_once_at_its_new_time(world: World) -> None:
    name = world.book(START + timedelta(days=5))
    world.run()
    later = START + timedelta(days=9)
    world.fhir.change(name, start=write_instant(later))
    world.notify(name)
    world.run()
    states = world.rows(
        "SELECT occasion, state FROM nudge WHERE action = 'one-day' ORDER BY occasion"
    )
    assert [row["state"] for row in states] == ["cancelled", "planned"]
    world.go(START + timedelta(days=5))
    # The new time was told at once; the reminders of the old one never go.
    assert world.state("new-time") == "sent: due"
    assert len(world.sms.sent) == 1
    for hours in range(24 * 5):
        world.go(START + timedelta(days=5, hours=hours))
    assert len(world.sms.sent) == 3
    assert len({item.delivery_id for item in world.sms.sent}) == 3


def test_what_push_dropped_is_found_by_the_poll(world: World) -> None:
    world.fhir.put(encounter())
    assert world.run() == 0
    world.poll()
    world.run()
    assert world.state() == "planned: due"


def test_a_stay_filed_under_the_wrong_patient_reaches_the_right_one(
    world: World,
) -> None:
    name = world.discharge()
    world.run()
    world.fhir.change(name, subject={"reference": "Patient/other"})
    world.go(CHECK_IN)
    assert world.state() == "cancelled: event-undone"
    assert world.sms.sent == []


def test_a_patient_of_another_server_is_nobody_of_ours(world: World) -> None:
    world.permit()
    stay = encounter(subject={"reference": f"http://elsewhere.example/fhir/{ROSA}"})
    world.notify(world.fhir.put(stay))
    world.run()
    assert world.rows("SELECT 1 FROM event") == []
    assert world.one("SELECT state FROM inbox") == "done"
