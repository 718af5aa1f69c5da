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

from mappings.amending import amend_patient, keep_elements, mark_elements
from mappings.answers import answer_identifier, read_preference
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
from mappings.telecom import is_point, says
from middleware.ports import FhirApi
from middleware.stages.context import StageContext
from middleware.stages.correcting import (
    ask_correction,
    is_about_point,
    record_id,
    settle_tasks,
)
from middleware.stages.creating import REFUSALS
from middleware.stages.writing_back import answer_key
from middleware.storage import outbox, preferences

Said = list[tuple[str, PreferenceRecord]]


@dataclass(frozen=True)
class _Answer:
    """An answer as it was queued, and what was said of the same before it.

    ``before`` is what the chart said before an answer that this one takes back.
    """

    response: Resource
    earlier: Said
    before: Resource | None = None


def is_overtaken(context: StageContext, row: outbox.OutboxItem) -> bool:
    """Tell whether something newer was said before this was written into the Patient.

    What was taken back at once never reaches the chart. Of a number the last word counts,
    whoever's; of anything else the same voice's.
    """
    if not _has_place(row.resource):
        return False
    said, mine = _list_said(context, row), record_id(row)
    who = next((record.who for name, record in said if name == mine), None)
    if not is_about_point(row.resource):
        said = [pair for pair in said if pair[1].who is who]
    return bool(said) and said[0][0] != mine


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
    answer = _answer(context, row)
    if not is_about_point(row.resource):
        return _change(context, endpoint, ways, row, answer)
    said = _list_said(context, row)
    stored = _change(context, endpoint, ways, row, answer)
    now = context.clock.now()
    with context.database.tx() as tx:
        if stored is not None:
            preferences.note_in_chart(tx, record_id(row), now)
        settle_tasks(context, tx, endpoint, said, stored)
        if stored is None and said:
            ask_correction(context, tx, endpoint, row)
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
    rows = [row]
    together = alone
    for other in _list_beside(context, row):
        more = _amend(patient, together, _answer(context, other))
        rows += [other] if more is not None else []
        together = more or together
    _note_before(context, rows, patient)
    tried = (together, alone) if together != alone else (alone,)
    sent = (_send(api, way, patient, after) for after in tried for way in ways)
    stored = next((found for found in sent if found is not None), None)
    return stored if stored and _took(patient, stored, answer) else None


def _note_before(
    context: StageContext, rows: list[outbox.OutboxItem], patient: Resource
) -> None:
    """Keep what the chart says, so that it can be put back; of a number it is in the words."""
    names = [(row, read_preference(row.resource)[0]) for row in rows]
    with context.database.tx() as tx:
        for row, name in names:
            if not is_point(name):
                outbox.note_before(tx, row.id, keep_elements(patient, name))


def _took(before: Resource, stored: Resource, answer: _Answer) -> bool:
    """Tell whether what stands says it: some take a change and leave what they keep."""
    name, value, _ = read_preference(answer.response)
    if is_point(name):
        return says(list_of(stored.get("telecom")), name, value)
    return mark_elements(stored, name) != mark_elements(before, name)


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
    if value is None:
        return _restore(patient, onto, answer)
    changed = amend_patient(patient, name, value)
    ours = any(
        amend_patient(patient, name, old.value) == patient for _, old in answer.earlier
    )
    if changed is None or not seen:
        return None
    if mark_elements(patient, name) != seen and not ours and changed != patient:
        return None
    return amend_patient(onto, name, value)


def _restore(patient: Resource, onto: Resource, answer: _Answer) -> Resource | None:
    """Return ``onto`` with what stood before an answer that was taken back.

    None where the chart no longer says what that answer put there.
    """
    name = read_preference(answer.response)[0]
    for _, old in answer.earlier[:1]:
        ours = amend_patient(patient, name, old.value) == patient
        if ours and answer.before is not None:
            kept = {key: part for key, part in onto.items() if key not in answer.before}
            put = {key: part for key, part in answer.before.items() if part is not None}
            return {**kept, **put}
    return None


def _list_beside(
    context: StageContext, row: outbox.OutboxItem
) -> list[outbox.OutboxItem]:
    """List what was said in the same save: it makes one version of the Patient with it."""
    with context.database.tx() as tx:
        rows = outbox.list_beside(tx, row)
    return [other for other in rows if not is_overtaken(context, other)]


def _answer(context: StageContext, row: outbox.OutboxItem) -> _Answer:
    """Return an answer with what was said before it, and what the chart said before that."""
    if not _has_place(row.resource):
        return _Answer(row.resource, [])
    mine = record_id(row)
    said = _list_said(context, row)
    who = next((record.who for name, record in said if name == mine), None)
    place = next((at for at, (name, _) in enumerate(said) if name == mine), -1)
    earlier = said[place + 1 :]
    if read_preference(row.resource)[1] is not None or not earlier:
        return _Answer(row.resource, earlier)
    same = [pair for pair in earlier if pair[1].who is who]
    for name, _ in same[:1]:
        key = answer_key(row.endpoint_id, answer_identifier(name, row.patient))
        with context.database.tx() as tx:
            written = outbox.find_outbox(tx, key)
        if written is not None:
            return _Answer(row.resource, same, written.resource.get(outbox.BEFORE))
    return _Answer(row.resource, same)


def _has_place(resource: Resource) -> bool:
    """Tell whether an answer has a place in the Patient itself."""
    if resource["resourceType"] != "QuestionnaireResponse":
        return False
    name, _, seen = read_preference(resource)
    return is_point(name) or bool(seen)


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


def _list_said(context: StageContext, row: outbox.OutboxItem) -> Said:
    name = read_preference(row.resource)[0]
    with context.database.tx() as tx:
        return preferences.list_said(tx, row.endpoint_id, row.patient, name)
