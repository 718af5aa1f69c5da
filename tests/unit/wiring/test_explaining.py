"""What is told of an event, also of what left no verdict."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from mappings.endpoint import Endpoint, EndpointKind
from mappings.errors import BadInputError
from middleware.clock import FixedClock
from middleware.stages import decide
from middleware.storage import endpoints, events
from middleware.storage.shards import hold
from middleware.wiring.explaining import explain_id
from middleware.wiring.pipeline import bind_step, stage_context
from middleware.wiring.runtime import Runtime
from tests.unit.decisions.story import DISCHARGED, chart, encounter, endpoint

pytestmark = pytest.mark.usefixtures("own_logging")


def happen(runtime: Runtime, clock: FixedClock, here: Endpoint) -> str:
    """Let somebody go home, and decide on it."""
    now = clock.now()
    ended = (now - timedelta(hours=1)).isoformat()
    stay = encounter(period={"start": ended, "end": ended})
    told = replace(DISCHARGED, id="stay", key="stay", occurred_at=now, received_at=now)
    with runtime.database.tx() as tx:
        endpoints.insert_endpoint(tx, here, now)
        read = chart(stay, read_at=now)
        events.insert_event(
            tx, told, source="push", inbox_id=None, chart=read, due_at=now
        )
    with hold(runtime.database, "decide", told.shard) as held:
        assert held
        step = bind_step(decide.step, stage_context(runtime))
        assert step({told.shard: held.epoch}) == 1
    return told.id


def test_plans_that_are_off_are_named_and_left_unweighed(
    runtime: Runtime, clock: FixedClock
) -> None:
    here = endpoint(kind=EndpointKind.SANDBOX)  # where what nobody asked for is off
    found = explain_id(runtime, happen(runtime, clock, here))
    assert found.decisions
    assert {row.verdict.reason for row in found.decisions}.isdisjoint({"plan-off"})
    assert not any(row.plan.endswith("/lung") for row in found.decisions)
    last = found.sentences[-1]
    assert last.startswith("Switched off here now, and not weighed: ")
    assert " lung," in last
    with runtime.database.tx() as tx:
        row = tx.execute(
            "SELECT count(*) AS n FROM ledger WHERE plan LIKE '%%/lung'"
        ).fetchone()
    assert row == {"n": 0}


def test_an_event_of_which_nothing_came_is_explained(
    runtime: Runtime, clock: FixedClock
) -> None:
    here = endpoint(kind=EndpointKind.TEST)  # where no plan is on at first
    found = explain_id(runtime, happen(runtime, clock, here))
    assert found.decisions == ()
    assert found.sentences[0] == "No step of a plan that is on applies."
    assert "post-discharge" in found.sentences[1]


def test_what_is_nothing_of_ours_is_bad_input(runtime: Runtime) -> None:
    with pytest.raises(BadInputError, match="No event, nudge, delivery or decision"):
        explain_id(runtime, "nothing-of-ours")
