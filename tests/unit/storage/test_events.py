"""Events, focus states and decisions: what goes in comes out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from mappings.event import FocusState
from mappings.nudge import Fact, Outcome, Verdict
from middleware.storage.decision_log import DecisionRow, insert_decision, list_decisions
from middleware.storage.events import (
    finish_event,
    get_event,
    insert_event,
    kill_event,
    list_events,
    list_focus_states,
    put_focus_states,
    retry_event,
)
from tests.conftest import NOW
from tests.unit.storage.seeds import CHART, EVENT, PATIENT, SHARD, seed

LATER = NOW + timedelta(minutes=1)


def test_an_event_comes_back_with_its_chart(database):
    with database.tx() as tx:
        seed(tx)
        assert list_events(tx, [SHARD], NOW, 10) == [(EVENT, CHART)]
        assert get_event(tx, "ev1") == (EVENT, CHART)
        assert get_event(tx, "ev2") is None
        assert list_events(tx, [SHARD], NOW - timedelta(seconds=1), 10) == []


def test_an_event_with_a_known_key_is_not_added(database):
    with database.tx() as tx:
        seed(tx)
        again = insert_event(
            tx,
            replace(EVENT, id="ev2"),
            source="poll",
            inbox_id=1,
            chart=CHART,
            due_at=NOW,
        )
        assert not again
        assert len(list_events(tx, [SHARD], NOW, 10)) == 1


def test_an_event_is_retried_then_finished(database):
    with database.tx() as tx:
        seed(tx)
        retry_event(tx, "ev1", LATER, "away")
        assert list_events(tx, [SHARD], NOW, 10) == []
        ((again, _),) = list_events(tx, [SHARD], LATER, 10)
        assert again == replace(EVENT, attempts=1)
        finish_event(tx, ["ev1"], LATER)
        kill_event(tx, "ev1", "late", LATER)
        assert list_events(tx, [SHARD], LATER, 10) == []
        assert tx.execute("SELECT state FROM event").fetchone() == {"state": "done"}


def test_a_killed_event_is_dead(database):
    with database.tx() as tx:
        seed(tx)
        kill_event(tx, "ev1", "cannot be read", LATER)
        row = tx.execute("SELECT state, error, done_at FROM event").fetchone()
    assert row == {"state": "dead", "error": "cannot be read", "done_at": LATER}


def test_a_focus_state_is_replaced(database):
    first = FocusState("Encounter/1", "1", "admitted", "", NOW, PATIENT)
    second = FocusState("Encounter/1", "2", "discharged", "x", LATER, PATIENT)
    with database.tx() as tx:
        seed(tx)
        assert list_focus_states(tx, "e1", ["Encounter/1"]) == {}
        put_focus_states(tx, "e1", [first])
        put_focus_states(tx, "e1", [second])
        found = list_focus_states(tx, "e1", ["Encounter/1", "Encounter/2"])
        assert found == {"Encounter/1": second}


def test_decisions_keep_the_verdict_and_its_facts(database):
    fact = Fact("Encounter/1", "2", "status", "finished")
    verdict = Verdict(Outcome.HOLD, "no-consent", (fact,), detail="sms")
    with database.tx() as tx:
        for number, nudge in ((1, None), (2, "n1")):
            insert_decision(
                tx,
                id=f"x{number}",
                endpoint_id="e1",
                patient=PATIENT,
                event_id="ev1",
                nudge_id=nudge,
                stage="decide",
                plan="p",
                plan_version="1",
                action="a",
                verdict=verdict,
                decided_at=NOW,
            )
        first, second = list_decisions(tx, event_id="ev1")
        assert first == DecisionRow(
            "x1", "e1", PATIENT, "ev1", None, "decide", "p", "1", "a", verdict, NOW
        )
        assert list_decisions(tx, nudge_id="n1") == [second]
        assert list_decisions(tx, id="x2") == [second]
        assert list_decisions(tx) == []
