"""What goes back to the EHR and what comes back from people."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from middleware.storage.inbound import (
    InboundItem,
    finish_inbound,
    get_inbound,
    insert_inbound,
    kill_inbound,
    list_inbound,
    retry_inbound,
)
from middleware.storage.outbox import (
    OutboxItem,
    find_outbox,
    finish_outbox,
    insert_outbox,
    keep_outbox,
    kill_outbox,
    list_outbox,
    retry_outbox,
)
from tests.conftest import NOW
from tests.unit.storage.seeds import PATIENT, SHARD, seed

LATER = NOW + timedelta(minutes=1)
ITEM = OutboxItem(
    "o1",
    "communication|d1",
    "e1",
    PATIENT,
    SHARD,
    {"resourceType": "Communication"},
    "waiting",
    NOW,
    0,
    None,
    None,
    None,
)


def put(tx, number: int = 1) -> bool:
    return insert_outbox(
        tx,
        id=f"o{number}",
        key=ITEM.key if number == 1 else f"key {number}",
        endpoint_id="e1",
        patient=PATIENT,
        shard=SHARD,
        resource=ITEM.resource,
        due_at=NOW,
    )


def reply(tx, key: str = "sms:SM9:reply", **changes) -> bool:
    values = {
        "key": key,
        "channel": "sms",
        "source": "reply",
        "address": "+15550101",
        "body": "gracias",
        "detail": {"sid": "SM9"},
        "received_at": NOW,
        "shard": 4,
    }
    return insert_inbound(tx, **{**values, **changes})


def test_an_outbox_item_is_added_once_and_finished(database):
    with database.tx() as tx:
        seed(tx)
        assert put(tx)
        assert not put(tx)
        assert list_outbox(tx, [SHARD], NOW, 10) == [ITEM]
        finish_outbox(tx, "o1", "Communication/7", LATER)
        done = replace(
            ITEM, state="done", server_reference="Communication/7", done_at=LATER
        )
        assert find_outbox(tx, ITEM.key) == done
        assert list_outbox(tx, [SHARD], LATER, 10) == []


def test_outbox_items_are_retried_kept_and_killed(database):
    with database.tx() as tx:
        seed(tx)
        for number in (1, 2, 3):
            put(tx, number)
        retry_outbox(tx, "o1", LATER, "away")
        keep_outbox(tx, "o2", "405", NOW)
        kill_outbox(tx, "o3", "422", NOW)
        assert list_outbox(tx, [SHARD], NOW, 10) == []
        assert list_outbox(tx, [SHARD], LATER, 10) == [
            replace(ITEM, due_at=LATER, attempts=1, error="away")
        ]
        states = tx.execute("SELECT state FROM outbox ORDER BY id").fetchall()
    assert [row["state"] for row in states] == ["waiting", "kept", "dead"]


def test_a_reply_is_added_once_and_finished_with_its_intent(database):
    with database.tx() as tx:
        assert reply(tx)
        assert not reply(tx)
        (found,) = list_inbound(tx, [4], NOW, 10)
        assert found == InboundItem(
            found.id,
            "sms:SM9:reply",
            "sms",
            "reply",
            "+15550101",
            "gracias",
            {"sid": "SM9"},
            NOW,
            4,
            "waiting",
            NOW,
            0,
            None,
            None,
        )
        finish_inbound(tx, found.id, "other", LATER)
        assert list_inbound(tx, [4], LATER, 10) == []
        assert get_inbound(tx, found.id) == replace(found, state="done", intent="other")


def test_inbound_items_are_retried_and_killed(database):
    with database.tx() as tx:
        reply(tx, "a", source="receipt")
        reply(tx, "b")
        one, two = list_inbound(tx, [4], NOW, 10)
        retry_inbound(tx, one.id, LATER, "away")
        kill_inbound(tx, two.id, "unreadable", NOW)
        assert list_inbound(tx, [4], NOW, 10) == []
        assert list_inbound(tx, [4], LATER, 10) == [
            replace(one, due_at=LATER, attempts=1, error="away")
        ]
