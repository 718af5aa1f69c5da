"""What patients answered goes to the EHR in the first form that it takes, once."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from mappings.answers import list_forms, write_consent, write_preference
from mappings.consent import read_consents
from mappings.content import shipped_resources
from mappings.errors import FhirError
from mappings.preference import ConsentRecord, PreferenceRecord, Who
from middleware.stages.writing_back import save_preference
from tests.stages.world import CHECK_IN, ENDPOINT, NUMBER, ROSA, START, World

REFUSED = FhirError("answered 403", status=403)
FORMS = ("Consent", "QuestionnaireResponse", "DocumentReference")


def declare(*types: str) -> dict[str, Any]:
    listed = [{"type": name, "interaction": [{"code": "create"}]} for name in types]
    listed.append({"type": "Consent", "interaction": [{"code": "read"}]})
    return {"resourceType": "CapabilityStatement", "rest": [{"resource": listed}]}


def stop(world: World) -> None:
    """Rosa's check-in is planned, so her chart is known; she says STOP."""
    world.discharge()
    world.run()
    world.reply("STOP")
    world.run()


def answers(world: World) -> list[str]:
    return [
        item["resourceType"]
        for item in world.fhir.created
        if item["resourceType"] in FORMS
    ]


def test_a_stop_becomes_a_consent_in_every_chart_that_bears_the_number(
    world: World,
) -> None:
    stop(world)
    (consent,) = world.fhir.list_created("Consent")
    assert consent["patient"] == {"reference": ROSA}
    assert consent["provision"]["type"] == "deny"
    world.wait(minutes=5)
    assert answers(world) == ["Consent"]


def test_a_start_permits_nobody_and_is_not_told(world: World) -> None:
    stop(world)
    world.reply("START")
    world.run()
    assert answers(world) == ["Consent"]


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (("QuestionnaireResponse", "DocumentReference"), ["QuestionnaireResponse"]),
        (("DocumentReference", "Communication"), ["DocumentReference"]),
        (("Communication",), []),
    ],
)
def test_what_the_ehr_declares_chooses_the_form(
    world: World, declared: tuple[str, ...], expected: list[str]
) -> None:
    statement = declare(*declared)
    world.context = replace(world.context, capabilities=lambda _: statement)
    stop(world)
    assert answers(world) == expected
    state = world.one("SELECT state FROM outbox WHERE key LIKE %s", "%|answer|%")
    assert state == ("done" if expected else "kept")


def test_a_form_that_is_refused_all_the_same_gives_way_to_the_next(
    world: World,
) -> None:
    world.fhir.fault = lambda verb, what: (
        REFUSED if (verb, what) == ("create", "Consent") else None
    )
    stop(world)
    assert answers(world) == ["QuestionnaireResponse"]


def test_what_no_form_is_taken_for_is_kept_here_and_counts(world: World) -> None:
    world.fhir.fault = lambda verb, what: (
        REFUSED if verb == "create" and what in FORMS else None
    )
    stop(world)
    (row,) = world.rows(
        "SELECT state, error FROM outbox WHERE key LIKE %s", "%|answer|%"
    )
    assert row["state"] == "kept"
    assert row["error"]
    world.go(CHECK_IN)
    assert world.state() == "held: opted-out"


def test_an_answer_that_may_have_arrived_is_found_again(world: World) -> None:
    faults = iter([FhirError("cut off", status=None)])
    world.fhir.fault = lambda verb, what: (
        next(faults, None) if (verb, what) == ("created", "Consent") else None
    )
    stop(world)
    world.wait(hours=1)
    assert len(world.fhir.list_created("Consent")) == 1


def test_our_own_consent_read_back_is_not_said_twice(world: World) -> None:
    stop(world)
    (consent,) = world.fhir.list_created("Consent")
    known = world.one("SELECT id FROM consent WHERE NOT permit")
    assert read_consents([consent], "north", ROSA, START, {known}) == ()
    (strange,) = read_consents([consent], "north", ROSA, START)
    assert (strange.permit, strange.value) == (False, NUMBER)


def test_a_preference_goes_as_an_answer_to_our_questionnaire(world: World) -> None:
    said = PreferenceRecord("window", [17, 20], Who.PATIENT, "asked", START)
    with world.database.tx() as tx:
        save_preference(world.context, tx, ENDPOINT, ROSA, said)
    world.run()
    (response,) = world.fhir.list_created("QuestionnaireResponse")
    given = {i["linkId"]: i["answer"][0]["valueString"] for i in response["item"]}
    assert (given["name"], given["value"]) == ("window", "[17, 20]")
    known = {item["id"]: item for item in shipped_resources()}
    asked = {item["linkId"] for item in known["contact-preferences"]["item"]}
    assert set(given) <= asked


@pytest.mark.parametrize("actor", [None, "RelatedPerson/ana"])
@pytest.mark.parametrize("topic", ["*", "survey"])
def test_every_form_is_valid_fhir(actor: str | None, topic: str) -> None:
    record = ConsentRecord(
        "c1",
        "north",
        ROSA,
        "sms",
        NUMBER,
        topic,
        True,
        Who.PATIENT,
        "asked",
        START,
        actor=actor,
    )
    said = PreferenceRecord("pause", None, Who.STAFF, "asked", START)
    first = (write_consent(record, ROSA), write_preference(said, "p1", ROSA))
    for resource in (form for one in first for form in list_forms(one)):
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    asked = replace(record, asked="May we?", said_by="RelatedPerson/leo")
    forms = list_forms(write_consent(asked, ROSA))
    for resource in forms:
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    assert forms[0]["performer"] == [{"reference": "RelatedPerson/leo"}]
    text = base64.b64decode(forms[0]["sourceAttachment"]["data"]).decode()
    assert text.startswith("Asked: May we?\nAnswered: yes\nHow: asked\nBy: Related")
    assert text.strip() in [
        item["answer"][0]["valueString"] for item in forms[1]["item"]
    ]
    everywhere = write_consent(replace(record, system="*", value="*"), ROSA)
    get_fhir_model_class("Consent").model_validate(everywhere)
