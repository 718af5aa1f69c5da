"""Deliveries and the gate: what counts, what is stuck, and who waits for whom."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from mappings.delivery import DeliveryState
from mappings.errors import StorageError
from mappings.preference import ConsentRecord, SentMessage, Who
from middleware.storage.deliveries import (
    find_delivery,
    get_delivery,
    insert_delivery,
    latest_delivery_to,
    list_nudge_deliveries,
    list_sent,
    lock_gate,
    mark_answered,
    set_delivery,
)
from middleware.storage.hand_overs import count_hand_overs, list_hand_overs
from middleware.storage.preferences import insert_consent, insert_preference
from middleware.storage.switches import set_switch
from tests.conftest import NOW
from tests.unit.storage.seeds import ABOUT, DELIVERY, PATIENT, seed

LATER = NOW + timedelta(minutes=1)
STOP = ConsentRecord(
    id="c1",
    endpoint_id="e1",
    patient=PATIENT,
    system="sms",
    value="+15550101",
    topic="*",
    permit=False,
    who=Who.PATIENT,
    how="reply STOP",
    recorded_at=NOW,
)


def test_a_delivery_comes_back_and_is_found_by_the_providers_id(database):
    with database.tx() as tx:
        seed(tx, delivery=True)
        assert get_delivery(tx, "d1") == DELIVERY
        assert set_delivery(
            tx, "d1", DeliveryState.SENT, provider_id="SM1", sent_at=LATER
        )
        sent = replace(
            DELIVERY, state=DeliveryState.SENT, provider_id="SM1", sent_at=LATER
        )
        assert find_delivery(tx, "sms", "SM1") == sent
        assert find_delivery(tx, "email", "SM1") is None
        assert list_nudge_deliveries(tx, "n1") == [sent]


def test_a_late_receipt_does_not_take_back_an_end(database):
    with database.tx() as tx:
        seed(tx, delivery=True)
        assert set_delivery(tx, "d1", DeliveryState.DELIVERED, delivered_at=LATER)
        assert not set_delivery(tx, "d1", DeliveryState.SENT, sent_at=LATER)
        assert not set_delivery(tx, "d1", DeliveryState.FAILED, reason="not-delivered")
        assert get_delivery(tx, "d1") == replace(
            DELIVERY, state=DeliveryState.DELIVERED, delivered_at=LATER
        )


def test_an_unknown_delivery_may_still_turn_out_delivered(database):
    with database.tx() as tx:
        seed(tx, delivery=True)
        assert set_delivery(tx, "d1", DeliveryState.UNKNOWN, reason="delivery-unknown")
        assert set_delivery(tx, "d1", DeliveryState.DELIVERED, delivered_at=LATER)


def test_hand_overs_are_counted_by_how_long_they_took(database):
    took = {"d1": 0.004, "d2": 0.3, "d3": 7.0}
    with database.tx() as tx:
        seed(tx, delivery=True)
        for name, seconds in took.items():
            if name != "d1":
                insert_delivery(tx, replace(DELIVERY, id=name), "appointment")
            sent_at = NOW + timedelta(seconds=seconds)
            set_delivery(tx, name, DeliveryState.SENT, handed_at=NOW, sent_at=sent_at)
        # Found after a crash: nobody knows when the channel had it.
        insert_delivery(tx, replace(DELIVERY, id="d4"), "appointment")
        set_delivery(tx, "d4", DeliveryState.SENT, sent_at=LATER)
        (found,) = count_hand_overs(tx, (0.005, 0.1, 0.5, 5.0))
        assert (found.channel, found.count) == ("sms", 3)
        assert found.seconds == pytest.approx(7.304)
        assert found.within == {0.005: 1, 0.1: 1, 0.5: 2, 5.0: 2}
        listed = list_hand_overs(tx, NOW)
    assert [seconds for _, seconds in listed] == pytest.approx([0.004, 0.3, 7.0])


def test_only_messages_that_may_have_arrived_count(database):
    answer = replace(DELIVERY, id="d2", nudge_id="")
    failed = replace(DELIVERY, id="d3", state=DeliveryState.FAILED)
    old = replace(DELIVERY, id="d4", sending_at=NOW - timedelta(days=8))
    with database.tx() as tx:
        seed(tx, delivery=True)
        insert_delivery(tx, answer, "reply")
        for delivery in (failed, old):
            insert_delivery(tx, delivery, "other")
        mark_answered(tx, "d1", LATER)
        found = list_sent(tx, "e1", [PATIENT], NOW - timedelta(days=7))
        assert get_delivery(tx, "d2") == answer
    assert found == [(PATIENT, SentMessage(NOW, "post-discharge", "sms", True, ABOUT))]


def test_a_reply_answers_the_newest_message_to_its_address(database):
    newer = replace(DELIVERY, id="d2", sending_at=LATER)
    answer = replace(DELIVERY, id="d3", nudge_id="", sending_at=LATER)
    with database.tx() as tx:
        seed(tx, delivery=True)
        insert_delivery(tx, newer, "post-discharge")
        insert_delivery(tx, answer, "reply")
        assert latest_delivery_to(tx, "sms", "+15550101") == newer
        assert latest_delivery_to(tx, "sms", "+15550102") is None


@pytest.mark.parametrize("denial", ["stop", "pause", "switch"])
def test_a_denial_waits_for_the_gate_and_the_next_gate_sees_it(database, denial):
    """Both take the same locks: the denial commits wholly before or wholly after."""
    order: list[str] = []
    started = threading.Event()

    def deny() -> None:
        with database.tx() as tx:
            started.set()
            _deny(tx, denial)
            order.append("denied")

    with database.tx() as tx:
        _lock(tx)
        thread = threading.Thread(target=deny)
        thread.start()
        started.wait()
        _wait_for_a_waiter(database)
        order.append("gate")
    thread.join()
    assert order == ["gate", "denied"]


def test_two_gates_of_different_patients_do_not_wait_for_each_other(database):
    with database.tx() as one, database.tx() as two:
        two.execute("SET LOCAL lock_timeout = '100ms'")
        _lock(one)
        lock_gate(
            two,
            endpoint_id="e1",
            patient="Patient/other",
            system="sms",
            value="+15550102",
        )
        held = "SELECT value FROM contact_point ORDER BY value"
        assert {"value": "+15550102"} in two.execute(held).fetchall()


def test_two_gates_of_one_patient_wait_for_each_other(database):
    with database.tx() as one:
        _lock(one)
        with pytest.raises(StorageError, match="55P03"):
            _lock_soon(database, "email", "rosa@example.org")


def _lock_soon(database, system, value):
    with database.tx() as tx:
        tx.execute("SET LOCAL lock_timeout = '100ms'")
        lock_gate(tx, endpoint_id="e1", patient=PATIENT, system=system, value=value)


def _lock(tx):
    lock_gate(tx, endpoint_id="e1", patient=PATIENT, system="sms", value="+15550101")


def _deny(tx, denial):
    if denial == "stop":
        insert_consent(tx, STOP)
    elif denial == "pause":
        insert_preference(
            tx,
            id="p1",
            endpoint_id="e1",
            patient=PATIENT,
            name="pause",
            value={"until": None, "why": "asked"},
            who=Who.PATIENT,
            how="page",
            recorded_by=None,
            recorded_at=NOW,
        )
    else:
        set_switch(
            tx, id="w1", scope="all", target="*", reason="x", set_by="ops", now=NOW
        )


def _wait_for_a_waiter(database):
    """Return when some session of this database waits for a lock."""
    for _ in range(10_000):
        with database.tx() as tx:
            row = tx.execute(
                "SELECT count(*) AS n FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ).fetchone()
        if row["n"]:
            return
    raise AssertionError("nobody waited")
