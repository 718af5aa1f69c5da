"""Putting an answer into the EHR's Patient itself, where it may be changed.

By a patch where the EHR declares one, else by an update of the whole; always of the
version that was read, and only while those elements say what they said when the answer
was given. Of a number that the chart goes on showing otherwise, staff are told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mappings.amending import amend_patient, mark_elements
from mappings.answers import read_preference
from mappings.endpoint import Endpoint
from mappings.errors import FhirError
from mappings.patching import (
    FHIRPATH,
    JSON,
    list_ways,
    write_fhirpath_patch,
    write_json_patch,
)
from mappings.preference import PreferenceRecord
from mappings.resource import Resource, dict_of
from mappings.telecom import CURRENT, OLD, is_point, read_point_name
from middleware.ports import FhirApi
from middleware.stages.context import StageContext
from middleware.stages.staff import ask_person
from middleware.stages.withdrawing import amend_task
from middleware.storage import outbox, preferences, tasks
from middleware.storage.connecting import Tx

REFUSALS = (400, 403, 404, 405, 410, 415, 422, 501)
REASON = "chart-differs"
ADD = "Add {place} to the patient's chart: the patient can be reached there."
CHANGE = "Look at {place} in the patient's chart: it was said to be used otherwise."
END = "Mark {place} in the patient's chart as old: it is used no more."
STRIKE = (
    "Correct {place} in the patient's chart: it is not the patient's. It is out of use "
    "here whatever the chart shows."
)
Said = list[tuple[str, PreferenceRecord]]


def is_overtaken(context: StageContext, row: outbox.OutboxItem) -> bool:
    """Tell whether something newer was said of a number before this was written.

    What was taken back at once never reaches the chart.
    """
    if not _is_about_point(row.resource):
        return False
    newest = _list_said(context, row)[:1]
    return bool(newest) and newest[0][0] != _record_id(row)


def amend(
    context: StageContext,
    endpoint: Endpoint,
    row: outbox.OutboxItem,
    statement: Mapping[str, Any] | None,
) -> Resource | None:
    """Put an answer into the Patient; None where it has to go another way.

    That is where the EHR takes no change, does not say which version it holds, or has
    been told something else since the answer was given: nobody is overwritten.
    """
    if row.resource["resourceType"] != "QuestionnaireResponse":
        return None
    if not _is_about_point(row.resource):
        ways = list_ways(statement, "Patient")
        return _change(context.fhir(endpoint), ways, row.resource, [])
    said = _list_said(context, row)
    ways = list_ways(statement, "Patient")
    stored = _change(context.fhir(endpoint), ways, row.resource, said[1:])
    now = context.clock.now()
    with context.database.tx() as tx:
        if stored is not None:
            preferences.note_in_chart(tx, _record_id(row), now)
        _withdraw(context, tx, endpoint, said)
        if stored is None and said:
            _ask(context, tx, endpoint, row)
    return stored


def _change(
    api: FhirApi, ways: list[str], response: Resource, earlier: Said
) -> Resource | None:
    name, value, seen = read_preference(response)
    # Of a number the chart may say it already, whatever may be changed there.
    if not seen or not (ways or is_point(name)):
        return None
    try:
        patient = api.fetch(str(response["subject"]["reference"]))
    except FhirError as error:
        if error.status in REFUSALS:
            return None
        raise
    version = dict_of(patient.get("meta")).get("versionId")
    changed = amend_patient(patient, name, value)
    ours = any(amend_patient(patient, name, old.value) == patient for _, old in earlier)
    if changed is None or not version:
        return None
    if mark_elements(patient, name) != seen and not ours and changed != patient:
        return None
    if changed == patient:
        return patient
    for way in ways:
        stored = _send(api, way, patient, changed)
        if stored is not None:
            return stored
    return None


def _send(api: FhirApi, way: str, before: Resource, after: Resource) -> Resource | None:
    """Send a change in one way; None where the EHR refuses it."""
    reference = f"Patient/{before['id']}"
    match = f'W/"{dict_of(before.get("meta"))["versionId"]}"'
    try:
        if way == JSON:
            patch = write_json_patch(before, after)
            return api.send_patch(reference, patch, if_match=match)
        if way == FHIRPATH:
            parameters = write_fhirpath_patch(before, after)
            if parameters is None:
                return None
            return api.send_patch(reference, parameters, if_match=match)
        return api.send_update(after, if_match=match)
    except FhirError as error:
        if error.status in REFUSALS:
            return None
        raise


def _is_about_point(resource: Resource) -> bool:
    if resource["resourceType"] != "QuestionnaireResponse":
        return False
    return is_point(read_preference(resource)[0])


def _record_id(row: outbox.OutboxItem) -> str:
    return str(row.resource["identifier"]["value"]).rpartition(".")[0]


def _list_said(context: StageContext, row: outbox.OutboxItem) -> Said:
    name = read_preference(row.resource)[0]
    with context.database.tx() as tx:
        return preferences.list_said(tx, row.endpoint_id, row.patient, name)


def _task_key(record_id: str) -> str:
    return f"{REASON}-{record_id}"


def _withdraw(context: StageContext, tx: Tx, endpoint: Endpoint, said: Said) -> None:
    """Take back what staff were asked about the same number before."""
    now = context.clock.now()
    for record_id, _ in said[1:]:
        task = tasks.get_task(tx, f"task-{_task_key(record_id)}")
        if task is not None and tasks.withdraw_task(tx, task.id, "superseded", now):
            amend_task(context, tx, endpoint, task, "cancelled", now)


def _ask(
    context: StageContext, tx: Tx, endpoint: Endpoint, row: outbox.OutboxItem
) -> None:
    """Ask staff to make the chart say what counts here."""
    name, value, _ = read_preference(row.resource)
    said = dict_of(value)
    words = {CURRENT: CHANGE if said.get("before") else ADD, OLD: END}
    text = words.get(str(said.get("state")), STRIKE)
    ask_person(
        context,
        tx,
        endpoint,
        row.patient,
        shard=row.shard,
        priority="routine",
        reason=REASON,
        text=text.format(place=read_point_name(name)[1]),
        now=context.clock.now(),
        key=_task_key(_record_id(row)),
    )
