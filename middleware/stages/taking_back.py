"""An answer that is taken back after the EHR has it: what was written is marked as an error.

FHIR's word for what never should have stood there is the status ``entered-in-error``;
whoever reads the chart then finds no answer. What never arrived is not told of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mappings.answers import answer_identifier, read_preference
from mappings.errors import FhirError
from mappings.patching import JSON, WHOLE, list_ways
from mappings.resource import Resource, dict_of
from middleware.ports import FhirApi
from middleware.stages.context import StageContext
from middleware.stages.correcting import record_id
from middleware.stages.creating import REFUSALS
from middleware.stages.writing_back import answer_key
from middleware.storage import outbox, preferences

IN_ERROR = "entered-in-error"
# A pause that ends was none by mistake.
ENDS = ("pause",)
KINDS = ("Observation", "QuestionnaireResponse", "DocumentReference")


def is_taken_back(resource: Resource) -> bool:
    """Tell whether a resource says that an answer is taken back."""
    kind = resource["resourceType"]
    return kind == "QuestionnaireResponse" and read_preference(resource)[1] is None


def take_back(
    context: StageContext,
    api: FhirApi,
    statement: Mapping[str, Any] | None,
    row: outbox.OutboxItem,
) -> Resource | None:
    """Mark what the same voice said before as an error, and return it.

    Empty where the EHR has none of it; None where it takes no such change, so that
    taking back is told as an answer. FhirError while that may still arrive.
    """
    before = _find_before(context, row)
    if before is None:
        return None
    if before.state == "waiting":
        raise FhirError("what this takes back is not in the EHR yet", status=None)
    if before.server_reference is None:
        return {}
    kind = before.server_reference.partition("/")[0]
    ways = list_ways(statement, kind)
    if kind not in KINDS or not ways:
        return None
    try:
        return _mark(api, ways, before.server_reference)
    except FhirError as error:
        if error.status in REFUSALS:
            return None
        raise


def _mark(api: FhirApi, ways: list[str], reference: str) -> Resource | None:
    current = api.fetch(reference)
    if current.get("status") == IN_ERROR:
        return current
    version = dict_of(current.get("meta")).get("versionId")
    match = f'W/"{version}"' if version else None
    if WHOLE in ways:
        return api.send_update({**current, "status": IN_ERROR}, if_match=match)
    if JSON in ways:
        patch: list[dict[str, Any]] = [
            {"op": "test", "path": "/status", "value": current.get("status")},
            {"op": "replace", "path": "/status", "value": IN_ERROR},
        ]
        return api.send_patch(reference, patch, if_match=match)
    return None


def _find_before(
    context: StageContext, row: outbox.OutboxItem
) -> outbox.OutboxItem | None:
    """Return the row of the answer that the same voice gave last before this one."""
    name, mine = read_preference(row.resource)[0], record_id(row)
    if name in ENDS:
        return None
    with context.database.tx() as tx:
        said = preferences.list_said(tx, row.endpoint_id, row.patient, name)
        who = next((record.who for known, record in said if known == mine), None)
        same = [known for known, record in said if record.who is who]
        for earlier in same[same.index(mine) + 1 :][:1] if mine in same else ():
            identifier = answer_identifier(earlier, row.patient)
            return outbox.find_outbox(tx, answer_key(row.endpoint_id, identifier))
    return None
