"""Saying something of a number in the world of the stages, and what came of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mappings.amending import mark_elements
from mappings.patching import JSON_PATCH
from mappings.preference import PreferenceRecord, Who
from middleware.stages.writing_back import save_preference
from tests.stages.world import ENDPOINT, ROSA, World

NEW = "+13125550177"
AUTHOR = "Practitioner/osei"
FORMATS = {"json": [JSON_PATCH], "fhirpath": ["application/fhir+json"], "none": []}


def declare(world: World, *interactions: str, formats: str = "json") -> None:
    """The EHR takes these interactions on Patient, questionnaire answers and Tasks."""
    listed = [
        {"type": "Patient", "interaction": [{"code": code} for code in interactions]},
        {"type": "QuestionnaireResponse", "interaction": [{"code": "create"}]},
    ]
    statement = {
        "resourceType": "CapabilityStatement",
        "patchFormat": FORMATS[formats],
        "rest": [{"resource": listed}],
    }
    world.context = replace(world.context, capabilities=lambda _: statement)


def said(world: World, value: str, state: str, **changes: Any) -> dict[str, Any]:
    name = f"telecom:sms:{value}"
    return {
        "system": "phone",
        "value": value,
        "state": state,
        "use": "mobile",
        "rank": None,
        "start": "",
        "end": "2026-11-23",
        "shared": False,
        "seen": mark_elements(world.fhir.fetch(ROSA), name),
        "before": None,
        **changes,
    }


def say(world: World, statement: dict[str, Any]) -> None:
    """Staff record a statement in view of the chart as it is."""
    name = f"telecom:sms:{statement['value']}"
    record = PreferenceRecord(
        name, statement, Who.PATIENT, "told staff", world.clock.now(), "Dr. Osei"
    )
    with world.database.tx() as tx:
        seen = world.fhir.fetch(ROSA)
        save_preference(
            world.context, tx, ENDPOINT, ROSA, record, author=AUTHOR, seen=seen
        )


def telecom(world: World) -> dict[str, dict[str, Any]]:
    return {item["value"]: item for item in world.fhir.fetch(ROSA)["telecom"]}


def tasks(world: World) -> list[str]:
    return [
        row["state"]
        for row in world.rows(
            "SELECT state FROM staff_task WHERE reason = 'chart-differs' "
            "ORDER BY created_at, id"
        )
    ]
