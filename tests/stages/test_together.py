"""Rows of a shard are worked on together, and each as if it were alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from mappings.errors import StorageError
from middleware.stages.attempting import attempt_together
from middleware.storage.ids import shard_of
from tests.stages.world import (
    ENDPOINT,
    ROSA,
    START,
    World,
    appointment,
    encounter,
    patient,
)

OTHERS = [
    name
    for name in (f"p{number}" for number in range(10_000))
    if shard_of(ENDPOINT.id, f"Patient/{name}") == shard_of(ENDPOINT.id, ROSA)
][:3]


@pytest.fixture
def ward(world: World) -> World:
    """Four patients go home at once; what tells of them waits in one shard."""
    world.fhir.put(encounter())
    world.notify("Encounter/stay")
    for name in OTHERS:
        world.fhir.put(patient(id=name))
        world.permit(patient=f"Patient/{name}")
        subject = {"reference": f"Patient/{name}"}
        world.notify(world.fhir.put(encounter(id=f"stay-{name}", subject=subject)))
    with world.database.tx() as tx:
        tx.execute("UPDATE inbox SET shard = 3")
    return world


def planned(world: World) -> dict[str, int]:
    rows = world.rows("SELECT patient, count(*) AS n FROM nudge GROUP BY patient")
    return {row["patient"]: row["n"] for row in rows}


def test_foci_share_the_reads_of_their_histories_and_charts(ward: World) -> None:
    asked: list[str] = []
    ward.fhir.on_read = asked.append
    ward.run("resolve")
    histories, charts = asked
    assert histories.count("/_history") == 4
    assert charts.count("Condition?patient=") == 4
    assert ward.one("SELECT count(*) FROM event WHERE state = 'waiting'") == 4


def test_what_is_decided_together_is_as_if_decided_alone(ward: World) -> None:
    ward.run("resolve")
    ward.run("decide")
    (each,) = set(planned(ward).values())
    assert (len(planned(ward)), each > 0) == (4, True)
    verdicts = ward.rows(
        "SELECT plan, action, outcome, reason, detail, count(*) AS n FROM decision "
        "WHERE event_id IS NOT NULL GROUP BY 1, 2, 3, 4, 5"
    )
    assert {row["n"] for row in verdicts} == {4}


def test_a_focus_that_the_database_refuses_dies_alone(ward: World) -> None:
    (version,) = ward.fhir.versions[f"Encounter/stay-{OTHERS[0]}"]
    version["meta"] = {**version["meta"], "versionId": "1\0"}
    ward.run("resolve")
    states = ward.rows("SELECT focus, state FROM inbox WHERE state <> 'done'")
    assert states == [{"focus": f"Encounter/stay-{OTHERS[0]}", "state": "dead"}]
    assert ward.one("SELECT count(*) FROM event") == 3


def test_an_event_that_the_database_refuses_dies_alone(ward: World) -> None:
    ward.run("resolve")
    with ward.database.tx() as tx:
        tx.execute(
            "UPDATE event SET chart = convert_to(replace(convert_from(chart, 'UTF8'), "
            "'\"finished\"', '\"finished\\u0000\"'), 'UTF8') WHERE patient = %s",
            (ROSA,),
        )
    ward.run("decide")
    assert ROSA not in planned(ward)
    assert len(planned(ward)) == 3


def test_later_events_of_a_patient_see_what_came_of_the_first(world: World) -> None:
    visit = START + timedelta(days=10)
    world.fhir.put(patient(id=OTHERS[0]))
    subject = {"actor": {"reference": f"Patient/{OTHERS[0]}"}, "status": "accepted"}
    world.notify(world.fhir.put(appointment(id="other", participant=[subject])))
    name = world.book(visit)
    world.run("resolve")
    world.fhir.change(name, status="cancelled")
    world.notify(name)
    world.run("resolve")
    assert world.one("SELECT count(*) FROM event WHERE state = 'waiting'") == 3
    world.run("decide")
    states = world.rows("SELECT DISTINCT state FROM nudge WHERE patient = %s", ROSA)
    assert [row["state"] for row in states] == ["cancelled"]


def test_a_fault_of_the_database_ends_the_whole_group() -> None:
    ran: list[Any] = []

    def run(rows: Any) -> None:
        ran.append(rows)
        raise StorageError("the database is away")

    with pytest.raises(StorageError):
        attempt_together("decide", [1, 2], run, lambda row, error: None)
    assert ran == [[1, 2]]
