"""Proxies, parents and shared phones, from the event to what was sent."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from mappings.chart import Chart
from mappings.preference import Who
from middleware.stages.consenting import record_answer
from middleware.stages.people import own_record
from middleware.storage import endpoints, gate, merging, preferences, records
from tests.stages.locks import wait_for_lock
from tests.stages.world import (
    CHECK_IN,
    ENDPOINT,
    NUMBER,
    ROSA,
    START,
    Resource,
    World,
    encounter,
    patient,
)

MOTHER = "+13125550190"
ANA = "RelatedPerson/ana"
RO = "Patient/ro"
ROLE = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"


def beside(**changes: object) -> Resource:
    values: Resource = {
        "resourceType": "RelatedPerson",
        "id": "ana",
        "active": True,
        "patient": {"reference": ROSA},
        "relationship": [{"coding": [{"system": ROLE, "code": "MTH"}]}],
        "telecom": [{"system": "sms", "value": MOTHER}],
    }
    return values | changes


@pytest.fixture
def child(world: World) -> World:
    """Rosa is eight, and her mother may be texted."""
    world.fhir.change(ROSA, birthDate="2018-03-02")
    world.fhir.put(beside())
    world.permit(value=MOTHER)
    world.discharge()
    world.run()
    world.clock.instant = CHECK_IN
    return world


def test_a_childs_message_goes_to_the_parent_and_the_record_says_so(
    child: World,
) -> None:
    assert child.nudge()["recipient"] == ANA
    child.run()
    (message,) = child.sms.sent
    assert message.address == MOTHER
    for kind in ("Communication", "CommunicationRequest"):
        (resource,) = child.fhir.list_created(kind)
        assert resource["recipient"] == [{"reference": ANA}]
        assert resource["subject"] == {"reference": ROSA}


def test_a_parent_whose_time_ended_in_the_chart_gets_nothing(child: World) -> None:
    child.fhir.change(ANA, active=False)
    child.run()
    assert child.sms.sent == []
    assert child.state() == "held: minor"


def test_who_gets_it_is_read_again_at_send_time(child: World) -> None:
    other = "+13125550191"
    child.fhir.change(ANA, active=False)
    child.fhir.put(beside(id="ben", telecom=[{"system": "sms", "value": other}]))
    child.permit(value=other)
    child.run()
    assert [item.address for item in child.sms.sent] == [other]
    (resource,) = child.fhir.list_created("Communication")
    assert resource["recipient"] == [{"reference": "RelatedPerson/ben"}]


def test_a_revocation_committed_while_the_gate_waits_wins(child: World) -> None:
    with child.database.tx() as tx:
        gate.lock_patient(tx, ENDPOINT.id, ROSA)
        worker = threading.Thread(target=child.run, args=("deliver",))
        worker.start()
        wait_for_lock(child)
        tx.execute(
            "INSERT INTO consent (id, endpoint_id, patient, system, value, topic, "
            "permit, who, how, recorded_at, actor) VALUES ('no', %s, %s, '*', '*', "
            "'*', false, 'patient', 'asked', %s, %s)",
            (ENDPOINT.id, ROSA, child.clock.now(), ANA),
        )
    worker.join(20)
    assert child.sms.sent == []
    assert child.state() == "held: minor"


def test_an_answer_about_a_proxy_waits_for_the_patients_gate(child: World) -> None:
    """Whoever records it holds the patient's lock until it is committed."""
    with child.database.tx() as tx:
        gate.lock_patient(tx, ENDPOINT.id, ROSA)
        revoke = threading.Thread(
            target=child.permit,
            kwargs={"actor": ANA, "system": "*", "value": "*", "permit": False},
        )
        revoke.start()
        wait_for_lock(child)
        assert child.one("SELECT count(*) FROM consent WHERE actor IS NOT NULL") == 0
    revoke.join(20)
    assert child.one("SELECT count(*) FROM consent WHERE actor IS NOT NULL") == 1


def test_a_shared_phone_is_known_once_both_charts_were_read(world: World) -> None:
    world.fhir.put(patient(id="ro", birthDate="1990-01-01"))
    world.discharge()
    world.run()

    def shared(name: str) -> set[str]:
        with world.database.tx() as tx:
            chart = _chart(world, name)
            own = own_record(tx, ENDPOINT.id, name, chart, START)
        return {item.value for item in own.bearers}

    assert shared(ROSA) == set()
    world.fhir.put(encounter(id="other", subject={"reference": RO}))
    world.notify("Encounter/other")
    world.run()
    assert NUMBER in shared(ROSA)
    world.fhir.change(RO, telecom=[])
    world.fhir.change("Encounter/other", status="in-progress")
    world.notify("Encounter/other")
    world.run()
    assert shared(ROSA) == set()


def _chart(world: World, name: str) -> Chart:
    return Chart(world.fhir.fetch(name), (), START)


def test_a_stop_covers_the_number_at_every_endpoint(world: World) -> None:
    south = replace(
        ENDPOINT, id="south", name="South", fhir_base="http://127.0.0.1:9/south"
    )
    with world.database.tx() as tx:
        endpoints.insert_endpoint(tx, south, START)
    world.permit(endpoint_id="south", patient="Patient/1")
    world.discharge()
    world.run()
    world.reply("STOP")
    world.run("listen")
    world.go(CHECK_IN)
    assert world.sms.sent[:-1] == []  # nothing but the confirmation of the STOP
    assert world.state() == "held: opted-out"
    with world.database.tx() as tx:
        own = records.read_own(tx, "south", "Patient/1", [("sms", NUMBER)], START)
    assert [item.permit for item in own.consents if item.patient is None] != []
    assert all(not item.permit for item in own.consents if item.patient is None)


@pytest.mark.parametrize(("old", "new"), [(ROSA, RO), (RO, ROSA)])
def test_a_merge_moves_denials_of_proxies_and_topics_and_no_permission(
    world: World, old: str, new: str
) -> None:
    world.permit(patient=old, actor=ANA, system="*", value="*")
    world.permit(
        patient=old, actor="RelatedPerson/x", system="*", value="*", permit=False
    )
    world.permit(patient=old, topic="survey", permit=False)
    world.permit(patient=old, topic="education")
    with world.database.tx() as tx:
        merging.merge_patients(tx, ENDPOINT.id, old, new, START)
        merging.merge_patients(tx, ENDPOINT.id, old, new, START)
    moved = world.rows(
        "SELECT actor, topic, permit FROM consent WHERE patient = %s AND id LIKE %s "
        "ORDER BY topic",
        new,
        "%|%",
    )
    assert [(row["actor"], row["topic"], row["permit"]) for row in moved] == [
        ("RelatedPerson/x", "*", False),
        (None, "survey", False),
    ]


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (None, {"system": "sms", "value": MOTHER}),
        ({"system": "sms", "value": MOTHER}, {"system": "sms", "value": MOTHER}),
        ({"system": "sms", "value": NUMBER}, {}),
    ],
)
def test_a_request_for_one_place_only_goes_over_and_of_two_none_is_the_one(
    world: World, own: dict[str, str] | None, expected: dict[str, str]
) -> None:
    def ask(name: str, patient_id: str, value: dict[str, str]) -> None:
        with world.database.tx() as tx:
            preferences.insert_preference(
                tx,
                id=name,
                endpoint_id=ENDPOINT.id,
                patient=patient_id,
                name="confidential",
                value=value,
                who=Who.PATIENT,
                how="asked",
                recorded_by=None,
                recorded_at=START - timedelta(days=1),
            )

    ask("old", ROSA, {"system": "sms", "value": MOTHER})
    if own is not None:
        ask("new", RO, own)
    with world.database.tx() as tx:
        merging.merge_patients(tx, ENDPOINT.id, ROSA, RO, START)
        found = records.read_own(tx, ENDPOINT.id, RO, [], START)
    newest = max(found.preferences, key=lambda item: item.recorded_at)
    assert newest.value == expected


def test_a_stop_at_the_one_place_is_found_though_no_chart_has_it(world: World) -> None:
    with world.database.tx() as tx:
        preferences.insert_preference(
            tx,
            id="only",
            endpoint_id=ENDPOINT.id,
            patient=ROSA,
            name="confidential",
            value={"system": "phone", "value": "(312) 555-0190"},
            who=Who.PATIENT,
            how="asked",
            recorded_by=None,
            recorded_at=START - timedelta(days=1),
        )
        record_answer(
            world.context,
            tx,
            ENDPOINT.id,
            ("sms", MOTHER),
            permit=False,
            how="reply STOP",
            recorded_at=START,
        )
    world.discharge()
    world.go(CHECK_IN)
    assert world.sms.sent == []
    assert world.state() == "held: opted-out"
