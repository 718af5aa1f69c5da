"""Each is created once: lost answers, workers that die, servers that know no condition."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mappings.errors import FhirError, ReferenceRefusedError, UnlocatedError
from mappings.preference import PreferenceRecord, Who
from middleware.fhir.faults import Answer, make_fault
from middleware.stages.writing_back import save_preference
from middleware.storage import outbox
from middleware.storage.audit import Viewing, insert_audit, insert_viewing
from middleware.storage.ids import shard_of
from tests.stages.world import DOWN, ENDPOINT, ROSA, World

OSEI = "Practitioner/osei"
KINDS = ("QuestionnaireResponse", "Observation", "Provenance", "AuditEvent")


def declare(world: World, *, conditional: bool) -> None:
    """The EHR takes all of these; whether also conditionally is its own thing."""
    listed = [
        {
            "type": kind,
            "interaction": [{"code": "create"}],
            "conditionalCreate": conditional,
        }
        for kind in KINDS
    ]
    statement = {"fhirVersion": "4.0.1", "rest": [{"resource": listed}]}
    world.context = replace(world.context, capabilities=lambda _: statement)


def save(world: World, name: str = "max_per_week", value: Any = 1) -> None:
    """Dr. Osei looks at Rosa's page and records what she wants."""
    now = world.clock.now()
    said = PreferenceRecord(name, value, Who.PATIENT, "told staff", now, "Dr. Osei")
    look = Viewing(
        now, OSEI, ENDPOINT.id, ROSA, "launch-1", {"view": "page"}, tell=True
    )
    with world.database.tx() as tx:
        save_preference(world.context, tx, ENDPOINT, ROSA, said, author=OSEI)
        insert_viewing(tx, look)


def count(world: World) -> dict[str, int]:
    return {
        kind: len(world.fhir.list_created(kind))
        for kind in KINDS
        if world.fhir.list_created(kind)
    }


def states(world: World) -> set[str]:
    return {row["state"] for row in world.rows("SELECT DISTINCT state FROM outbox")}


ONCE = {"QuestionnaireResponse": 1, "Provenance": 1, "AuditEvent": 1}


@pytest.mark.parametrize("conditional", [True, False])
@pytest.mark.parametrize("fault", [DOWN, FhirError("answered 500", status=500)])
def test_an_answer_that_is_lost_creates_nothing_twice(
    world: World, fault: FhirError, *, conditional: bool
) -> None:
    """The server stored it, and what it said did not arrive: each kind, twice."""
    declare(world, conditional=conditional)
    lost = dict.fromkeys(KINDS, 2)

    def lose(verb: str, kind: str) -> Any:
        if verb == "created" and lost[kind]:
            lost[kind] -= 1
            return fault
        return None

    world.fhir.fault = lose
    save(world)
    world.run()
    for _ in range(4):
        world.wait(minutes=30)
    assert count(world) == ONCE
    assert states(world) == {"done"}


@pytest.mark.parametrize("conditional", [True, False])
def test_a_worker_that_dies_before_it_noted_what_arrived_doubles_nothing(
    world: World, *, conditional: bool
) -> None:
    declare(world, conditional=conditional)
    save(world)
    world.run()
    assert count(world) == ONCE
    with world.database.tx() as tx:
        tx.execute("UPDATE outbox SET state = 'waiting', server_reference = NULL")
    world.run()
    assert count(world) == ONCE
    assert states(world) == {"done"}


def test_what_may_not_be_searched_is_sent_again_rather_than_lost(world: World) -> None:
    declare(world, conditional=True)
    faults = [DOWN]

    def fault(verb: str, kind: str) -> Any:
        if verb == "search":
            return FhirError("answered 403", status=403)
        return (
            faults.pop()
            if (verb, kind) == ("create", "AuditEvent") and faults
            else None
        )

    world.fhir.fault = fault
    save(world)
    world.run()
    world.wait(minutes=5)
    assert count(world) == ONCE
    assert states(world) == {"done"}


@pytest.mark.parametrize("conditional", [True, False])
@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize(
    "answer",
    [UnlocatedError("took it", status=202), ReferenceRefusedError("elsewhere")],
)
def test_a_server_that_does_not_say_where_has_taken_it(
    world: World, answer: FhirError, *, conditional: bool, arrives: bool
) -> None:
    """202, or 201 with no Location or another host's: it is not sent ten times."""
    declare(world, conditional=conditional)
    verb_of_fault = "created" if arrives else "create"
    sent: list[str] = []

    def silent(verb: str, kind: str) -> Any:
        if verb == "create":
            sent.append(kind)
        if verb == verb_of_fault:
            return answer
        return None

    world.fhir.fault = silent
    save(world)
    world.run()
    for _ in range(3):
        world.wait(hours=3)
    # Without its place in the chart nothing can say who recorded it.
    known = {"Provenance"} if arrives else set()
    assert sorted(sent) == sorted({"QuestionnaireResponse", "AuditEvent"} | known)
    assert states(world) == {"done"}


def test_of_several_that_are_there_already_the_first_one_is_ours(world: World) -> None:
    declare(world, conditional=True)
    save(world)
    world.run()
    (first,) = world.fhir.list_created("QuestionnaireResponse")
    world.fhir.created.append({**first, "id": "second"})
    world.fhir.fault = lambda verb, _: (
        FhirError("answered 412", status=412) if verb == "create" else None
    )
    with world.database.tx() as tx:
        tx.execute(
            "UPDATE outbox SET state = 'waiting', server_reference = NULL "
            "WHERE resource ->> 'resourceType' = 'QuestionnaireResponse'"
        )
    world.run()
    kept = "SELECT server_reference FROM outbox WHERE key LIKE %s"
    assert world.one(kept, "%.rosa") == f"QuestionnaireResponse/{first['id']}"


@pytest.mark.parametrize("status", [409, 412, 500, None])
def test_what_is_refused_for_now_waits_and_arrives_once(
    world: World, status: int | None
) -> None:
    declare(world, conditional=False)
    faults = [FhirError("not now", status=status) for _ in range(2)]
    world.fhir.fault = lambda verb, kind: (
        faults.pop()
        if (verb, kind) == ("create", "QuestionnaireResponse") and faults
        else None
    )
    save(world)
    world.run()
    assert "waiting" in states(world)
    world.wait(minutes=30)
    world.wait(minutes=30)
    assert count(world) == ONCE
    assert states(world) == {"done"}


def test_two_entries_of_one_instant_are_two_events(world: World) -> None:
    declare(world, conditional=True)
    for name in ("window", "days"):
        with world.database.tx() as tx:
            insert_audit(
                tx,
                OSEI,
                "preference-saved",
                world.clock.now(),
                endpoint_id=ENDPOINT.id,
                patient=ROSA,
                subject=name,
                tell=True,
            )
    world.run()
    with world.database.tx() as tx:
        tx.execute("UPDATE outbox SET state = 'waiting', server_reference = NULL")
    world.clock.instant += timedelta(seconds=1)
    world.run()
    events = world.fhir.list_created("AuditEvent")
    assert [event["entity"][1]["name"] for event in events] == ["window", "days"]


def test_a_search_is_told_once_for_each_patient_whom_it_showed(world: World) -> None:
    declare(world, conditional=True)
    shown = [ROSA, "Patient/ruth"]
    with world.database.tx() as tx:
        insert_audit(
            tx,
            OSEI,
            "patients-searched",
            world.clock.now(),
            endpoint_id=ENDPOINT.id,
            subject="launch-1",
            detail={"by": ["name"], "count": 2, "patients": shown},
            tell=True,
            concerns=shown,
        )
    world.run()
    events = world.fhir.list_created("AuditEvent")
    whom = [event["entity"][0]["what"]["reference"] for event in events]
    assert sorted(whom) == sorted(shown)
    for event, patient in zip(events, whom, strict=True):
        (other,) = set(shown) - {patient}
        assert other not in str(event)
    with world.database.tx() as tx:
        tx.execute("UPDATE outbox SET state = 'waiting', server_reference = NULL")
    world.run()
    assert len(world.fhir.list_created("AuditEvent")) == 2


def test_what_was_forbidden_for_want_of_a_scope_is_sent_again_when_it_is_granted(
    world: World,
) -> None:
    """Error texts as the client writes them; what is refused for good stays refused."""
    declare(world, conditional=True)
    refused = {"AuditEvent": 403, "Observation": 422}

    def refuse(verb: str, kind: str) -> Any:
        status = refused.get(kind) if verb == "create" else None
        if status is None:
            return None
        answered = Answer(status, {}, None)
        return make_fault(answered, f"a create of {kind}", world.clock.now())

    world.fhir.fault = refuse
    save(world)
    with world.database.tx() as tx:
        outbox.insert_outbox(
            tx,
            id="o1",
            key="o1",
            endpoint_id=ENDPOINT.id,
            patient=ROSA,
            shard=shard_of(ENDPOINT.id, ROSA),
            resource={
                "resourceType": "Observation",
                "identifier": [{"system": "urn:x", "value": "o1"}],
            },
            due_at=world.clock.now(),
        )
    world.run()
    assert states(world) == {"done", "kept"}
    refused.clear()
    with world.database.tx() as tx:
        assert len(outbox.revive_forbidden(tx, world.clock.now())) == 1
    world.run()
    assert count(world) == ONCE
    kept = world.rows("SELECT id FROM outbox WHERE state = 'kept'")
    assert [row["id"] for row in kept] == ["o1"]
