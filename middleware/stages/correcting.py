"""Asking staff to correct a number in a chart, and taking that back."""

from __future__ import annotations

from collections.abc import Sequence

from mappings.answers import read_preference
from mappings.endpoint import Endpoint
from mappings.preference import PreferenceRecord
from mappings.resource import Resource, dict_of, list_of
from mappings.telecom import CURRENT, OLD, is_point, read_point_name, says
from middleware.stages.agreeing import complete_task
from middleware.stages.context import StageContext
from middleware.stages.creating import identifier_of
from middleware.stages.staff import ask_person
from middleware.stages.withdrawing import amend_task
from middleware.storage import outbox, tasks
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
Said = Sequence[tuple[str, PreferenceRecord]]


def is_about_point(resource: Resource) -> bool:
    """Tell whether an answer is about one number or address."""
    if resource["resourceType"] != "QuestionnaireResponse":
        return False
    return is_point(read_preference(resource)[0])


def record_id(row: outbox.OutboxItem) -> str:
    """Return the id of the record that a row tells the EHR of."""
    return identifier_of(row.resource)["value"].rpartition(".")[0]


def settle_tasks(
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


def ask_correction(
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
        key=task_key(record_id(row)),
    )
