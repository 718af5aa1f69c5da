"""Trying a plan on stored events, switching it on, and its pause when people object."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mappings.content import load_shipped, shipped_resources
from mappings.endpoint import Endpoint, EndpointKind
from mappings.errors import BadInputError
from middleware.cli.main import main
from middleware.clock import FixedClock
from middleware.storage import endpoints, events, preferences, rollouts
from middleware.storage.audit import list_audit
from middleware.wiring.rolling_out import pause_unwanted, switch_off, switch_on
from middleware.wiring.runtime import Runtime
from middleware.wiring.trying import try_plan
from tests.unit.decisions.story import DISCHARGED as _DISCHARGED
from tests.unit.decisions.story import (
    LIBRARY,
    chart,
    consent,
    encounter,
    endpoint,
)

PLAN = next(item for item in load_shipped().plans if item.id == "post-discharge")
TABLES = ("nudge", "delivery", "decision", "outbox", "ledger")

pytestmark = pytest.mark.usefixtures("own_logging")


@pytest.fixture
def north(runtime: Runtime, clock: FixedClock) -> Endpoint:
    """A real EHR with what came in from it: ten people who went home."""
    here = endpoint(kind=EndpointKind.TEST)
    now = clock.now()
    with runtime.database.tx() as tx:
        endpoints.insert_endpoint(tx, here, now)
        preferences.insert_consent(tx, consent())
        for number in range(10):
            told = replace(
                _DISCHARGED,
                id=f"event-{number}",
                key=f"key-{number}",
                occurred_at=now - timedelta(days=number),
                received_at=now - timedelta(days=number),
            )
            ended = (now - timedelta(days=number, hours=1)).isoformat()
            stay = encounter(period={"start": ended, "end": ended})
            read = chart(stay, read_at=told.received_at)
            events.insert_event(
                tx, told, source="push", inbox_id=None, chart=read, due_at=now
            )
        found = endpoints.get_endpoint(tx, here.id)
    assert found is not None
    return found


def counts(runtime: Runtime) -> dict[str, int]:
    with runtime.database.tx() as tx:
        return {
            name: tx.execute(f"SELECT count(*) AS n FROM {name}").fetchone()["n"]  # type: ignore[index]
            for name in TABLES
        }


def test_a_real_endpoint_has_no_plan_on_at_first(north: Endpoint) -> None:
    assert north.governed
    assert north.rollout == {}


def test_a_dry_run_tells_whom_it_would_reach_and_changes_nothing(
    runtime: Runtime, north: Endpoint, clock: FixedClock
) -> None:
    before = counts(runtime)
    since = clock.now() - timedelta(days=5, minutes=1)
    found = try_plan(runtime, north, LIBRARY, LIBRARY, PLAN, since, "N. Vega")
    assert found["events"] == 6
    assert found["patients"] == 1
    assert found["messages"] > 0
    assert found["languages"] == {"en": found["messages"]}
    assert found["ages"] == {"65 and over": found["messages"]}
    assert found["channels"] == {"sms": found["messages"]}
    assert found["samples"][0].startswith("Northside Clinic: ")
    assert found["outcomes"]["task: due"] >= 6
    assert "plan-off -> due" in found["difference"]
    assert all(name.startswith("plan-off -> ") for name in found["difference"])
    assert counts(runtime) == before
    with runtime.database.tx() as tx:
        row = tx.execute("SELECT result FROM plan_trial").fetchone()
    assert row is not None
    assert row["result"]["samples"] == [], "no patient's words are kept"


def test_a_draft_is_compared_with_the_live_plan(
    runtime: Runtime, north: Endpoint, clock: FixedClock
) -> None:
    live = replace(north, rollout={PLAN.id: 100})
    _, *others = PLAN.actions
    shorter = replace(PLAN, actions=tuple(others), version="1.1.0")
    kept = tuple(item for item in LIBRARY.plans if item.id != PLAN.id)
    draft = replace(LIBRARY, plans=(shorter, *kept))
    since = clock.now() - timedelta(days=3)
    found = try_plan(runtime, live, LIBRARY, draft, shorter, since, "N. Vega")
    assert found["difference"]["gone"] == found["events"]
    assert found["difference"]["same"] == found["events"] * len(others)


def test_a_plan_goes_on_step_by_step_after_a_trial(
    runtime: Runtime, north: Endpoint, clock: FixedClock
) -> None:
    with pytest.raises(BadInputError, match="dry-run first"):
        switch_on(runtime, PLAN, north, 5, "N. Vega", "agreed")
    try_plan(runtime, north, LIBRARY, LIBRARY, PLAN, clock.now(), "N. Vega")
    with pytest.raises(BadInputError, match="next step"):
        switch_on(runtime, PLAN, north, 100, "N. Vega", "agreed")
    for percent in (5, 25, 100):
        switch_on(runtime, PLAN, north, percent, "N. Vega", "agreed")
        with runtime.database.tx() as tx:
            (found,) = endpoints.list_endpoints(tx)
        assert found.rollout == {PLAN.id: percent}
    switch_off(runtime, PLAN, north, "N. Vega", "wording under review")
    with runtime.database.tx() as tx:
        (found,) = endpoints.list_endpoints(tx)
        actions = [entry.action for entry in list_audit(tx)]
    assert found.rollout == {PLAN.id: 0}
    assert sorted(actions) == ["plan-off", "plan-on", "plan-on", "plan-on"]


def tell(runtime: Runtime, clock: FixedClock, told: int, objected: int) -> None:
    """Let so many numbers have had a message, and so many of them have said stop."""
    now = clock.now()
    with runtime.database.tx() as tx:
        for number in range(told):
            values = {"n": str(number), "address": f"+1312555{number:04}", "now": now}
            tx.execute(
                "INSERT INTO nudge (id, key, endpoint_id, event_id, patient, shard, "
                "plan, plan_version, action, topic, focus, occasion, recipient, state, "
                "reason, due_at, expires_at, created_at) VALUES (%(n)s, %(n)s, 'north', "
                "'event-0', 'Patient/p', 0, "
                "'https://carecue.example.org/fhir/PlanDefinition/post-discharge', "
                "'1.0.0', 'check-in', 'post-discharge', 'Encounter/e', 'once', "
                "'Patient/p', 'sent', 'due', %(now)s, %(now)s, %(now)s)",
                values,
            )
            tx.execute(
                "INSERT INTO delivery (id, nudge_id, endpoint_id, patient, channel, "
                "address, language, subject, body, state, sending_at) VALUES (%(n)s, "
                "%(n)s, 'north', 'Patient/p', 'sms', %(address)s, 'en', '', '', 'sent', "
                "%(now)s)",
                values,
            )
            if number < objected:
                stop = consent(
                    id=f"stop-{number}",
                    value=str(values["address"]),
                    permit=False,
                    recorded_at=now + timedelta(hours=1),
                )
                preferences.insert_consent(tx, stop)


@pytest.mark.parametrize(("objected", "paused"), [(3, []), (4, ["post-discharge"])])
@pytest.mark.usefixtures("north")
def test_a_plan_that_people_object_to_pauses_itself_once(
    runtime: Runtime, clock: FixedClock, objected: int, paused: list[str]
) -> None:
    tell(runtime, clock, 100, objected)
    clock.instant += timedelta(days=1)
    assert [item.plan for item in pause_unwanted(runtime)] == paused
    assert pause_unwanted(runtime) == []
    with runtime.database.tx() as tx:
        (found,) = endpoints.list_endpoints(tx)
        standing = rollouts.list_rollouts(tx)
    assert found.rollout == dict.fromkeys(paused, 0)
    assert [item.state for item in standing] == ["paused"] * len(paused)


@pytest.mark.usefixtures("north")
def test_a_stop_long_after_a_message_is_not_laid_to_it(
    runtime: Runtime, clock: FixedClock
) -> None:
    tell(runtime, clock, 100, 0)
    with runtime.database.tx() as tx:
        for number in range(50):
            stop = consent(
                id=f"late-{number}",
                value=f"+1312555{number:04}",
                permit=False,
                recorded_at=clock.now() + timedelta(days=3),
            )
            preferences.insert_consent(tx, stop)
    clock.instant += timedelta(days=4)
    assert pause_unwanted(runtime) == []


@pytest.fixture
def run(
    north: Endpoint, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    del north
    monkeypatch.setenv("CARECUE_DATABASE_URL", database_url)
    monkeypatch.setenv("CARECUE_HOME", str(tmp_path))

    def run(*arguments: str, code: int = 0) -> str:
        found = CliRunner().invoke(main, ["plan", *arguments])
        assert found.exit_code == code, found.output
        return found.stdout if code == 0 else found.stderr

    return run


def test_the_commands_tell_what_they_did(run: Any, tmp_path: Path) -> None:
    why = ("--reason", "agreed on 3 Nov", "--by", "N. Vega")
    assert "dry-run first" in run("on", "post-discharge", *why, code=2)
    draft = next(i for i in shipped_resources() if i["id"] == "post-discharge")
    file = tmp_path / "draft.json"
    file.write_text(json.dumps(draft))
    told = run("dry-run", "post-discharge", "--since", "9999d", "--draft", str(file))
    assert told.startswith("north: 10 events; ")
    assert "e.g. Northside Clinic: " in told
    assert "on for 5 percent" in run("on", "post-discharge", *why)
    listed = json.loads(run("standing", "--json"))["plans"]
    assert [(row["plan"], row["percent"]) for row in listed] == [("post-discharge", 5)]
    assert "off since" in run("off", "post-discharge", *why)
    assert "no plan 'nothing'" in run("on", "nothing", *why, code=2)
    assert "no such endpoint" in run(
        "on", "post-discharge", *why, "--endpoint", "south", code=2
    )
    file.write_text("{}")
    assert "no PlanDefinition" in run(
        "dry-run", "post-discharge", "--draft", str(file), code=2
    )
