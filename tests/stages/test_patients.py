"""Patients with something planned are looked at, and nobody else's news costs anything."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mappings.errors import CareCueError, FhirError
from mappings.nudge import NudgeState
from middleware.ports import SearchResult
from middleware.stages.patients import BY_ID, EVERY, poll_patients
from middleware.stages.reconcile import OVERLAP
from middleware.storage import endpoints, nudges
from tests.stages.twins import RO, merge
from tests.stages.world import CHECK_IN, DOWN, ENDPOINT, ROSA, World, patient
from tests.unit.storage.seeds import NUDGE

REFUSED = FhirError("answered 400", status=400, permanent=True)
MINUTE = timedelta(seconds=60)


def planned(world: World) -> World:
    """Rosa's check-in is planned, and her EHR was looked at since."""
    world.discharge()
    world.run()
    poll_patients(world.context)
    return world


def turn(world: World) -> None:
    """Let the next turn come, and the stages work on what it found."""
    world.clock.instant += EVERY
    poll_patients(world.context)
    world.run()


def asked(world: World) -> list[str]:
    """Note every search and batch from now on."""
    seen: list[str] = []

    def note(verb: str, what: str) -> Any:
        if verb in ("search", "batch") and what:
            seen.append(what)

    world.fhir.fault = note
    return seen


def refuse_changes(verb: str, what: str) -> Any:
    """A server that cannot say which Patients changed."""
    unable = "_lastUpdated" in what or "_history?" in what
    return REFUSED if verb == "search" and unable else None


ENDS = pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"deceasedBoolean": True}, "deceased"),
        ({"deceasedDateTime": "2026-11-20"}, "deceased"),
        ({"active": False}, "record-inactive"),
    ],
    ids=["died", "died then", "closed"],
)


@ENDS
@pytest.mark.parametrize("able", [True, False], ids=["by change", "by id"])
def test_what_nobody_told_ends_what_is_planned_at_the_next_turn(
    world: World, changes: dict[str, Any], reason: str, able: bool
) -> None:
    if not able:
        world.fhir.fault = refuse_changes
    planned(world)
    world.clock.instant += timedelta(seconds=3)
    world.fhir.change(ROSA, **changes)
    turn(world)
    assert world.state() == f"cancelled: {reason}"
    states = {row["state"] for row in world.rows("SELECT state FROM nudge")}
    assert states == {"cancelled"}
    assert world.one("SELECT count(*) FROM event WHERE kind = 'patient-closed'") == 1
    assert world.clock.instant < CHECK_IN
    assert world.sms.sent == []


def test_three_turns_fit_into_the_minute() -> None:
    assert EVERY * 3 <= MINUTE


def test_a_death_right_before_the_first_look_is_seen(world: World) -> None:
    world.discharge()
    world.run()
    world.clock.instant += timedelta(seconds=5)
    world.fhir.change(ROSA, deceasedBoolean=True)
    world.clock.instant += timedelta(seconds=5)
    world.fhir.put(patient(id="later"))
    poll_patients(world.context)
    world.run()
    assert world.state() == "cancelled: deceased"


@pytest.mark.parametrize("how", ["replaced-by", "replaces", "both"])
def test_a_merge_takes_what_is_planned_over(twin: World, how: str) -> None:
    planned(twin)
    merge(twin, how)
    turn(twin)
    rows = twin.rows("SELECT DISTINCT patient, state FROM nudge")
    assert [(row["patient"], row["state"]) for row in rows] == [(RO, "planned")]


def test_news_that_end_nothing_are_neither_kept_nor_read(world: World) -> None:
    planned(world)
    world.fhir.change(ROSA, telecom=[])
    world.fhir.put(patient(id="other", deceasedBoolean=True))
    before = world.one("SELECT count(*) FROM inbox")
    seen = asked(world)
    turn(world)
    assert world.one("SELECT count(*) FROM inbox") == before
    assert len(seen) == 1
    assert seen[0].startswith("Patient?_lastUpdated=ge")


def test_where_nothing_is_planned_nothing_is_asked(world: World) -> None:
    planned(world)
    with world.database.tx() as tx:
        tx.execute("UPDATE nudge SET state = 'cancelled'")
    seen = asked(world)
    turn(world)
    assert seen == []
    cursor = "SELECT count(*) FROM poll_cursor WHERE resource_type = 'Patient'"
    assert world.one(cursor) == 0


def test_the_second_look_at_a_death_changes_nothing(world: World) -> None:
    planned(world)
    world.fhir.change(ROSA, deceasedBoolean=True)
    turn(world)
    before = world.snapshot()
    turn(world)
    assert world.snapshot() == before


def test_a_record_that_is_gone_ends_what_is_planned(world: World) -> None:
    world.fhir.fault = refuse_changes
    planned(world)
    world.fhir.remove(ROSA)
    turn(world)
    assert world.state() == "cancelled: record-inactive"


def test_where_changes_are_not_told_all_are_read_within_a_minute(world: World) -> None:
    """As many as fit into three turns; each turn asks for no more than its share."""
    names = sorted(f"Patient/p{number:03d}" for number in range(3 * BY_ID))
    for name in names:
        world.fhir.put(patient(id=name.partition("/")[2]))
    event = _event(world)
    with world.database.tx() as tx:
        rows = [_nudge(event, name, number) for number, name in enumerate(names)]
        nudges.upsert_nudges(tx, rows, world.clock.now())
    searches: list[str] = []

    def note(verb: str, what: str) -> Any:
        if verb == "search" and "_id=" in what:
            searches.append(what)
        return refuse_changes(verb, what)

    world.fhir.fault = note
    for _ in range(3):
        before = len(searches)
        world.clock.instant += EVERY
        poll_patients(world.context)
        ids = [_ids(query) for query in searches[before:]]
        assert sum(map(len, ids)) == BY_ID
        assert max(map(len, ids)) <= 50
    found = {f"Patient/{each}" for query in searches for each in _ids(query)}
    assert found == set(names)


def test_more_changes_than_can_be_read_are_passed_over_for_those_who_matter(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned(world)
    world.fhir.change(ROSA, deceasedBoolean=True)
    real = world.fhir.fetch_search

    def cut(query: str, *, follow_pages: bool = True) -> SearchResult:
        if "_lastUpdated=ge" in query:
            return SearchResult((), complete=False)
        return real(query, follow_pages=follow_pages)

    monkeypatch.setattr(world.fhir, "fetch_search", cut)
    turn(world)
    assert world.state() == "cancelled: deceased"


def test_an_ehr_that_is_away_is_tried_at_the_next_turn(world: World) -> None:
    planned(world)
    world.fhir.change(ROSA, deceasedBoolean=True)
    world.fhir.fault = lambda verb, what: DOWN
    world.clock.instant += EVERY
    poll_patients(world.context)
    world.fhir.fault = lambda verb, what: None
    turn(world)
    assert world.state() == "cancelled: deceased"


def test_an_ehr_that_shows_no_patient_is_said_and_stops_no_other(world: World) -> None:
    other = replace(ENDPOINT, id="south", fhir_base="http://127.0.0.1:9/south")
    event = _event(world)
    with world.database.tx() as tx:
        tx.execute("UPDATE nudge SET state = 'planned'")
        endpoints.insert_endpoint(tx, other, world.clock.now())
        nudges.upsert_nudges(
            tx,
            [replace(_nudge(event, ROSA, 1), endpoint_id="south")],
            world.clock.now(),
        )
    planned_at: list[str] = []
    closed = FhirError("answered 403", status=403, permanent=True)

    def choose(endpoint: Any) -> Any:
        planned_at.append(endpoint.id)
        if endpoint.id == "south":
            raise closed
        return world.fhir

    context = replace(world.context, fhir=choose)
    with pytest.raises(CareCueError, match="the Patients of south could not be looked"):
        poll_patients(context)
    assert sorted(planned_at) == ["north", "south"]
    cursor = "SELECT count(*) FROM poll_cursor WHERE resource_type = 'Patient'"
    assert world.one(cursor) == 1
    assert OVERLAP > EVERY


def _ids(query: str) -> list[str]:
    found = re.search(r"_id=([^&]*)", query)
    assert found
    return found.group(1).split(",")


def _event(world: World) -> str:
    """An event, of which nothing is planned any more."""
    world.discharge()
    world.run()
    with world.database.tx() as tx:
        tx.execute("UPDATE nudge SET state = 'cancelled'")
    return str(world.nudge()["event_id"])


def _nudge(event: str, name: str, number: int) -> Any:
    return replace(
        NUDGE,
        id=f"n{number}",
        key=f"k{number}",
        endpoint_id=ENDPOINT.id,
        event_id=event,
        patient=name,
        state=NudgeState.PLANNED,
        due_at=CHECK_IN,
        expires_at=CHECK_IN + timedelta(days=1),
    )
