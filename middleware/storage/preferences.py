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
    PreferenceRecord,
    Who,
)
from middleware.storage.connecting import Tx
from middleware.storage.gate import lock_contact_point, lock_patient
from middleware.storage.merging import find_survivors
from middleware.storage.reviews import note_known

_CONSENT = (
    "id, endpoint_id, patient, system, value, topic, permit, who, how, recorded_at, "
    "recorded_by, actor, asked, said_by"
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
    saved_by: str = "",
    form: str = "",
    turn: int = 0,
) -> None:
    """Record a preference (names, values and the rest: PreferenceRecord).

    What is said about a record that was merged counts for the one that lives on.
    """
    patient = lock_patient(tx, endpoint_id, patient) or patient
    note_known(tx, endpoint_id, [patient], recorded_at)
    said = (id, endpoint_id, patient, name)
    by = (recorded_by, recorded_at, saved_by, form, turn)
    tx.execute(
        "INSERT INTO preference (id, endpoint_id, patient, name, value, who, how, "
        "recorded_by, recorded_at, saved_by, form, turn) VALUES "
        "(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (*said, Jsonb(value), who.value, how, *by),
    )


def insert_consent(tx: Tx, consent: ConsentRecord) -> None:
    """Record an answer about one contact point.

    A denial about a record that was merged counts for the one that lives on.
    """
    lock_contact_point(tx, consent.system, consent.value)
    if consent.actor is not None and consent.patient is not None:
        # It may close every place of that person: the patient's gate has to wait.
        lock_patient(tx, consent.endpoint_id, consent.patient)
    _insert_consent(tx, consent)
    if consent.permit or consent.patient is None:
        return
    known = find_survivors(tx, consent.endpoint_id, {consent.patient})
    survivor = known.get(consent.patient)
    if survivor is not None:
        identifier = f"{consent.id}|{survivor.partition('/')[2]}"
        _insert_consent(tx, replace(consent, id=identifier, patient=survivor))


def _insert_consent(tx: Tx, consent: ConsentRecord) -> None:
    if consent.patient is not None:
        note_known(tx, consent.endpoint_id, [consent.patient], consent.recorded_at)
    tx.execute(
        f"INSERT INTO consent ({_CONSENT}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, "  # noqa: S608 -- a constant
        "%s, %s, %s, %s, %s)",
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
            consent.actor,
            consent.asked,
            consent.said_by,
        ),
    )


def list_patients_at(
    tx: Tx, system: str, value: str, *, on_charts: bool = False
) -> list[tuple[str, str]]:
    """List (endpoint id, ``Patient/id``) of all whom we know at this contact point.

    Also those to whom nothing went yet: a planned or held message names its address.
    With ``on_charts`` those as well whose chart has it, and to whom nothing is planned.
    Of records that were merged the one that lives on is named.
    """
    rows = tx.execute(
        "SELECT DISTINCT k.endpoint_id, coalesce(l.merged_into, k.patient) AS patient "
        "FROM (SELECT endpoint_id, patient FROM consent "
        "WHERE system = %(system)s AND value = %(value)s AND patient IS NOT NULL "
        "UNION SELECT endpoint_id, patient FROM delivery "
        "WHERE channel = %(system)s AND address = %(value)s AND patient <> '' "
        "UNION SELECT endpoint_id, patient FROM nudge "
        "WHERE channel = %(system)s AND address = %(value)s "
        "UNION SELECT endpoint_id, patient FROM bearer "
        "WHERE %(charts)s AND system = %(system)s AND value = %(value)s) AS k "
        "LEFT JOIN patient_lock AS l USING (endpoint_id, patient) ORDER BY 1, 2",
        {"system": system, "value": value, "charts": on_charts},
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


def list_told(
    tx: Tx, endpoint_id: str, patient: str, name: str, limit: int = 20
) -> list[PreferenceRecord]:
    """List the last records of a preference, whoever's, the newest first."""
    rows = tx.execute(
        "SELECT name, value, who, how, recorded_at, recorded_by, saved_by, form, turn, "
        "in_chart_at FROM preference "
        "WHERE endpoint_id = %s AND patient = %s AND name = %s "
        "ORDER BY seq DESC LIMIT %s",
        (endpoint_id, patient, name, limit),
    )
    return [PreferenceRecord(**{**row, "who": Who(row["who"])}) for row in rows]


def list_said(
    tx: Tx, endpoint_id: str, patient: str, name: str
) -> list[tuple[str, PreferenceRecord]]:
    """List every (id, record) of one preference, whoever said it, the newest first."""
    rows = tx.execute(
        "SELECT id, name, value, who, how, recorded_at, recorded_by, saved_by, form, "
        "turn, in_chart_at FROM preference WHERE endpoint_id = %s AND patient = %s AND name = %s "
        "ORDER BY seq DESC",
        (endpoint_id, patient, name),
    )
    return [
        (row.pop("id"), PreferenceRecord(**{**row, "who": Who(row["who"])}))
        for row in rows
    ]


def note_in_chart(tx: Tx, record_id: str, now: datetime) -> None:
    """Remember since when the EHR's Patient says what a record says."""
    tx.execute(
        "UPDATE preference SET in_chart_at = coalesce(in_chart_at, %s) WHERE id = %s",
        (now, record_id),
    )


def list_successors(
    tx: Tx,
    endpoint_id: str,
    patients: Sequence[str],
    point: tuple[str, str],
    since: datetime,
) -> list[tuple[str, str]]:
    """List (``Patient/id``, address) of what is in use by whose number this was until then.

    ``point`` is the (channel, address) that was said to be used no more since.
    """
    rows = tx.execute(
        """
WITH newest AS (
    SELECT DISTINCT ON (patient, name) patient, name, value, recorded_at
      FROM preference WHERE endpoint_id = %(endpoint)s AND name LIKE %(like)s
       AND patient = ANY(%(patients)s)
     ORDER BY patient, name, seq DESC)
SELECT n.patient, n.value ->> 'value' AS value FROM newest AS n JOIN newest AS o
    ON o.patient = n.patient AND o.name = %(name)s
 WHERE n.value ->> 'state' = 'current' AND o.value ->> 'state' = 'old'
   AND o.recorded_at >= %(since)s ORDER BY 1, 2
        """,
        {
            "endpoint": endpoint_id,
            "patients": list(patients),
            "name": f"telecom:{point[0]}:{point[1]}",
            "like": f"telecom:{point[0]}:%",
            "since": since,
        },
    )
    return [(row["patient"], row["value"]) for row in rows]
