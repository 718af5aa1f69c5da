"""What our own store knows of patients: everything that decides about a message.

Several patients are read as one is, by the same few statements.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mappings.nudge import WAITING
from mappings.preference import (
    AskedTask,
    Bearer,
    ComingMessage,
    ConsentRecord,
    OwnRecord,
    PreferenceRecord,
    SentMessage,
    Switch,
    Who,
)
from middleware.storage.bearers import list_bearers
from middleware.storage.connecting import Row, Tx
from middleware.storage.deliveries import list_sent
from middleware.storage.marks import RESTORE_UNCHECKED, read_mark
from middleware.storage.merging import list_replaced
from middleware.storage.tasks import HOLDING_REASON

Address = tuple[str, str]


@dataclass(frozen=True)
class _Asked:
    """Whom a reading is about; addresses are (system, value).

    ``beside`` are those of people who stand beside a patient.
    """

    endpoint_id: str
    patients: list[str]
    replaced: dict[str, list[str]]
    addresses: Mapping[str, Collection[Address]]
    beside: Mapping[str, Collection[Address]]

    @property
    def records(self) -> list[str]:
        """Return the patients with the records that were merged into theirs."""
        older = [name for names in self.replaced.values() for name in names]
        return [*self.patients, *older]

    def records_of(self, patient: str) -> set[str]:
        """Return the records of one of them."""
        return {patient, *self.replaced.get(patient, ())}

    def places_of(self, patient: str) -> set[Address]:
        """Return all places where one of them, or who stands beside, may be reached."""
        return {*self.addresses[patient], *self.beside.get(patient, ())}

    def values(self) -> dict[str, object]:
        """Return what the statements are given."""
        known = sorted({item for one in self.patients for item in self.places_of(one)})
        return {
            "endpoint": self.endpoint_id,
            "patients": self.patients,
            "records": self.records,
            "systems": [system for system, _ in known],
            "values": [value for _, value in known],
            "reason": HOLDING_REASON,
        }


def read_own(
    tx: Tx,
    endpoint_id: str,
    patient: str,
    addresses: Sequence[Address],
    since: datetime,
) -> OwnRecord:
    """Read everything of ours that decides about one patient, in one transaction.

    ``addresses`` are (system, value); their consents count whoever gave them.
    ``since`` is the earliest message that still counts against the limits.
    """
    return read_owns(tx, endpoint_id, {patient: addresses}, since)[patient]


def read_owns(
    tx: Tx,
    endpoint_id: str,
    addresses: Mapping[str, Collection[Address]],
    since: datetime,
    beside: Mapping[str, Collection[Address]] | None = None,
) -> dict[str, OwnRecord]:
    """Read the same of several patients, whose addresses are given, each apart.

    ``beside`` are addresses of others who may be written to about them: what was said
    of these counts too.
    """
    patients = sorted(addresses)
    replaced = list_replaced(tx, endpoint_id, patients)
    asked = _Asked(endpoint_id, patients, replaced, addresses, beside or {})
    rows = _read_rows(tx, asked, since)
    return {patient: _own_of(rows, asked, patient) for patient in patients}


@dataclass(frozen=True)
class _Rows:
    """What was read of all of them together."""

    preferences: Sequence[Row]
    consents: Sequence[Row]
    tasks: Sequence[Row]
    asked: Sequence[Row]
    bad: Collection[Address]
    told: Sequence[tuple[str, SentMessage]]
    coming: Sequence[Row]
    switches: tuple[Switch, ...]
    unchecked: bool
    bearers: Sequence[tuple[str, Bearer]]


def _read_rows(tx: Tx, asked: _Asked, since: datetime) -> _Rows:
    values = asked.values()
    # Sent at once, answered in one round trip; the last one waits for them all.
    with tx.pipeline():
        switched = tx.execute(_SWITCHES)
        said = tx.execute(_PREFERENCES, values)
        consented = tx.execute(_CONSENTS, values)
        asking = tx.execute(_WAITING, values)
        returned = tx.execute(_BAD, values)
        tasked = tx.execute(_ASKED, {**values, "since": since})
        ahead = tx.execute(_COMING, {**values, "waiting": sorted(WAITING)})
        told = list_sent(tx, asked.endpoint_id, asked.records, since)
    points = {item for group in asked.addresses.values() for item in group}
    return _Rows(
        preferences=said.fetchall(),
        consents=consented.fetchall(),
        tasks=asking.fetchall(),
        asked=tasked.fetchall(),
        bad={(row["system"], row["value"]) for row in returned},
        told=told,
        coming=ahead.fetchall(),
        switches=tuple(Switch(**row) for row in switched),
        unchecked=read_mark(tx, RESTORE_UNCHECKED) is not None,
        bearers=list_bearers(tx, points) if points else [],
    )


def _own_of(rows: _Rows, asked: _Asked, patient: str) -> OwnRecord:
    records = asked.records_of(patient)
    return OwnRecord(
        preferences=tuple(map(_preference, _rows_of(rows.preferences, patient))),
        consents=tuple(_consents_to(rows.consents, asked, patient)),
        sent=tuple(item for record, item in rows.told if record in records),
        switches=rows.switches,
        replies_waiting=_count_waiting(rows.tasks, asked, patient),
        bad_addresses=frozenset(set(rows.bad) & asked.places_of(patient)),
        restore_unchecked=rows.unchecked,
        replaced=tuple(asked.replaced.get(patient, ())),
        coming=tuple(map(_coming, _rows_of(rows.coming, patient))),
        bearers=tuple(_bearers_beside(rows.bearers, asked, patient)),
        asked=tuple(_tasks_of(rows.asked, records)),
    )


def _sent_to(
    told: Iterable[tuple[str, SentMessage]], records: Collection[str]
) -> Iterator[SentMessage]:
    return (item for record, item in told if record in records)


def _tasks_of(rows: Iterable[Row], records: Collection[str]) -> Iterator[AskedTask]:
    for row in rows:
        if row["patient"] in records:
            yield AskedTask(row["reason"], row["focus"], row["done"])


def _rows_of(rows: Iterable[Row], patient: str) -> Iterator[Row]:
    return (row for row in rows if row["patient"] == patient)


def _bearers_beside(
    bearers: Iterable[tuple[str, Bearer]], asked: _Asked, patient: str
) -> Iterator[Bearer]:
    """Yield whose charts have one of a patient's addresses beside the patient's own."""
    records = asked.records_of(patient)
    for name, item in bearers:
        own = item.endpoint_id == asked.endpoint_id and name in records
        if not own and (item.system, item.value) in asked.addresses[patient]:
            yield item


def _consents_to(
    rows: Iterable[Row], asked: _Asked, patient: str
) -> Iterator[ConsentRecord]:
    """Yield what the patient said, and what anybody said of one of the addresses."""
    for row in rows:
        own = (row["endpoint_id"], row["patient"]) == (asked.endpoint_id, patient)
        if own or (row["system"], row["value"]) in asked.places_of(patient):
            yield ConsentRecord(**{**row, "who": Who(row["who"])})


def _count_waiting(tasks: Sequence[Row], asked: _Asked, patient: str) -> int:
    """Count open tasks about this patient, or about a reply from one of the addresses.

    A shared number tells nobody whose symptoms these are: all who bear it wait.
    """
    records = asked.records_of(patient)
    return len(
        {
            row["id"]
            for row in tasks
            if (row["endpoint_id"] == asked.endpoint_id and row["patient"] in records)
            or (row["channel"], row["address"]) in asked.addresses[patient]
        }
    )


def _preference(row: Row) -> PreferenceRecord:
    rest = {name: value for name, value in row.items() if name != "patient"}
    return PreferenceRecord(**{**rest, "who": Who(row["who"])})


def _coming(row: Row) -> ComingMessage:
    return ComingMessage(row["key"], row["due_at"], row["topic"], row["priority"])


_SWITCHES = (
    "SELECT scope, target, reason FROM switch WHERE released_at IS NULL "
    "ORDER BY set_at, id"
)
# The newest of each (name, who), oldest first; who wins is decided later.
_PREFERENCES = """
SELECT patient, name, value, who, how, recorded_at, recorded_by, saved_by, form, turn,
       in_chart_at FROM (
    SELECT DISTINCT ON (patient, name, who) * FROM preference
     WHERE endpoint_id = %(endpoint)s AND patient = ANY(%(patients)s)
     ORDER BY patient, name, who, seq DESC) AS newest ORDER BY seq
"""
_CONSENTS = """
SELECT id, endpoint_id, patient, system, value, topic, permit, who, how, recorded_at,
       recorded_by, actor, asked, said_by
  FROM consent
 WHERE (endpoint_id = %(endpoint)s AND patient = ANY(%(patients)s))
    OR (system, value) IN
       (SELECT * FROM unnest(%(systems)s::text[], %(values)s::text[]))
 ORDER BY seq
"""
_WAITING = """
SELECT t.id, t.endpoint_id, t.patient, b.channel, b.address
  FROM staff_task AS t LEFT JOIN (
       SELECT i.id::text AS id, i.channel, i.address FROM inbound AS i
         JOIN unnest(%(systems)s::text[], %(values)s::text[]) AS a (system, value)
           ON a.system = i.channel AND a.value = i.address) AS b
    ON split_part(t.id, '|', 1) = 'task-reply' AND b.id = split_part(t.id, '|', 2)
 WHERE t.state = 'requested' AND t.reason = %(reason)s
   AND (b.id IS NOT NULL
        OR (t.endpoint_id = %(endpoint)s AND t.patient = ANY(%(records)s)))
"""
# A step's task is named after the step: endpoint, plan, action, focus and so on.
_ASKED = """
SELECT patient, reason, split_part(id, '|', 4) AS focus, state = 'completed' AS done
  FROM staff_task
 WHERE endpoint_id = %(endpoint)s AND patient = ANY(%(records)s)
   AND created_at >= %(since)s AND split_part(id, '|', 4) <> ''
 ORDER BY created_at, id
"""
# What only waits for its time; other holds may never end.
_COMING = """
SELECT patient, key, due_at, topic, priority FROM nudge
 WHERE endpoint_id = %(endpoint)s AND patient = ANY(%(patients)s)
   AND coalesce(detail->>'kind', '') <> 'task'
   AND state IN ('planned', 'held') AND (state = 'planned' OR reason = ANY(%(waiting)s))
 ORDER BY due_at, priority, seq
"""
_BAD = """
SELECT c.system, c.value FROM contact_point AS c
  JOIN unnest(%(systems)s::text[], %(values)s::text[]) AS a (system, value)
 USING (system, value) WHERE c.bad_reason IS NOT NULL
"""
