"""Two records of one person become one: planned messages go over, denials too."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from mappings.errors import FhirError
from mappings.preference import Who
from middleware.storage import gate, merging, preferences, records
from tests.stages.twins import BEFORE, RO, RO_NUMBER, merge
from tests.stages.world import (
    CHECK_IN,
    ENDPOINT,
    NUMBER,
    ROSA,
    START,
    World,
    encounter,
    patient,
)


def survivors(world: World) -> dict[str, Any]:
    rows = world.rows(
        "SELECT patient, merged_into FROM patient_lock WHERE merged_into IS NOT NULL"
    )
    return {row["patient"]: row["merged_into"] for row in rows}


def sent(world: World) -> list[str]:
    return [message.address for message in world.sms.sent]


def people(world: World) -> set[tuple[str, str]]:
    rows = world.rows("SELECT patient, state FROM nudge")
    return {(row["patient"], row["state"]) for row in rows}


def tell(world: World, person: str = ROSA) -> None:
    world.notify(person)
    world.run()


@pytest.mark.parametrize("how", ["replaced-by", "replaces", "both"])
def test_what_was_planned_goes_over_when_the_merge_is_told(
    twin: World, how: str
) -> None:
    twin.discharge()
    twin.run()
    assert people(twin) == {(ROSA, "planned")}
    merge(twin, how)
    with twin.database.tx() as tx:
        gate.lock_patient(tx, ENDPOINT.id, RO)  # whoever was locked is known
    tell(twin, RO if how == "replaces" else ROSA)
    assert people(twin) == {(RO, "planned")}
    assert survivors(twin) == {ROSA: RO}
    twin.go(CHECK_IN)
    assert sent(twin) == [RO_NUMBER]
    row = twin.one("SELECT detail FROM audit WHERE action = 'patient-merged'")
    assert row == {"replaced": ROSA}


def test_a_merge_nobody_told_of_is_seen_before_the_message_goes(twin: World) -> None:
    twin.discharge()
    twin.run()
    merge(twin)
    twin.go(CHECK_IN)
    assert sent(twin) == [RO_NUMBER]
    assert (ROSA, "planned") not in people(twin)
    assert twin.tasks() == []


def test_a_discharge_on_a_merged_record_is_told_to_the_one_that_lives_on(
    twin: World,
) -> None:
    """The EHR still writes into the old record; nobody of ours knew either."""
    merge(twin)
    twin.discharge()
    twin.go(CHECK_IN)
    assert sent(twin) == [RO_NUMBER]
    assert twin.tasks() == []
    assert twin.one("SELECT DISTINCT patient FROM event") == RO


def test_a_server_that_answers_with_the_record_that_lives_on(twin: World) -> None:
    twin.discharge()
    twin.run()
    merge(twin, "replaces")
    twin.fhir.versions[ROSA] = twin.fhir.versions[RO]
    twin.go(CHECK_IN)
    assert sent(twin) == [RO_NUMBER]


def test_another_patient_without_such_a_link_is_believed_in_nothing(
    twin: World,
) -> None:
    twin.discharge()
    twin.run()
    twin.fhir.versions[ROSA] = twin.fhir.versions[RO]
    twin.go(CHECK_IN)
    assert sent(twin) == []
    assert survivors(twin) == {}
    assert twin.state() == "held: ehr-unreachable"


@pytest.mark.parametrize("told_first", [True, False])
def test_nobody_is_told_twice_of_one_stay_under_both_records(
    twin: World, told_first: bool
) -> None:
    """The EHR moves the stay to the record that lives on, before or after it was told."""
    name = twin.discharge()
    if told_first:
        twin.go(CHECK_IN)
        assert sent(twin) == [NUMBER]
    else:
        twin.run()
    merge(twin, "both")
    twin.fhir.change(name, subject={"reference": RO})
    for item in (name, ROSA, name, RO):
        twin.notify(item)
        twin.run()
    twin.go(CHECK_IN + timedelta(hours=1))
    assert sent(twin) == ([NUMBER] if told_first else [RO_NUMBER])
    assert ("event-undone", "urgent") not in twin.tasks()
    kinds = {row["kind"] for row in twin.rows("SELECT kind FROM event")}
    assert "resource-moved" not in kinds


def test_a_stay_planned_under_both_records_is_told_once(twin: World) -> None:
    name = twin.discharge()
    twin.go(CHECK_IN)
    twin.fhir.change(name, subject={"reference": RO})  # moved before the merge shows
    twin.notify(name)
    twin.run("resolve", "decide")
    merge(twin)
    tell(twin)
    twin.wait(hours=2)
    assert sent(twin) == [NUMBER]
    check_ins = twin.rows(
        "SELECT patient, state, reason FROM nudge WHERE action = 'check-in' "
        "ORDER BY patient"
    )
    assert [(row["patient"], row["state"]) for row in check_ins] == [
        (RO, "cancelled"),
        (ROSA, "sent"),
    ]
    assert check_ins[0]["reason"] == "superseded"


def test_a_denial_on_either_record_wins_and_a_permission_stays_behind(
    twin: World,
) -> None:
    twin.permit(patient=ROSA, value="*", topic="care-plan")
    twin.permit(
        patient=ROSA,
        value=RO_NUMBER,
        topic="hospital-stay",
        permit=False,
        recorded_at=BEFORE,
    )
    twin.permit(patient=ROSA, system="email", value="old@example.org")
    twin.discharge()
    topic = twin.run() and twin.one("SELECT DISTINCT topic FROM nudge")
    twin.permit(patient=ROSA, value=RO_NUMBER, topic=topic, permit=False)
    merge(twin)
    tell(twin)
    twin.go(CHECK_IN)
    assert sent(twin) == []
    assert twin.state() == "held: opted-out"
    rows = twin.rows(
        "SELECT permit FROM consent WHERE patient = %s AND id LIKE %s", RO, "%|ro"
    )
    assert {row["permit"] for row in rows} == {False}


def test_a_denial_that_comes_after_the_merge_counts_too(twin: World) -> None:
    twin.discharge()
    twin.run()
    topic = twin.one("SELECT DISTINCT topic FROM nudge")
    merge(twin)
    tell(twin)
    twin.permit(
        patient=ROSA, value=RO_NUMBER, topic=topic, permit=False, recorded_at=START
    )
    twin.go(CHECK_IN)
    assert sent(twin) == []
    assert twin.state() == "held: opted-out"


@pytest.mark.parametrize("after", [False, True])
def test_a_pause_on_the_old_record_holds_the_other(twin: World, after: bool) -> None:
    twin.discharge()
    twin.run()

    def pause() -> None:
        with twin.database.tx() as tx:
            preferences.insert_preference(
                tx,
                id="pause",
                endpoint_id=ENDPOINT.id,
                patient=ROSA,
                name="pause",
                value={"until": None, "why": "travelling"},
                who=Who.PATIENT,
                how="asked",
                recorded_by=None,
                recorded_at=START,
            )

    if not after:
        pause()
    merge(twin)
    tell(twin)
    if after:
        pause()
    twin.go(CHECK_IN)
    assert sent(twin) == []
    assert twin.state() == "held: paused"


def test_messages_to_both_records_count_against_one_limit(twin: World) -> None:
    twin.discharge()
    twin.go(CHECK_IN)
    merge(twin)
    tell(twin)
    with twin.database.tx() as tx:
        own = records.read_own(tx, ENDPOINT.id, RO, [], START - timedelta(days=7))
    assert len(own.sent) == 1
    assert own.replaced == (ROSA,)


def test_an_event_that_waited_through_the_merge_is_decided_for_the_one_that_lives_on(
    twin: World,
) -> None:
    twin.discharge()
    twin.run("resolve")
    merge(twin)
    with twin.database.tx() as tx:
        merging.merge_patients(tx, ENDPOINT.id, ROSA, RO, START)
    twin.run()
    assert people(twin) == {(RO, "planned")}
    twin.go(CHECK_IN)
    assert sent(twin) == [RO_NUMBER]


def test_records_that_were_merged_twice_lead_to_the_last(twin: World) -> None:
    twin.fhir.put(patient(id="rosy"), BEFORE)
    twin.permit(patient="Patient/rosy")
    twin.discharge()
    twin.run()
    merge(twin)
    tell(twin)
    link = [{"type": "replaced-by", "other": {"reference": "Patient/rosy"}}]
    twin.fhir.change(RO, active=False, link=link)
    tell(twin, RO)
    assert survivors(twin) == {ROSA: "Patient/rosy", RO: "Patient/rosy"}
    twin.go(CHECK_IN)
    assert sent(twin) == [NUMBER]


def test_records_that_lead_to_each_other_are_left_to_a_person(twin: World) -> None:
    twin.discharge()
    twin.run()
    merge(twin)
    link = [{"type": "replaced-by", "other": {"reference": ROSA}}]
    twin.fhir.change(RO, active=False, link=link)
    twin.go(CHECK_IN)
    assert sent(twin) == []
    assert ("record-inactive", "routine") in twin.tasks()


def test_a_merge_that_is_taken_back_lets_the_record_stand_for_itself(
    twin: World,
) -> None:
    twin.discharge()
    twin.run()
    merge(twin, "both")
    tell(twin)
    twin.fhir.change(RO, link=...)
    twin.fhir.change(ROSA, active=True, link=...)
    tell(twin)
    assert survivors(twin) == {}
    twin.fhir.put(encounter(id="second"))
    twin.notify("Encounter/second")
    twin.run()
    assert (ROSA, "planned") in people(twin)


@pytest.mark.parametrize("gone", [True, False])
def test_a_record_closed_without_another_ends_at_once_and_asks_a_person(
    world: World, gone: bool
) -> None:
    world.discharge()
    world.run()
    if gone:
        world.fhir.fault = lambda verb, what: (
            "not-found" if (verb, what) == ("part", ROSA) else None
        )
    else:
        world.fhir.change(ROSA, active=False)
    tell(world)
    assert world.state() == "cancelled: record-inactive"
    assert world.tasks() == [("record-inactive", "routine")]


def test_a_death_that_is_told_ends_what_is_planned_at_once(world: World) -> None:
    world.discharge()
    world.run()
    world.fhir.change(ROSA, deceasedBoolean=True)
    tell(world)
    assert world.state() == "cancelled: deceased"
    assert world.one("SELECT count(*) FROM event WHERE kind = 'patient-closed'") == 1


def test_news_of_patients_whom_we_do_not_know_are_not_even_read(world: World) -> None:
    reads: list[str] = []
    world.fhir.on_read = reads.append
    for number in range(50):
        world.notify(f"Patient/p{number}")
    world.run()
    assert [text for text in reads if text] == []
    assert world.rows("SELECT 1 FROM inbox WHERE state <> 'done'") == []


def test_an_inactive_record_at_the_gate_asks_a_person(world: World) -> None:
    world.discharge()
    world.run()
    world.fhir.change(ROSA, active=False)
    world.go(CHECK_IN)
    assert world.state() == "cancelled: record-inactive"
    assert world.tasks() == [("record-inactive", "routine")]


def test_an_ehr_that_is_down_leaves_the_merge_for_later(twin: World) -> None:
    twin.discharge()
    twin.run()
    merge(twin)
    twin.fhir.fault = lambda verb, what: (
        FhirError("did not answer", status=503) if RO in what else None
    )
    tell(twin)
    assert people(twin) == {(ROSA, "planned")}
    twin.fhir.fault = lambda verb, what: None
    twin.wait(hours=1)
    assert people(twin) == {(RO, "planned")}
