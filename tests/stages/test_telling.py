"""Who saw what goes to the EHR as AuditEvent where it takes one, and stays ours else."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fhir.resources import get_fhir_model_class as r5_class
from fhir.resources.R4B import get_fhir_model_class

from mappings.audit_event import KINDS, write_audit_event
from mappings.audited import SEARCHED, VIEWED, Audited
from middleware.storage.audit import Viewing, insert_audit, insert_viewing, list_audit
from tests.stages.world import ENDPOINT, ROSA, START, World

OSEI = "Practitioner/osei"
WHY = {"iss": "https://idp.example.org", "sub": "u1", "intent": "summary"}
LOOK = Viewing(
    at=START,
    who=OSEI,
    endpoint_id=ENDPOINT.id,
    patient=ROSA,
    launch_id="launch-1",
    detail={"view": "page", "read": {"Patient": 1, "Appointment": 3}, **WHY},
    tell=True,
)


def declare(release: str, *interactions: str) -> dict[str, Any]:
    listed = [{"code": code} for code in interactions]
    return {
        "resourceType": "CapabilityStatement",
        "fhirVersion": release,
        "rest": [{"resource": [{"type": "AuditEvent", "interaction": listed}]}],
    }


def look(world: World, statement: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Somebody looks at Rosa's page, and RECORD runs; return what the EHR got."""
    world.context = replace(world.context, capabilities=lambda _: statement)
    with world.database.tx() as tx:
        insert_viewing(tx, LOOK)
    world.run()
    return world.fhir.list_created("AuditEvent")


@pytest.mark.parametrize("release", ["4.0.1", "5.0.0"])
def test_a_look_is_written_once_in_the_release_of_the_ehr(
    world: World, release: str
) -> None:
    (event,) = look(world, declare(release, "create"))
    world.wait(minutes=5)
    assert world.fhir.list_created("AuditEvent") == [event]
    person = event["agent"][0]
    assert person["who"]["reference"] == OSEI
    assert person["who"]["identifier"] == {"system": WHY["iss"], "value": WHY["sub"]}
    assert [agent["requestor"] for agent in event["agent"]] == [True, False, False]
    whom, what, why, entry = event["entity"]
    assert entry["what"]["identifier"]["value"].startswith("urn:uuid:")
    assert whom["what"] == {"reference": ROSA}
    query = f"Appointment?patient={ROSA}"
    assert base64.b64decode(what["query"]).decode() == query
    assert what["detail"][0]["valueString"] == "3"
    assert why["what"]["identifier"]["value"] == "launch-1"
    assert [item["valueString"] for item in why["detail"]] == ["page", "summary"]
    if release == "5.0.0":
        assert event["patient"] == {"reference": ROSA}
        r5_class("AuditEvent").model_validate(event)
    else:
        assert (event["type"]["code"], event["outcome"]) == ("rest", "0")
        get_fhir_model_class("AuditEvent").model_validate(event)


@pytest.mark.parametrize("statement", [None, declare("4.0.1", "read")])
def test_an_ehr_that_declares_none_gets_none_and_ours_stays(
    world: World, statement: dict[str, Any] | None
) -> None:
    assert look(world, statement) == []
    (row,) = world.rows("SELECT state, error FROM outbox")
    assert row["state"] == "kept"
    assert "nothing has to be done" in row["error"]
    with world.database.tx() as tx:
        (entry,) = list_audit(tx)
    assert entry.detail == LOOK.detail


def test_the_same_look_within_a_minute_is_told_once(world: World) -> None:
    world.context = replace(
        world.context, capabilities=lambda _: declare("4.0.1", "create")
    )
    for seconds in (0, 59, 61):
        later = replace(LOOK, at=START + timedelta(seconds=seconds))
        with world.database.tx() as tx:
            insert_viewing(tx, later)
    world.wait(minutes=5)
    assert len(world.fhir.list_created("AuditEvent")) == 2


def test_a_change_is_told_as_one(world: World) -> None:
    world.context = replace(
        world.context, capabilities=lambda _: declare("4.0.1", "create")
    )
    with world.database.tx() as tx:
        insert_audit(
            tx,
            OSEI,
            "preference-saved",
            START,
            endpoint_id=ENDPOINT.id,
            patient=ROSA,
            subject="weekly",
            detail={"value": 2},
            tell=True,
        )
    world.run()
    (event,) = world.fhir.list_created("AuditEvent")
    assert (event["action"], event["subtype"][0]["code"]) == ("U", "update")
    assert event["entity"][1]["name"] == "weekly"
    assert "2" not in str(event["entity"][1])


@pytest.mark.parametrize("action", [*KINDS, "patient-merged", "something-new"])
@pytest.mark.parametrize("who", [OSEI, "https://idp.example.org u1", "command line"])
@pytest.mark.parametrize("detail", [{}, {**WHY, "count": 1, "by": ["name"]}])
def test_every_entry_is_valid_in_both_releases(
    action: str, who: str, detail: dict[str, Any]
) -> None:
    read = {"read": {"Patient": 1, "Goal": 2}} if action == VIEWED else {}
    context = {"fhir_context": [{"reference": "Encounter/1"}]} if detail else {}
    entry = Audited(
        id=1,
        at=START,
        who=who,
        action=action,
        endpoint_id=ENDPOINT.id,
        patient=None if action == SEARCHED else ROSA,
        subject="s1" if detail else None,
        detail={**detail, **read, **context, "patients": [ROSA, "Patient/other"]},
    )
    for release, model in (("R4", get_fhir_model_class), ("R5", r5_class)):
        event = write_audit_event(entry, ROSA, ENDPOINT, release)
        model("AuditEvent").model_validate(event)
        assert "Patient/other" not in str(event)
