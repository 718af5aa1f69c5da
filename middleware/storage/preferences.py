"""What people said about being contacted: preferences, consents, bad addresses.

Rows are added and never edited; whoever adds one takes the gate's lock first, so that
a message that is just being decided on either went before or sees it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from mappings.preference import (
    ConsentRecord,
    OwnRecord,
    PreferenceRecord,
    Switch,
    Who,
)
from middleware.storage.connecting import Row, Tx
from middleware.storage.deliveries import list_sent
from middleware.storage.gate import lock_contact_point, lock_patient
from middleware.storage.marks import RESTORE_UNCHECKED, read_mark
from middleware.storage.merging import find_survivors, list_replaced
from middleware.storage.tasks import HOLDING_REASON

_CONSENT = (
    "id, endpoint_id, patient, system, value, topic, permit, who, how, recorded_at, "
    "recorded_by"
)


def read_own(
    tx: Tx,
    endpoint_id: str,
    patient: str,
    addresses: Sequence[tuple[str, str]],
    since: datetime,
) -> OwnRecord:
    """Read everything of ours that decides about one patient, in one transaction.

    ``addresses`` are (system, value); their consents count whoever gave them.
    ``since`` is the earliest message that still counts against the limits.
    """
    systems = [system for system, _ in addresses]
    values = [value for _, value in addresses]
    replaced = list_replaced(tx, endpoint_id, patient)
    everybody = [patient, *replaced]
    return OwnRecord(
        preferences=_preferences(tx, endpoint_id, patient),
        consents=_consents(tx, endpoint_id, patient, systems, values),
        sent=list_sent(tx, endpoint_id, everybody, since),
        switches=tuple(
            Switch(**row)
            for row in tx.execute(
                "SELECT scope, target, reason FROM switch WHERE released_at IS NULL "
                "ORDER BY set_at, id"
            )
        ),
        replies_waiting=_replies_waiting(tx, endpoint_id, everybody, systems, values),
        bad_addresses=frozenset(
            (row["system"], row["value"])
            for row in tx.execute(
                "SELECT c.system, c.value FROM contact_point AS c JOIN "
                "unnest(%s::text[], %s::text[]) AS a (system, value) "
                "USING (system, value) WHERE c.bad_reason IS NOT NULL",
                (systems, values),
            )
        ),
        restore_unchecked=read_mark(tx, RESTORE_UNCHECKED) is not None,
        replaced=tuple(replaced),
    )


def insert_preference(
    tx: Tx,
    *,
    id: str,  # noqa: A002 -- the column's name
    endpoint_id: str,
    patient: str,
    name: str,
    value: Any,
    who: Who,
    how: str,
    recorded_by: str | None,
    recorded_at: datetime,
) -> None:
    """Record a preference (names and values: PreferenceRecord).

    What is said about a record that was merged counts for the one that lives on.
    """
    patient = lock_patient(tx, endpoint_id, patient) or patient
    tx.execute(
        "INSERT INTO preference (id, endpoint_id, patient, name, value, who, how, "
        "recorded_by, recorded_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            id,
            endpoint_id,
            patient,
            name,
            Jsonb(value),
            who.value,
            how,
            recorded_by,
            recorded_at,
        ),
    )


def insert_consent(tx: Tx, consent: ConsentRecord) -> None:
    """Record an answer about one contact point.

    A denial about a record that was merged counts for the one that lives on.
    """
    lock_contact_point(tx, consent.system, consent.value)
    _insert_consent(tx, consent)
    if consent.permit or consent.patient is None:
        return
    known = find_survivors(tx, consent.endpoint_id, {consent.patient})
    survivor = known.get(consent.patient)
    if survivor is not None:
        identifier = f"{consent.id}|{survivor.partition('/')[2]}"
        _insert_consent(tx, replace(consent, id=identifier, patient=survivor))


def _insert_consent(tx: Tx, consent: ConsentRecord) -> None:
    tx.execute(
        f"INSERT INTO consent ({_CONSENT}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, "  # noqa: S608 -- a constant
        "%s, %s)",
        (
            consent.id,
            consent.endpoint_id,
            consent.patient,
            consent.system,
            consent.value,
            consent.topic,
            consent.permit,
            consent.who.value,
            consent.how,
            consent.recorded_at,
            consent.recorded_by,
        ),
    )


def list_patients_at(tx: Tx, system: str, value: str) -> list[tuple[str, str]]:
    """List (endpoint id, ``Patient/id``) of all whom we know at this contact point."""
    rows = tx.execute(
        "SELECT endpoint_id, patient FROM consent "
        "WHERE system = %(system)s AND value = %(value)s AND patient IS NOT NULL "
        "UNION SELECT endpoint_id, patient FROM delivery "
        "WHERE channel = %(system)s AND address = %(value)s AND patient <> '' "
        "ORDER BY 1, 2",
        {"system": system, "value": value},
    )
    return [(row["endpoint_id"], row["patient"]) for row in rows]


def mark_bad_address(
    tx: Tx, system: str, value: str, reason: str | None, now: datetime
) -> None:
    """Remember that an address cannot be reached; ``reason`` None forgets it."""
    lock_contact_point(tx, system, value)
    tx.execute(
        "UPDATE contact_point SET bad_reason = %(reason)s, "
        "bad_at = CASE WHEN %(reason)s::text IS NULL THEN NULL ELSE %(now)s END "
        "WHERE system = %(system)s AND value = %(value)s",
        {"reason": reason, "now": now, "system": system, "value": value},
    )


def _preferences(
    tx: Tx, endpoint_id: str, patient: str
) -> tuple[PreferenceRecord, ...]:
    """Read the newest of each (name, who), oldest first; who wins is decided later."""
    rows = tx.execute(
        "SELECT name, value, who, how, recorded_at, recorded_by FROM ("
        "SELECT DISTINCT ON (name, who) * FROM preference "
        "WHERE endpoint_id = %s AND patient = %s ORDER BY name, who, seq DESC"
        ") AS newest ORDER BY seq",
        (endpoint_id, patient),
    )
    return tuple(PreferenceRecord(**_with_who(row)) for row in rows)


def _consents(
    tx: Tx, endpoint_id: str, patient: str, systems: list[str], values: list[str]
) -> tuple[ConsentRecord, ...]:
    rows = tx.execute(
        f"SELECT {_CONSENT} FROM consent WHERE "  # noqa: S608 -- a constant
        "(endpoint_id = %(endpoint)s AND patient = %(patient)s) OR (system, value) IN "
        "(SELECT * FROM unnest(%(systems)s::text[], %(values)s::text[])) ORDER BY seq",
        {
            "endpoint": endpoint_id,
            "patient": patient,
            "systems": systems,
            "values": values,
        },
    )
    return tuple(ConsentRecord(**_with_who(row)) for row in rows)


def _replies_waiting(
    tx: Tx,
    endpoint_id: str,
    patients: Sequence[str],
    systems: Sequence[str],
    values: Sequence[str],
) -> int:
    """Count open tasks about this patient, or about a reply from one of the addresses.

    A shared number tells nobody whose symptoms these are: all who bear it wait.
    """
    row = tx.execute(
        "SELECT count(*) AS waiting FROM staff_task AS t "
        "WHERE t.state = 'requested' AND t.reason = %(reason)s "
        "AND ((t.endpoint_id = %(endpoint)s AND t.patient = ANY(%(patients)s)) "
        "OR EXISTS (SELECT FROM inbound AS b JOIN "
        "unnest(%(systems)s::text[], %(values)s::text[]) AS a (system, value) "
        "ON a.system = b.channel AND a.value = b.address "
        "WHERE split_part(t.id, '|', 1) = 'task-reply' "
        "AND b.id::text = split_part(t.id, '|', 2)))",
        {
            "reason": HOLDING_REASON,
            "endpoint": endpoint_id,
            "patients": list(patients),
            "systems": list(systems),
            "values": list(values),
        },
    ).fetchone()
    return int(row["waiting"]) if row else 0


def _with_who(row: Row) -> Row:
    return {**row, "who": Who(row["who"])}
