"""The ledger: what was decided on a day is sent, pending or ended for one reason."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest

from middleware.storage.ledger import LedgerDay, list_ledger
from tests.stages.world import START, World, appointment, encounter

DAY = datetime.combine(START.date(), time.min, UTC)


def ledger(world: World, days: int = 60) -> tuple[LedgerDay, ...]:
    with world.database.tx() as tx:
        return list_ledger(tx, DAY, DAY + timedelta(days=days))


@pytest.fixture
def home(world: World) -> World:
    world.fhir.put(encounter())
    world.notify("Encounter/stay")
    world.run("resolve", "decide")
    return world


def test_a_discharge_is_accounted_for(home: World) -> None:
    (day,) = ledger(home)
    assert day.day == START.date()
    assert day.became["pending"] == home.one("SELECT count(*) FROM nudge")
    assert day.became["task"] == 1
    assert day.became["not-applicable"] > 0
    assert day.candidates == sum(day.became.values())
    assert day.missing == 0


def test_what_does_not_apply_leaves_no_row(home: World) -> None:
    stored = home.rows("SELECT DISTINCT outcome FROM decision")
    assert "not-due" not in {row["outcome"] for row in stored}


def test_the_same_candidate_decided_again_is_counted_once(home: World) -> None:
    (before,) = ledger(home)
    home.fhir.put(encounter(serviceProvider={"reference": "Organization/o"}))
    home.notify("Encounter/stay")
    home.run("resolve", "decide")
    (after,) = ledger(home)
    assert after.became["pending"] == before.became["pending"]
    assert after.missing == 0


def test_it_holds_when_messages_are_sent_and_cancelled(home: World) -> None:
    home.clock.instant = home.one("SELECT min(due_at) FROM nudge")
    home.run("deliver")
    home.fhir.put(appointment(start="2026-11-27T15:00:00Z"))
    home.notify("Appointment/visit")
    home.run("resolve", "decide", "deliver")
    days = ledger(home)
    assert sum(item.became.get("sent", 0) for item in days) == 1
    # The offer of a visit, and the call on the tenth day.
    assert sum(item.became.get("already-booked", 0) for item in days) == 2
    assert [item.missing for item in days] == [0] * len(days)


def test_a_row_that_is_lost_shows(home: World) -> None:
    with home.database.tx() as tx:
        tx.execute("DELETE FROM decision WHERE nudge_id IN (SELECT id FROM nudge)")
        tx.execute("DELETE FROM nudge WHERE id = (SELECT min(id) FROM nudge)")
    (day,) = ledger(home)
    assert day.missing == 1


def test_staff_who_were_asked_later_count_as_asked(home: World) -> None:
    home.go(datetime(2026, 11, 24, 18, 1, tzinfo=UTC))
    assert home.state("contact-lead") == "sent: asked"
    days = ledger(home)
    # The call was asked for at once, the lead on the second business day.
    assert sum(item.became.get("task", 0) for item in days) == 2
    assert [item.missing for item in days] == [0] * len(days)
