"""What patients answered goes to the EHR in the first form that it takes, once."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
from fhir.resources import get_fhir_model_class as r5_class
from fhir.resources.R4B import get_fhir_model_class

from mappings.amending import amend_patient
from mappings.answers import list_forms, write_consent, write_preference
from mappings.consent import read_consents
from mappings.content import shipped_resources
from mappings.errors import FhirError
from mappings.preference import ConsentRecord, PreferenceRecord, Who
from mappings.provenance import Recording, aim_provenance, write_provenance
from mappings.speech import INTERPRETER_BASE, read_interpreter
from mappings.stated import read_modalities
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


AUTHOR = "Practitioner/osei"


def takes_updates(world: World, *types: str) -> dict[str, Any]:
    """The EHR takes these types, and updates of Patient; return Rosa as she is."""
    statement = declare(*types)
    listed = statement["rest"][0]["resource"]
    listed.append({"type": "Patient", "interaction": [{"code": "update"}]})
    world.context = replace(world.context, capabilities=lambda _: statement)
    world.discharge()
    world.run()
    return world.fhir.fetch(ROSA)


def say(
    world: World, name: str, value: Any, *, seen: dict[str, Any] | None = None
) -> None:
    said = PreferenceRecord(name, value, Who.PATIENT, "told staff", START, "Dr. Osei")
    with world.database.tx() as tx:
        save_preference(
            world.context, tx, ENDPOINT, ROSA, said, author=AUTHOR, seen=seen
        )
    world.run()


def test_a_language_is_put_into_the_patient_where_that_may_be_updated(
    world: World,
) -> None:
    before = takes_updates(world, "QuestionnaireResponse")
    say(world, "language", "vi", seen=before)
    after = world.fhir.fetch(ROSA)
    preferred = [item for item in after["communication"] if item.get("preferred")]
    assert [item["language"]["coding"][0]["code"] for item in preferred] == ["vi"]
    assert len(after["communication"]) == len(before["communication"]) + 1
    assert after["telecom"] == before["telecom"]
    assert answers(world) == []
    kept = world.one(
        "SELECT server_reference FROM outbox WHERE key LIKE %s", "%|answer|%.rosa"
    )
    assert kept == ROSA


def test_what_somebody_else_changed_meanwhile_is_not_overwritten(world: World) -> None:
    before = takes_updates(world, "QuestionnaireResponse")
    korean = [{"language": {"coding": [{"code": "ko"}]}, "preferred": True}]
    world.fhir.change(ROSA, communication=korean)
    say(world, "language", "vi", seen=before)
    assert world.fhir.fetch(ROSA)["communication"] == korean
    assert answers(world) == ["QuestionnaireResponse"]


def test_an_update_that_another_forestalled_is_made_of_the_newer_version(
    world: World,
) -> None:
    before = takes_updates(world, "QuestionnaireResponse")
    faults = iter([FhirError("answered 412", status=412)])
    world.fhir.fault = lambda verb, what: (
        next(faults, None) if verb == "update" else None
    )
    say(world, "language", "vi", seen=before)
    world.fhir.change(ROSA, gender="other")
    world.wait(hours=1)
    after = world.fhir.fetch(ROSA)
    assert after["communication"][-1]["language"]["coding"][0]["code"] == "vi"
    assert after["gender"] == "other"
    assert answers(world) == []


def test_what_was_forestalled_goes_in_once_somebody_chose_it_in_sight_of_both(
    world: World,
) -> None:
    before = takes_updates(world, "QuestionnaireResponse")
    korean = [{"language": {"coding": [{"code": "ko"}]}, "preferred": True}]

    told: list[str] = []

    def forestall(verb: str, what: str) -> FhirError | None:
        if verb != "update" or told:
            return None
        told.append(what)
        world.fhir.change(ROSA, communication=korean)
        return FhirError("answered 412", status=412)

    world.fhir.fault = forestall
    say(world, "language", "vi", seen=before)
    world.wait(hours=1)
    assert world.fhir.fetch(ROSA)["communication"] == korean
    assert answers(world) == ["QuestionnaireResponse"]
    world.fhir.fault = lambda verb, what: None
    say(world, "language", "vi", seen=world.fhir.fetch(ROSA))
    spoken = {
        item["language"]["coding"][0]["code"]: item.get("preferred")
        for item in world.fhir.fetch(ROSA)["communication"]
    }
    assert spoken["vi"] is True
    assert "ko" in spoken
    assert answers(world) == ["QuestionnaireResponse"]


def test_an_update_that_is_refused_gives_way_to_a_form(world: World) -> None:
    before = takes_updates(world, "QuestionnaireResponse")
    world.fhir.fault = lambda verb, what: REFUSED if verb == "update" else None
    say(world, "language", "vi", seen=before)
    assert world.fhir.fetch(ROSA)["communication"] == before["communication"]
    assert answers(world) == ["QuestionnaireResponse"]


def test_how_a_patient_likes_to_be_seen_becomes_an_observation(world: World) -> None:
    takes_updates(world, "Observation", "QuestionnaireResponse")
    say(world, "modality", "telehealth")
    (found,) = world.fhir.list_created("Observation")
    assert found["code"]["coding"][0]["code"] == "95541-9"
    assert found["performer"] == [{"reference": ROSA}]
    get_fhir_model_class("Observation").model_validate(found)
    assert answers(world) == []
    # It is ours: taken back here, it is not heard as the chart's word.
    assert read_modalities([found], ROSA) == ()


@pytest.mark.parametrize("declared", [True, False])
def test_who_recorded_an_answer_is_told_where_the_ehr_takes_it(
    world: World, *, declared: bool
) -> None:
    takes_updates(world, "QuestionnaireResponse", *(["Provenance"] * declared))
    say(world, "window", [17, 20])
    (response,) = world.fhir.list_created("QuestionnaireResponse")
    found = world.fhir.list_created("Provenance")
    states = {row["state"] for row in world.rows("SELECT state FROM outbox")}
    assert states == {"done"}
    assert response["author"] == {"reference": AUTHOR}
    assert len(found) == declared
    for provenance in found:
        target = f"QuestionnaireResponse/{response['id']}"
        assert provenance["target"] == [{"reference": target}]
        author = {"reference": AUTHOR, "display": "Dr. Osei"}
        assert provenance["agent"][0]["who"] == author
        assert "identifier" not in provenance
        assert provenance["agent"][1]["who"] == {"reference": ROSA}
        assert provenance["reason"][0]["coding"][0]["code"] == "PATRQT"
        assert provenance["activity"]["coding"][0]["code"] == "CREATE"
        get_fhir_model_class("Provenance").model_validate(provenance)


def test_a_provenance_says_on_whose_behalf_and_word_in_both_releases() -> None:
    recording = Recording(AUTHOR, None, "Organization/north")
    written = write_provenance(recording, "a1", START)
    r4 = aim_provenance(written, "Consent/9", "R4")
    r5 = aim_provenance(written, ROSA, "R5")
    assert r4["agent"][0]["onBehalfOf"] == {"reference": "Organization/north"}
    assert r4["reason"][0]["coding"][0]["code"] == "COC"
    assert r5["activity"]["coding"][0]["code"] == "UPDATE"
    get_fhir_model_class("Provenance").model_validate(r4)
    r5_class("Provenance").model_validate(r5)


def test_nobody_is_told_of_an_answer_that_is_not_in_the_chart(world: World) -> None:
    takes_updates(world, "Provenance")
    say(world, "window", [17, 20])
    assert world.fhir.list_created("Provenance") == []


def test_an_interpreter_replaces_what_was_said_of_one() -> None:
    other = {"url": "urn:other", "valueString": "stays"}
    before = {"extension": [other, {"url": INTERPRETER_BASE, "valueBoolean": True}]}
    after = amend_patient(before, "interpreter", value=False)
    assert after is not None
    assert after["extension"][0] == other
    assert read_interpreter(after).value is False  # type: ignore[union-attr]
    assert len(after["extension"]) == 2


def test_an_order_of_ways_becomes_ranks_and_leaves_the_rest() -> None:
    points = [
        {"system": "phone", "use": "mobile", "value": NUMBER},
        {"system": "phone", "use": "old", "value": "+13125550143"},
        {"system": "fax", "value": "+13125550144"},
        {"system": "email", "value": "rosa@example.org", "rank": 4},
    ]
    after = amend_patient({"telecom": points}, "channels", value=["email", "sms"])
    assert after is not None
    assert [item.get("rank") for item in after["telecom"]] == [2, None, None, 1]


@pytest.mark.parametrize(
    ("name", "value"),
    [("language", None), ("language", 3), ("interpreter", "yes"), ("window", [9, 20])],
)
def test_what_has_no_place_in_the_patient_is_no_amendment(
    name: str, value: Any
) -> None:
    assert amend_patient({"communication": []}, name, value) is None
