"""Putting an answer into the EHR's Patient itself, where it may be changed.

By a patch where the EHR declares one, else by an update of the whole; always of the
version that was read, and only while those elements say what they said when the answer
was given. What was saved together becomes one version. Of a number that the chart goes
on showing otherwise, staff are told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mappings.amending import amend_patient, mark_elements
from mappings.answers import read_preference
from mappings.endpoint import Endpoint
from mappings.errors import FhirError
from mappings.merge import ELSEWHERE, merged_into
from mappings.patching import (
    FHIRPATH,
    JSON,
    list_ways,
    write_fhirpath_patch,
    write_json_patch,
)
from mappings.preference import PreferenceRecord
from mappings.resource import Resource, dict_of, list_of
from mappings.telecom import CURRENT, OLD, is_point, read_point_name, says
from middleware.ports import FhirApi
from middleware.stages.agreeing import complete_task
from middleware.stages.context import StageContext
from middleware.stages.creating import REFUSALS, identifier_of
from middleware.stages.staff import ask_person
from middleware.stages.withdrawing import amend_task
from middleware.storage import outbox, preferences, tasks
from middleware.storage.connecting import Tx
from middleware.storage.differing import REASON, task_id, task_key

ADD = "Add {place} to the patient's chart: the patient can be reached there."
CHANGE = "Look at {place} in the patient's chart: it was said to be used otherwise."
END = "Mark {place} in the patient's chart as old: it is used no more."
STRIKE = (
    "Correct {place} in the patient's chart: it is not the patient's. It is out of use "
    "here whatever the chart shows."
)
NEWER = "Something newer was said of it."
Said = list[tuple[str, PreferenceRecord]]


@dataclass(frozen=True)
class _Answer:
    """An answer as it was queued, and what was said of the same number before it."""

    response: Resource
    earlier: Said


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
    ways = list_ways(statement, "Patient")
    answer = _Answer(row.resource, [])
    if not _is_about_point(row.resource):
        return _change(context, endpoint, ways, row, answer)
    said = _list_said(context, row)
    answer = _Answer(row.resource, said[1:])
    stored = _change(context, endpoint, ways, row, answer)
    now = context.clock.now()
    with context.database.tx() as tx:
        if stored is not None:
            preferences.note_in_chart(tx, _record_id(row), now)
        _settle_tasks(context, tx, endpoint, said, stored)
        if stored is None and said:
            _ask(context, tx, endpoint, row)
    return stored


def _change(
    context: StageContext,
    endpoint: Endpoint,
    ways: list[str],
    row: outbox.OutboxItem,
    answer: _Answer,
) -> Resource | None:
    """Put an answer into the Patient, together with what was saved with it."""
    name, _, seen = read_preference(answer.response)
    # Of a number the chart may say it already, whatever may be changed there.
    if not seen or not (ways or is_point(name)):
        return None
    api = context.fhir(endpoint)
    try:
        patient = _fetch_patient(api, str(answer.response["subject"]["reference"]))
    except FhirError as error:
        if error.status in REFUSALS:
            return None
        raise
    alone = _amend(patient, patient, answer)
    version = dict_of(patient.get("meta")).get("versionId")
    if alone is None or not version:
        return None
    if alone == patient:
        return patient
    together = alone
    for other in _list_beside(context, row):
        together = _amend(patient, together, other) or together
    for changed in (together, alone) if together != alone else (alone,):
        for way in ways:
            stored = _send(api, way, patient, changed)
            if stored is not None:
                return stored
    return None


def _fetch_patient(api: FhirApi, reference: str) -> Resource:
    """Read the Patient, or the record that it was merged into since."""
    patient = api.fetch(reference)
    survivor = merged_into(patient)
    if survivor is None or survivor == ELSEWHERE:
        return patient
    return api.fetch(survivor)


def _amend(patient: Resource, onto: Resource, answer: _Answer) -> Resource | None:
    """Return ``onto`` with an answer in it; None where others have spoken since.

    ``patient`` is what the chart says.
    """
    name, value, seen = read_preference(answer.response)
    changed = amend_patient(patient, name, value)
    ours = any(
        amend_patient(patient, name, old.value) == patient for _, old in answer.earlier
    )
    if changed is None or not seen:
        return None
    if mark_elements(patient, name) != seen and not ours and changed != patient:
        return None
    return amend_patient(onto, name, value)


def _list_beside(context: StageContext, row: outbox.OutboxItem) -> list[_Answer]:
    """List what was said in the same save: it makes one version of the Patient with it."""
    with context.database.tx() as tx:
        rows = outbox.list_beside(tx, row)
    return [
        _Answer(
            other.resource,
            _list_said(context, other)[1:] if _is_about_point(other.resource) else [],
        )
        for other in rows
        if not is_overtaken(context, other)
    ]


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
    return identifier_of(row.resource)["value"].rpartition(".")[0]


def _list_said(context: StageContext, row: outbox.OutboxItem) -> Said:
    name = read_preference(row.resource)[0]
    with context.database.tx() as tx:
        return preferences.list_said(tx, row.endpoint_id, row.patient, name)


def _settle_tasks(
    context: StageContext,
    tx: Tx,
    endpoint: Endpoint,
    said: Said,
    stored: Resource | None,
) -> None:
    """End what staff were asked about a number: the chart says it now, or other words do."""
    now = context.clock.now()
    telecom = list_of((stored or {}).get("telecom"))
    for place, (record_id, record) in enumerate(said):
        task = tasks.get_task(tx, task_id(record_id))
        if task is None:
            continue
        if stored is not None and says(telecom, record.name, record.value):
            complete_task(context, tx, endpoint, task.id, now)
        elif place and tasks.withdraw_task(tx, task.id, "superseded", now):
            amend_task(context, tx, endpoint, task, "cancelled", now, NEWER)


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
        key=task_key(_record_id(row)),
    )
