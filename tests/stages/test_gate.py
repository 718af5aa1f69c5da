"""The gate: whatever denial is committed first wins, and nothing is sent twice."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from mappings.delivery import Receipt
from mappings.errors import FencedError
from mappings.instants import write_instant
from mappings.nudge import Nudge, NudgeState
from mappings.preference import Who
from middleware.storage import gate, nudges, preferences, settling, shards, switches
from tests.stages.locks import wait_for_lock
from tests.stages.world import (
    CHECK_IN,
    DOWN,
    ENDPOINT,
    MAIL,
    NUMBER,
    ROSA,
    STAGES,
    START,
    World,
    encounter,
)


@pytest.fixture
def due(world: World) -> World:
    """Rosa's check-in is due now."""
    world.discharge()
    world.run()
    world.clock.instant = CHECK_IN
    return world


def deny(world: World, tx: Any) -> None:
    tx.execute(
        "INSERT INTO consent (id, endpoint_id, patient, system, value, topic, permit, "
        "who, how, recorded_at) VALUES ('no', %s, NULL, 'sms', %s, '*', false, "
        "'patient', 'reply STOP', %s)",
        (ENDPOINT.id, NUMBER, world.clock.now()),
    )


def put_pause(world: World, tx: Any, until: datetime) -> None:
    preferences.insert_preference(
        tx,
        id="p1",
        endpoint_id=ENDPOINT.id,
        patient=ROSA,
        name="pause",
        value={"until": write_instant(until)},
        who=Who.STAFF,
        how="in the chart",
        recorded_by=None,
        recorded_at=world.clock.now(),
    )


def test_a_stop_committed_while_the_gate_waits_wins(due: World) -> None:
    with due.database.tx() as tx:
        gate.lock_contact_point(tx, "sms", NUMBER)
        worker = threading.Thread(target=due.run, args=("deliver",))
        worker.start()
        wait_for_lock(due)
        deny(due, tx)
    worker.join(20)
    assert due.sms.sent == []
    assert due.state() == "held: opted-out"
    assert due.deliveries() == []


def test_a_pause_committed_while_the_gate_waits_wins(due: World) -> None:
    with due.database.tx() as tx:
        gate.lock_patient(tx, ENDPOINT.id, ROSA)
        worker = threading.Thread(target=due.run, args=("deliver",))
        worker.start()
        wait_for_lock(due)
        put_pause(due, tx, CHECK_IN + timedelta(days=30))
    worker.join(20)
    assert due.sms.sent == []
    assert due.state() == "held: paused"


@pytest.mark.parametrize(
    ("scope", "target"),
    [
        ("all", "*"),
        ("plan", "post-discharge"),
        ("topic", "post-discharge"),
        ("endpoint", "north"),
        ("channel", "sms"),
    ],
)
def test_a_switch_committed_while_the_gate_waits_wins(
    due: World, scope: str, target: str
) -> None:
    with due.database.tx() as tx:
        switches.set_switch(
            tx,
            id="w1",
            scope=scope,
            target=target,
            reason="trial",
            set_by="test",
            now=due.clock.now(),
        )
        worker = threading.Thread(target=due.run, args=("deliver",))
        worker.start()
        wait_for_lock(due)
    worker.join(20)
    assert due.sms.sent == []
    assert due.deliveries() == []
    assert due.nudge()["state"] == "held"


def test_a_released_switch_lets_the_message_go_once(due: World) -> None:
    values = {"scope": "all", "target": "*"}
    with due.database.tx() as tx:
        switches.set_switch(
            tx, id="w1", reason="x", set_by="t", now=due.clock.now(), **values
        )
    due.run()
    assert due.state() == "held: switched-off"
    with due.database.tx() as tx:
        switches.release_switch(tx, released_by="t", now=due.clock.now(), **values)
    due.wait(hours=20)
    assert len(due.sms.sent) == 1


def test_a_skip_while_the_chart_is_read_wins(due: World) -> None:
    """Staff skip the message between the list of what is due and the gate."""

    def skip(what: str) -> None:
        nudge = due.nudge()
        if nudge["state"] == "planned":
            with due.database.tx() as tx:
                gate.lock_patient(tx, ENDPOINT.id, ROSA)
                nudges.set_nudge(
                    tx,
                    nudge["id"],
                    NudgeState.SKIPPED,
                    "skipped-by-staff",
                    due.clock.now(),
                )

    due.fhir.on_read = skip
    due.run("deliver")
    assert due.sms.sent == []
    assert due.state() == "skipped: skipped-by-staff"


def test_a_skip_while_the_chart_cannot_be_read_is_not_revived(due: World) -> None:
    def skip(what: str) -> None:
        with due.database.tx() as tx:
            nudges.set_nudge(
                tx,
                due.nudge()["id"],
                NudgeState.SKIPPED,
                "skipped-by-staff",
                due.clock.now(),
            )

    due.fhir.on_read = skip
    due.fhir.fault = lambda verb, what: DOWN
    due.run("deliver")
    due.fhir.on_read = lambda what: None
    due.fhir.fault = lambda verb, what: None
    due.wait(hours=3)
    assert due.sms.sent == []
    assert due.state() == "skipped: skipped-by-staff"


def test_a_visit_moved_by_decide_while_deliver_reads_is_not_sent(world: World) -> None:
    """DECIDE holds another lock than DELIVER: both may look at one nudge at once."""
    world.discharge()
    world.run()
    world.clock.instant = CHECK_IN
    later = CHECK_IN + timedelta(hours=3)

    def move(what: str) -> None:
        with world.database.tx() as tx:
            nudges.set_nudge(
                tx,
                world.nudge()["id"],
                NudgeState.PLANNED,
                "due",
                world.clock.now(),
                due_at=later,
            )

    world.fhir.on_read = move
    world.run("deliver")
    assert world.sms.sent == []
    assert world.nudge()["due_at"] == later


def pause(world: World, until: datetime) -> None:
    with world.database.tx() as tx:
        put_pause(world, tx, until)


def other_event(world: World) -> None:
    """Another stay of the same patient waits to be decided on."""
    world.fhir.put({**encounter(), "id": "old", "class": {"code": "AMB"}})
    world.notify("Encounter/old")
    world.run("resolve")


def test_decide_never_takes_back_what_is_being_sent(due: World) -> None:
    """While the provider has the message, an event of the patient is decided on."""
    other_event(due)

    def decide_meanwhile(message: Any) -> None:
        pause(due, CHECK_IN + timedelta(hours=2))
        due.run("decide")

    due.sms.on_send = decide_meanwhile
    due.run("deliver")
    for _ in range(24):
        due.wait(hours=1)
    assert len(due.sms.sent) == 1
    assert due.state() == "sent: due"


def test_decide_and_the_gate_take_turns(due: World) -> None:
    """DECIDE must not write over the gate's mark what it read before it."""
    other_event(due)
    pause(due, CHECK_IN + timedelta(hours=2))
    nudge = due.nudge()
    with due.database.tx() as tx:
        gate.lock_patient(tx, ENDPOINT.id, ROSA)
        nudges.set_nudge(tx, nudge["id"], NudgeState.SENDING, "due", CHECK_IN)
        worker = threading.Thread(target=due.run, args=("decide",))
        worker.start()
        wait_for_lock(due)
    worker.join(20)
    assert due.state() == "sending: due"


def test_a_visit_cancelled_a_second_before_is_not_reminded_of(world: World) -> None:
    start = START + timedelta(days=5)
    name = world.book(start)
    world.run()
    due = world.nudge("one-day")["due_at"]
    world.go(world.nudge("three-days")["due_at"])
    assert len(world.sms.sent) == 1
    world.go(due - timedelta(seconds=1))
    world.fhir.change(name, status="cancelled")  # nobody tells us
    world.go(due)
    assert len(world.sms.sent) == 1
    assert world.state("one-day") == "cancelled: appointment-cancelled"


@pytest.mark.parametrize(
    ("code", "reason"), [("fr", "wording-missing"), ("vi", "wording-not-reviewed")]
)
def test_a_language_changed_a_second_before_asks_staff_once(
    due: World, code: str, reason: str
) -> None:
    """Nobody tells us: the gate finds it, holds the message and asks a person."""
    language = {"coding": [{"system": "urn:ietf:bcp:47", "code": code}]}
    due.fhir.change(ROSA, communication=[{"language": language}])
    due.run("deliver")
    assert due.sms.sent == []
    assert due.state() == f"held: {reason}"
    assert due.tasks() == [(reason, "routine")]
    due.wait(days=3)
    assert due.sms.sent == []
    assert due.tasks().count((reason, "routine")) == 1


def test_a_death_a_second_before_ends_everything(due: World) -> None:
    due.fhir.change(ROSA, deceasedBoolean=True)
    due.run()
    assert due.sms.sent == []
    assert due.state() == "cancelled: deceased"


def test_facts_that_grew_old_behind_a_slow_ehr_are_read_again(due: World) -> None:
    def slow(what: str) -> None:
        due.fhir.on_read = lambda what: None
        due.clock.instant += timedelta(seconds=90)

    due.fhir.on_read = slow
    due.drain("deliver")
    assert due.sms.sent == []
    assert due.state() == "held: facts-stale"
    due.wait(seconds=2)
    assert len(due.sms.sent) == 1


def test_a_fenced_worker_cannot_pass_the_gate(due: World) -> None:
    """Its shard was taken while it read the chart."""
    shard = due.nudge()["shard"]

    def freeze(what: str) -> None:
        with due.database.tx() as tx:
            tx.execute(
                "UPDATE shard SET epoch = epoch + 1 "
                "WHERE stage = 'deliver' AND number = %s",
                (shard,),
            )

    due.fhir.on_read = freeze
    with pytest.raises(FencedError):
        due.step("deliver", shard)
    assert due.sms.sent == []
    assert due.deliveries() == []
    assert due.state() == "planned: due"


@pytest.mark.parametrize("stage", ["resolve", "decide", "record", "listen"])
def test_a_fenced_worker_cannot_finish_any_stage(world: World, stage: str) -> None:
    name = world.discharge()
    world.permit(system="email", value=MAIL)
    if stage != "resolve":
        world.run("resolve")
    if stage == "record":
        world.run("decide", "deliver")
        world.clock.instant = CHECK_IN
        world.run("deliver")
    if stage == "listen":
        world.reply("it hurts")
    assert name
    with world.database.tx() as tx:
        due = dict(shards.list_idle_due(tx, world.clock.now()))
    shard = due[stage]
    with shards.hold(world.database, stage, shard) as held:
        assert held is not None
        old = held.epoch - 1
        with pytest.raises(FencedError):
            STAGES[stage](world.context, {shard: old}, world.clock.now())
    before = world.one("SELECT count(*) FROM delivery WHERE state = 'sending'")
    assert before == 0
    world.run()
    table, is_open = shards.STAGE_TABLES[stage]
    left = world.rows(
        f"SELECT 1 FROM {table} WHERE {is_open} AND due_at <= %s",
        world.clock.now(),
    )
    assert left == []


def test_two_workers_send_once(due: World) -> None:
    """The second finds the shard held, whatever wakes it."""
    seen: list[object] = []

    def second(message: Any) -> None:
        shard = due.nudge()["shard"]
        with shards.hold(due.database, "deliver", shard) as held:
            seen.append(held)

    due.sms.on_send = second
    due.run("deliver")
    assert (seen, len(due.sms.sent)) == ([None], 1)


def test_the_receipt_that_was_lost_is_asked_for_once(due: World) -> None:
    """A worker that came back after a takeover changes nothing for the worse."""
    shard = due.nudge()["shard"]

    def taken_over(message: Any) -> None:
        """While the provider works, the lock is lost and another settles it."""
        due.sms.on_send = lambda message: None
        due.sms.finds = [Receipt(f"SM-{message.delivery_id}")]
        with due.database.tx() as tx:
            row = tx.execute(
                "UPDATE shard SET epoch = epoch + 1 WHERE stage = 'deliver' "
                "AND number = %s RETURNING epoch",
                (shard,),
            ).fetchone()
        STAGES["deliver"](due.context, {shard: row["epoch"]}, due.clock.now())

    due.sms.on_send = taken_over
    due.run("deliver")
    due.run()
    assert len(due.sms.sent) == 1
    assert due.deliveries() == ["sms sent"]
    assert due.state() == "sent: due"
    assert len(due.fhir.list_created("Communication")) == 1


@pytest.mark.parametrize(
    ("end", "due_hour"),
    [
        # Clocks go back in the night to 7 November 2027: 16:30 stays 16:30.
        ("2027-11-06T16:30:00-05:00", datetime(2027, 11, 7, 22, 30, tzinfo=UTC)),
        # Discharged late in the evening: due at 22:30 local, so at nine next morning.
        ("2027-11-06T22:30:00-05:00", datetime(2027, 11, 8, 15, 0, tzinfo=UTC)),
    ],
)
def test_a_night_of_the_clock_change(
    world: World, end: str, due_hour: datetime
) -> None:
    world.clock.instant = datetime.fromisoformat(end) + timedelta(minutes=30)
    world.discharge(period={"start": "2027-11-04T10:00:00-05:00", "end": end})
    world.run()
    due = world.nudge()["due_at"]
    local_hour = due.astimezone(ZoneInfo("America/Chicago")).hour
    assert 9 <= local_hour < 20
    assert due <= due_hour + timedelta(hours=1)
    world.go(due)
    assert len(world.sms.sent) == 1


def test_a_hold_released_before_its_time_sends_nothing_early(world: World) -> None:
    values = {"scope": "all", "target": "*"}
    with world.database.tx() as tx:
        switches.set_switch(
            tx, id="w1", reason="x", set_by="t", now=world.clock.now(), **values
        )
    world.discharge()
    world.run()
    assert world.state() == "held: switched-off"
    with world.database.tx() as tx:
        switches.release_switch(tx, released_by="t", now=world.clock.now(), **values)
        settling.look_again(tx, "switched-off", world.clock.now())
    world.run()

    assert world.sms.sent == []
    assert world.state() == "planned: due"
    assert world.nudge()["due_at"] == CHECK_IN
    world.go(CHECK_IN)
    assert len(world.sms.sent) == 1


def test_a_stay_put_under_another_patient_is_nobody_elses_news(due: World) -> None:
    """The clinic corrects the subject; the first patient was never in hospital."""
    due.fhir.change("Encounter/stay", subject={"reference": "Patient/other"})
    due.run()
    assert due.sms.sent == []
    assert due.state() == "cancelled: event-undone"


def test_a_visit_that_becomes_another_patients_too_waits_for_a_person(
    world: World,
) -> None:
    """It is still the second's, but nobody has read how the first one is."""
    other = {"actor": {"reference": "Patient/other"}, "status": "accepted"}
    rosa = {"actor": {"reference": ROSA}, "status": "accepted"}
    name = world.book(START + timedelta(days=5), participant=[rosa])
    world.run()
    world.fhir.change(name, participant=[other, rosa])
    world.go(world.nudge("three-days")["due_at"])
    assert world.sms.sent == []
    nudge = world.nudge("three-days")
    assert f"{nudge['state']}: {nudge['reason']}" == "held: several-patients"


def check_in_of(world: World) -> Nudge:
    with world.database.tx() as tx:
        found = nudges.list_open_nudges(tx, ENDPOINT.id, ROSA)
    return next(nudge for nudge in found if nudge.action == "check-in")


def test_a_message_that_a_person_moved_waits_and_is_planned_anew_with_its_move(
    due: World,
) -> None:
    later = CHECK_IN + timedelta(hours=2)
    moved = {"to": write_instant(later), "from": write_instant(CHECK_IN), "by": "Osei"}
    nudge = check_in_of(due)
    with due.database.tx() as tx:
        nudges.note_nudge(tx, nudge, later, moved=moved)
    # The stay changes: its plans are decided on once more.
    name = due.fhir.change(nudge.focus, serviceProvider={"display": "North"})
    due.notify(name)
    due.run()
    again = check_in_of(due)
    assert (again.due_at, again.moved_to) == (later, later)
    assert due.deliveries() == []
    with due.database.tx() as tx:
        # Whatever wakes it, it does not go before that.
        nudges.set_nudge(tx, nudge.id, nudge.state, "due", CHECK_IN, due_at=CHECK_IN)
    due.run()
    assert due.deliveries() == []
    assert check_in_of(due).due_at == later
    due.go(later)
    assert due.deliveries() == ["sms sent"]
