"""Nudges: planned once, moved while open, never brought back after their end."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from mappings.nudge import NudgeState
from middleware.storage.deliveries import insert_delivery
from middleware.storage.nudges import (
    get_nudge,
    list_due_nudges,
    list_event_nudges,
    list_open_nudges,
    set_nudge,
    upsert_nudges,
)
from tests.conftest import NOW
from tests.unit.storage.seeds import DELIVERY, NUDGE, PATIENT, SHARD, seed

DUE = NUDGE.due_at


def test_a_nudge_comes_back_as_it_was(database):
    with database.tx() as tx:
        seed(tx, nudge=False)
        assert upsert_nudges(tx, [NUDGE], NOW) == {NUDGE.key: "n1"}
        assert get_nudge(tx, "n1") == NUDGE
        assert get_nudge(tx, "n2") is None
        assert list_event_nudges(tx, "ev1") == [NUDGE]


def test_the_same_nudge_again_changes_nothing(database):
    with database.tx() as tx:
        seed(tx)
        again = replace(NUDGE, id="n2", reason="paused", title="Other")
        assert upsert_nudges(tx, [again], NOW) == {NUDGE.key: "n1"}
        assert list_open_nudges(tx, "e1", PATIENT) == [NUDGE]


def test_an_open_nudge_moves_with_its_occasion(database):
    later = DUE + timedelta(days=1)
    moved = replace(
        NUDGE,
        id="n2",
        due_at=later,
        expires_at=later + timedelta(days=2),
        detail={"start": "x"},
    )
    with database.tx() as tx:
        seed(tx)
        assert upsert_nudges(tx, [moved], NOW) == {NUDGE.key: "n1"}
        assert get_nudge(tx, "n1") == replace(moved, id="n1")
        assert list_due_nudges(tx, SHARD, DUE, 10) == []


def test_a_key_that_comes_twice_at_once_is_one_nudge_as_it_came_last(database):
    later = replace(NUDGE, id="n2", due_at=DUE + timedelta(days=1))
    other = replace(NUDGE, id="n3", key="k3")
    with database.tx() as tx:
        seed(tx, nudge=False)
        ids = upsert_nudges(tx, [NUDGE, other, later], NOW)
        assert ids == {NUDGE.key: "n1", "k3": "n3"}
        opened = list_open_nudges(tx, "e1", PATIENT)
    assert opened == [other, replace(later, id="n1")]


@pytest.mark.parametrize("state", ["sending", "sent", "failed", "skipped", "cancelled"])
def test_a_nudge_that_is_not_open_is_left_alone(database, state):
    ended = replace(NUDGE, state=NudgeState(state))
    with database.tx() as tx:
        seed(tx, nudge=False)
        upsert_nudges(tx, [ended], NOW)
        upsert_nudges(tx, [replace(NUDGE, due_at=DUE + timedelta(days=1))], NOW)
        assert get_nudge(tx, "n1") == ended
        assert list_open_nudges(tx, "e1", PATIENT) == []


def test_due_nudges_are_listed_by_time_then_urgency(database):
    urgent = replace(NUDGE, id="n2", key="k2", priority=10)
    early = replace(NUDGE, id="n3", key="k3", due_at=NOW, state=NudgeState.HELD)
    later = replace(NUDGE, id="n4", key="k4", due_at=DUE + timedelta(days=9))
    with database.tx() as tx:
        seed(tx)
        for nudge in (urgent, early, later):
            upsert_nudges(tx, [nudge], NOW)
        found = list_due_nudges(tx, SHARD, DUE, 10)
        assert [nudge.id for nudge in found] == ["n3", "n2", "n1"]
        assert [n.id for n in list_due_nudges(tx, SHARD, DUE, 1)] == ["n3"]
        opened = list_open_nudges(tx, "e1", PATIENT)
        assert [nudge.id for nudge in opened] == ["n3", "n1", "n2", "n4"]


def test_set_nudge_changes_what_is_given(database):
    until = NOW + timedelta(days=1)
    with database.tx() as tx:
        seed(tx)
        set_nudge(tx, "n1", NudgeState.HELD, "paused", NOW, due_at=until, attempts=2)
        held = get_nudge(tx, "n1")
        set_nudge(
            tx,
            "n1",
            NudgeState.SENT,
            "due",
            NOW,
            channel="sms",
            address="+15550101",
            language="es",
        )
        sent = get_nudge(tx, "n1")
        ended = tx.execute("SELECT done_at FROM nudge").fetchone()
    assert held == replace(
        NUDGE, state=NudgeState.HELD, reason="paused", due_at=until, attempts=2
    )
    assert sent == replace(
        held,
        state=NudgeState.SENT,
        reason="due",
        channel="sms",
        address="+15550101",
        language="es",
    )
    assert ended == {"done_at": NOW}


@pytest.mark.parametrize(
    ("reason", "delivered", "state"),
    [
        ("appointment-cancelled", False, NudgeState.PLANNED),
        ("event-undone", False, NudgeState.PLANNED),
        ("appointment-cancelled", True, NudgeState.CANCELLED),
        ("deceased", False, NudgeState.CANCELLED),
        ("already-booked", False, NudgeState.PLANNED),
        ("already-booked", True, NudgeState.CANCELLED),
        ("window-passed", False, NudgeState.CANCELLED),
    ],
)
def test_a_cancelled_nudge_opens_again_only_where_its_reason_has_gone(
    database, reason, delivered, state
):
    with database.tx() as tx:
        seed(tx)
        set_nudge(tx, "n1", NudgeState.CANCELLED, reason, NOW)
        if delivered:
            insert_delivery(tx, replace(DELIVERY, nudge_id="n1"), NUDGE.topic)

        upsert_nudges(tx, [replace(NUDGE, id="n9")], NOW)

        found = get_nudge(tx, "n1")
    assert found is not None
    assert found.state is state
