"""The budget holds in the database: whoever races, and whatever is planned beside it."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

from mappings.instants import write_instant
from mappings.nudge import NudgeState
from middleware.stages import deliver
from middleware.stages.verdicts import Gate
from middleware.storage import nudges, shards
from middleware.storage.ids import shard_of
from tests.stages.world import CHECK_IN, ENDPOINT, ROSA, World, encounter

RACERS = 6
PATIENCE = 60.0


class Open:
    """A place that lets everything through."""

    refused = False

    def move(self, channel: str) -> bool:
        return True


def stays(world: World, count: int) -> None:
    """Discharge Rosa several times: check-ins that are due at the same instant."""
    for number in range(count):
        world.notify(world.fhir.put(encounter(id=f"stay{number}")))
    world.run("resolve", "decide")
    world.clock.instant = CHECK_IN


def due_now(world: World) -> list[Any]:
    shard = shard_of(ENDPOINT.id, ROSA)
    with world.database.tx() as tx:
        tx.execute(
            "UPDATE nudge SET due_at = %s WHERE action = 'check-in'", (CHECK_IN,)
        )
        return nudges.list_due_nudges(tx, shard, CHECK_IN, 50)


def test_racing_gates_never_send_more_than_the_day_allows(world: World) -> None:
    """Every gate is entered at once, as by workers of which one was frozen."""
    stays(world, RACERS)
    found = due_now(world)
    assert len(found) >= RACERS
    barrier, ready = threading.Barrier(len(found)), threading.local()

    def meet(what: str) -> None:
        if not getattr(ready, "met", False):
            ready.met = True
            barrier.wait(PATIENCE)

    world.fhir.on_read = meet
    faults: list[BaseException] = []

    def race(nudge: Any, epoch: int) -> None:
        try:
            gate = Gate(world.context, ENDPOINT, nudge, epoch)
            deliver._deliver(CHECK_IN, gate, Open())  # type: ignore[arg-type]
        except BaseException as error:  # noqa: BLE001 -- shown by the test
            faults.append(error)

    shard = shard_of(ENDPOINT.id, ROSA)
    with shards.hold(world.database, "deliver", shard) as held:
        assert held is not None
        racers = [
            threading.Thread(target=race, args=(nudge, held.epoch)) for nudge in found
        ]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join(PATIENCE * 2)
    assert faults == []
    assert len(world.sms.sent) == 1
    states = [row["state"] for row in world.rows("SELECT state FROM nudge")]
    assert states.count(NudgeState.SENT.value) == 1


def test_a_less_urgent_message_leaves_today_to_the_one_that_is_planned(
    world: World,
) -> None:
    world.discharge()
    world.run("resolve", "decide")
    mine = world.nudge()
    with world.database.tx() as tx:
        tx.execute(
            "INSERT INTO nudge (id, key, endpoint_id, event_id, patient, shard, plan, "
            "plan_version, action, topic, focus, occasion, recipient, state, reason, "
            "due_at, expires_at, created_at, priority) SELECT 'urgent', 'urgent', "
            "endpoint_id, event_id, patient, shard, 'other', '1', 'a', 'safety', "
            "'Encounter/x', '', recipient, 'planned', 'due', %s, expires_at, created_at, "
            "0 FROM nudge WHERE id = %s",
            (CHECK_IN + timedelta(hours=1), mine["id"]),
        )
    world.clock.instant = CHECK_IN
    world.step("deliver", mine["shard"])
    assert world.sms.sent == []
    assert world.state() == "held: limit-reached"
    with world.database.tx() as tx:
        tx.execute("UPDATE nudge SET state = 'skipped' WHERE id = 'urgent'")
        tx.execute("UPDATE nudge SET due_at = %s WHERE id = %s", (CHECK_IN, mine["id"]))
    world.step("deliver", mine["shard"])
    assert len(world.sms.sent) == 1


def test_a_held_message_that_may_never_go_keeps_no_place(world: World) -> None:
    world.discharge()
    world.run("resolve", "decide")
    mine = world.nudge()
    with world.database.tx() as tx:
        tx.execute(
            "INSERT INTO nudge (id, key, endpoint_id, event_id, patient, shard, plan, "
            "plan_version, action, topic, focus, occasion, recipient, state, reason, "
            "due_at, expires_at, created_at, priority) SELECT 'stuck', 'stuck', "
            "endpoint_id, event_id, patient, shard, 'other', '1', 'a', 'safety', "
            "'Encounter/x', '', recipient, 'held', 'no-consent', %s, expires_at, "
            "created_at, 0 FROM nudge WHERE id = %s",
            (CHECK_IN + timedelta(hours=1), mine["id"]),
        )
    world.clock.instant = CHECK_IN
    world.step("deliver", mine["shard"])
    assert len(world.sms.sent) == 1


def test_a_year_of_messages_is_read_by_the_index(world: World) -> None:
    """Ten thousand old messages of a patient do not come into it."""
    with world.database.tx() as tx:
        tx.execute(
            "INSERT INTO delivery (id, endpoint_id, patient, channel, address, language, "
            "subject, body, topic, state, sending_at) SELECT 'old' || n, %s, %s, 'sms', "
            "'+13125550142', 'en', '', '', 'education', 'sent', "
            "%s::timestamptz - interval '2 years' - n * interval '1 hour' "
            "FROM generate_series(1, 10000) AS n",
            (ENDPOINT.id, ROSA, CHECK_IN),
        )
        tx.execute("ANALYZE delivery")
        plan = tx.execute(
            "EXPLAIN SELECT topic FROM delivery AS d WHERE d.endpoint_id = %s "
            "AND d.patient = ANY(%s) AND d.sending_at >= %s",
            (ENDPOINT.id, [ROSA], CHECK_IN - timedelta(days=366)),
        ).fetchall()
    assert "delivery_patient_sending" in "\n".join(row["QUERY PLAN"] for row in plan)


def test_another_stay_within_a_week_is_not_asked_about_again(world: World) -> None:
    world.discharge()
    world.run("resolve", "decide")
    world.go(CHECK_IN)
    assert len(world.sms.sent) == 1
    second = encounter(id="again", period={"end": write_instant(CHECK_IN)})
    world.notify(world.fhir.put(second))
    world.run("resolve", "decide")
    world.wait(hours=25)
    rows = world.rows(
        "SELECT d.reason, d.detail FROM decision AS d JOIN nudge AS n "
        "ON n.id = d.nudge_id WHERE n.focus = 'Encounter/again' "
        "AND n.action = 'check-in' AND d.stage = 'deliver'"
    )
    said = "a message about the same matter went out within a week"
    assert [(row["reason"], row["detail"]) for row in rows] == [
        ("window-passed", f"{said}; that leaves no time before its end")
    ]
    assert len(world.sms.sent) == 1
