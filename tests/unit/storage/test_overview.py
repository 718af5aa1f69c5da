"""Counts, the list of events, one event's timeline and what needs attention."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from mappings.delivery import DeliveryState
from mappings.event import EventKind
from mappings.nudge import NudgeState, Outcome, Verdict
from middleware.storage.decision_log import insert_decision
from middleware.storage.deliveries import insert_delivery, mark_answered, set_delivery
from middleware.storage.events import insert_event, kill_event
from middleware.storage.inbound import insert_inbound
from middleware.storage.inbox import (
    finish_inbox,
    insert_inbox,
    kill_inbox,
    list_inbox,
)
from middleware.storage.notifications import NewNotification, insert_notifications
from middleware.storage.nudges import get_nudge, set_nudge, upsert_nudges
from middleware.storage.outbox import insert_outbox, keep_outbox
from middleware.storage.overview import Overview, count_all, list_events_page
from middleware.storage.switches import set_switch
from middleware.storage.tasks import insert_task
from middleware.storage.timeline import Step, list_attention, timeline
from tests.conftest import NOW
from tests.unit.storage.seeds import (
    CHART,
    DELIVERY,
    EVENT,
    NUDGE,
    PATIENT,
    SHARD,
    item,
    seed,
)

MINUTE = timedelta(minutes=1)


def receive(tx, **changes) -> int:
    fields = {
        "subscription_id": "s1",
        "received_at": NOW,
        "method": "POST",
        "path": "/hooks/x",
        "headers": {},
        "body": b"{}",
        "type": "event-notification",
        "form": "r4-backport",
        "state": "stored",
    }
    with tx.cursor() as cursor:
        insert_notifications(cursor, [(NewNotification(**(fields | changes)), [])])
    return tx.execute("SELECT max(id) AS id FROM notification").fetchone()["id"]


def decide(tx, number=1, reason="due", outcome=Outcome.SEND):
    insert_decision(
        tx,
        id=f"x{number}",
        endpoint_id="e1",
        patient=PATIENT,
        event_id="ev1",
        nudge_id="n1",
        stage="decide",
        plan="p",
        plan_version="1",
        action="check-in",
        verdict=Verdict(outcome, reason),
        decided_at=NOW + 2 * MINUTE,
    )


def add_task(tx):
    insert_task(
        tx,
        id="t1",
        endpoint_id="e1",
        patient=PATIENT,
        nudge_id="n1",
        priority="stat",
        reason="reply-needs-person",
        text="Call back",
        now=NOW,
    )


def test_an_empty_database_counts_nothing(database):
    with database.tx() as tx:
        assert count_all(tx) == Overview(0, 0, 0, 0, {}, {}, {}, {}, 0, 0, 0, 0, 0)
        assert list_events_page(tx, 10) == []
        assert list_attention(tx) == []


def test_everything_is_counted(database):
    with database.tx() as tx:
        seed(tx, delivery=True)
        receive(tx)
        insert_inbox(tx, [item(1), item(2)])
        kill_inbox(tx, list_inbox(tx, [7], NOW, 1)[0].id, "x", NOW)
        decide(tx)
        upsert_nudges(
            tx, [replace(NUDGE, id="n2", key="k2", state=NudgeState.HELD)], NOW
        )
        set_nudge(tx, "n1", NudgeState.SENT, "due", NOW)
        for number in (1, 2):
            insert_outbox(
                tx,
                id=f"o{number}",
                key=f"o{number}",
                endpoint_id="e1",
                patient=PATIENT,
                shard=SHARD,
                resource={},
                due_at=NOW,
            )
        keep_outbox(tx, "o2", "405", NOW)
        insert_inbound(
            tx,
            key="r1",
            channel="sms",
            source="reply",
            address="+15550101",
            body="ok",
            detail={},
            received_at=NOW,
            shard=1,
        )
        add_task(tx)
        set_switch(
            tx, id="w", scope="all", target="*", reason="x", set_by="ops", now=NOW
        )
        found = count_all(tx)
    assert found == Overview(
        notifications=1,
        items=2,
        events=1,
        decisions=1,
        nudges={("sent", "due"): 1, ("held", "due"): 1},
        deliveries={"sending": 1},
        waiting={"resolve": 1, "decide": 1, "record": 1, "listen": 1, "deliver": 1},
        dead={"resolve": 1},
        kept=1,
        recorded=0,
        replies=1,
        tasks_open=1,
        switches_on=1,
    )
    assert (found.nudges_in("sent"), found.nudges_in("failed")) == (1, 0)


def test_events_are_paged_newest_first_with_their_nudges(database):
    second = replace(EVENT, id="ev2", key="k2", kind=EventKind.APPOINTMENT_BOOKED)
    with database.tx() as tx:
        seed(tx)
        insert_event(tx, second, source="poll", inbox_id=None, chart=CHART, due_at=NOW)
        first_page = list_events_page(tx, 1)
        assert [(row.id, row.kind, row.nudges) for row in first_page] == [
            ("ev2", EventKind.APPOINTMENT_BOOKED, ())
        ]
        (last,) = list_events_page(tx, 1, first_page[-1].seq)
        assert (last.id, last.nudges) == ("ev1", (NUDGE,))
        assert list_events_page(tx, 1, last.seq) == []


def test_a_timeline_tells_every_step_in_order(database):
    sent_at, done_at = NUDGE.due_at + MINUTE, NOW + MINUTE
    with database.tx() as tx:
        seed(tx, nudge=False)
        tx.execute("DELETE FROM event")
        insert_inbox(tx, [item(1, notification_id=receive(tx))])
        (taken,) = list_inbox(tx, [7], NOW, 1)
        finish_inbox(tx, [taken.id], done_at)
        insert_event(
            tx, EVENT, source="push", inbox_id=taken.id, chart=CHART, due_at=NOW
        )
        upsert_nudges(tx, [NUDGE], NOW)
        decide(tx)
        insert_delivery(tx, replace(DELIVERY, sending_at=sent_at), "post-discharge")
        set_delivery(
            tx,
            "d1",
            DeliveryState.DELIVERED,
            sent_at=sent_at,
            delivered_at=sent_at + MINUTE,
        )
        set_nudge(tx, "n1", NudgeState.SENT, "due", sent_at)
        mark_answered(tx, "d1", sent_at + 2 * MINUTE)
        found = timeline(tx, "ev1")
    assert found == [
        Step(NOW, "received", "r4-backport"),
        Step(done_at, "read chart", "Encounter/1 version 2: encounter-discharged"),
        Step(NOW + 2 * MINUTE, "decided", "check-in: send (due)"),
        Step(NUDGE.due_at, "due", "check-in: sent (due)"),
        Step(sent_at, "sent", "sms, es"),
        Step(sent_at + MINUTE, "delivered", "sms"),
        Step(sent_at + 2 * MINUTE, "answered", "sms"),
    ]


def test_the_timeline_of_an_unknown_event_is_empty(database):
    with database.tx() as tx:
        assert timeline(tx, "nothing") == []


def test_attention_is_grouped_by_reason(database):
    with database.tx() as tx:
        seed(tx)
        for number in (2, 3):
            upsert_nudges(tx, [replace(NUDGE, id=f"n{number}", key=f"k{number}")], NOW)
            set_nudge(tx, f"n{number}", NudgeState.HELD, "paused", NOW)
        kill_event(tx, "ev1", "the chart cannot be read", NOW)
        add_task(tx)
        found = list_attention(tx)
        held = get_nudge(tx, "n2")
    assert held is not None
    assert [(g.reason, g.sentence, len(g.items)) for g in found] == [
        ("paused", "Messages to this patient are paused.", 2),
        (
            "dead-letter",
            "It failed several times and was given up; a person decides.",
            1,
        ),
        ("reply-needs-person", "A reply from the patient waits for a person.", 1),
    ]
    assert [
        (i.kind, i.id, i.state, i.text) for group in found for i in group.items
    ] == [
        ("nudge", "n2", "held", held.title),
        ("nudge", "n3", "held", held.title),
        ("decide", "ev1", "dead", "the chart cannot be read"),
        ("task", "t1", "stat", "Call back"),
    ]


def test_a_quarantined_notification_waits_for_a_person(database):
    with database.tx() as tx:
        seed(tx, nudge=False)
        aside = {"type": None, "form": None, "state": "quarantined"}
        receive(tx, body=b"{", error="not JSON", **aside)
        found = list_attention(tx)
    (group,) = [group for group in found if group.reason == "quarantined"]
    assert [(item.kind, item.text) for item in group.items] == [("receive", "not JSON")]
