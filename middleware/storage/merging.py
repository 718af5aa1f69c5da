"""A merge of two records: what was planned for the old one goes over to the survivor.

Both patients are locked, in order, so that no gate is open on either. What was handed
to a channel stays with the record that it was sent under, but keeps its place: its key
is the survivor's from now on, and nobody is told twice of one visit.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from middleware.storage.audit import insert_audit
from middleware.storage.connecting import Tx
from middleware.storage.gate import lock_contact_point, lock_patient
from middleware.storage.ids import shard_of

# A key ends in its parts, each between bars; both records may stand in it.
_NEW_KEY = (
    "left(replace(o.key || '|', '|' || %(old)s || '|', '|' || %(new)s || '|'), -1)"
)
_HANDED_OVER = (
    "(o.state IN ('sending', 'sent') OR EXISTS (SELECT FROM delivery AS d "
    "WHERE d.nudge_id = o.id AND d.state <> 'failed'))"
)
_OLD = "o.endpoint_id = %(endpoint)s AND o.patient = %(old)s"
_OPEN = "('planned', 'held')"

_END_TOLD = f"""
UPDATE nudge AS n SET state = 'cancelled', reason = 'superseded', done_at = %(now)s
  FROM nudge AS o WHERE {_OLD} AND {_HANDED_OVER}
   AND n.key = {_NEW_KEY} AND n.state IN {_OPEN}
"""  # noqa: S608 -- constants
_END_DOUBLE = f"""
UPDATE nudge AS o SET state = 'cancelled', reason = 'superseded', done_at = %(now)s
 WHERE {_OLD} AND o.state IN {_OPEN}
   AND EXISTS (SELECT FROM nudge AS n WHERE n.key = {_NEW_KEY})
"""  # noqa: S608
_MOVE = f"""
UPDATE nudge AS o SET patient = %(new)s, shard = %(shard)s, key = {_NEW_KEY},
       focus = CASE WHEN focus = %(old)s THEN %(new)s ELSE focus END,
       recipient = CASE WHEN recipient = %(old)s THEN %(new)s ELSE recipient END
 WHERE {_OLD} AND o.state IN {_OPEN}
"""  # noqa: S608
_KEEP_PLACE = f"""
UPDATE nudge AS o SET key = {_NEW_KEY}
 WHERE {_OLD} AND o.state NOT IN {_OPEN}
   AND NOT EXISTS (SELECT FROM nudge AS n WHERE n.key = {_NEW_KEY})
"""  # noqa: S608
# Denials go over, permissions never do.
_DENIALS = """
SELECT c.id, c.system, c.value FROM consent AS c
 WHERE c.endpoint_id = %(endpoint)s AND c.patient = %(old)s AND NOT c.permit
   AND NOT EXISTS (SELECT FROM consent AS p WHERE p.permit AND p.patient = c.patient
     AND p.endpoint_id = c.endpoint_id AND p.system = c.system AND p.value = c.value
     AND p.topic = c.topic AND p.actor IS NOT DISTINCT FROM c.actor AND p.seq > c.seq AND p.who IN (c.who, 'patient'))
 ORDER BY c.system, c.value, c.id
"""
_DENY = """
INSERT INTO consent (id, endpoint_id, patient, system, value, topic, permit, who, how,
                     recorded_by, recorded_at, actor, asked, said_by)
SELECT id || '|' || substr(%(new)s, 9), endpoint_id, %(new)s, system, value, topic, permit, who,
       how || ', on a record that was merged', recorded_by, %(now)s, actor, asked, said_by
  FROM consent WHERE id = ANY(%(ids)s) ON CONFLICT (id) DO NOTHING
"""
# A number that is not the person's is nobody's by a merge, a pause is a denial, a loss keeps cheerful words away, and so does a request to be
# reached in one place only deny: of two places none is the one. What else the person said counts where the survivor is silent.
_SAID = """
INSERT INTO preference (id, endpoint_id, patient, name, value, who, how, recorded_by,
                        recorded_at)
SELECT id || '|' || substr(%(new)s, 9), endpoint_id, %(new)s, name,
       CASE WHEN name = 'confidential' AND EXISTS (
            SELECT FROM preference AS p WHERE p.endpoint_id = %(endpoint)s
               AND p.patient = %(new)s AND p.name = said.name
               AND p.value <> 'null'::jsonb AND p.value - 'note' <> said.value - 'note')
            THEN '{}'::jsonb ELSE value END, who,
       how || ', on a record that was merged', recorded_by,
       CASE WHEN name IN ('pause', 'confidential', 'pregnancy-loss')
              OR name LIKE 'telecom:%%' THEN %(now)s ELSE recorded_at END
  FROM (SELECT DISTINCT ON (name, CASE WHEN name = 'pause' THEN '' ELSE who END) *
          FROM preference WHERE endpoint_id = %(endpoint)s AND patient = %(old)s
         ORDER BY name, CASE WHEN name = 'pause' THEN '' ELSE who END, seq DESC) AS said
 WHERE value <> 'null'::jsonb AND (name IN ('pause', 'confidential', 'pregnancy-loss')
    OR (name LIKE 'telecom:%%' AND value ->> 'state' IN ('old', 'wrong')) OR NOT EXISTS (
       SELECT FROM preference AS p WHERE p.endpoint_id = %(endpoint)s
          AND p.patient = %(new)s AND p.name = said.name))
 ORDER BY seq ON CONFLICT (id) DO NOTHING
"""


def merge_patients(
    tx: Tx, endpoint_id: str, old: str, new: str, now: datetime
) -> int | None:
    """Let ``new`` stand for ``old``; return the shard that has more work, or None.

    Idempotent: done again it takes over only what came in between.
    """
    values = {
        "endpoint": endpoint_id,
        "old": old,
        "new": new,
        "shard": shard_of(endpoint_id, new),
        "now": now,
    }
    denials = tx.execute(_DENIALS, values).fetchall()
    for row in denials:
        lock_contact_point(tx, row["system"], row["value"])
    into = {name: lock_patient(tx, endpoint_id, name) for name in sorted((old, new))}
    tx.execute(_DENY, {**values, "ids": [row["id"] for row in denials]})
    tx.execute(_SAID, values)
    tx.execute(_END_TOLD, values)
    tx.execute(_END_DOUBLE, values)
    moved = tx.execute(_MOVE, values).rowcount
    tx.execute(_KEEP_PLACE, values)
    if into[old] != new:
        _point(tx, values)
        detail = {"replaced": old}
        insert_audit(
            tx,
            "the EHR",
            "patient-merged",
            now,
            endpoint_id=endpoint_id,
            patient=new,
            detail=detail,
        )
    return shard_of(endpoint_id, new) if moved else None


def _point(tx: Tx, values: dict[str, object]) -> None:
    """Let the old record, and those that were merged into it, lead to the survivor."""
    tx.execute(
        "UPDATE patient_lock SET merged_into = NULL "
        "WHERE endpoint_id = %(endpoint)s AND patient = %(new)s",
        values,
    )
    tx.execute(
        "UPDATE patient_lock SET merged_into = %(new)s WHERE endpoint_id = %(endpoint)s "
        "AND (patient = %(old)s OR (merged_into = %(old)s AND patient <> %(new)s))",
        values,
    )


def part_patients(tx: Tx, endpoint_id: str, patient: str) -> bool:
    """Let a record stand for itself again; False when it was not merged."""
    parted = tx.execute(
        "UPDATE patient_lock SET merged_into = NULL WHERE endpoint_id = %s "
        "AND patient = %s AND merged_into IS NOT NULL",
        (endpoint_id, patient),
    )
    return parted.rowcount == 1


def find_survivors(
    tx: Tx, endpoint_id: str, patients: set[str]
) -> dict[str, str | None]:
    """Return, of those that we know, the record that each was merged into, or None."""
    rows = tx.execute(
        "SELECT patient, merged_into FROM patient_lock "
        "WHERE endpoint_id = %s AND patient = ANY(%s)",
        (endpoint_id, sorted(patients)),
    )
    return {row["patient"]: row["merged_into"] for row in rows}


def list_replaced(
    tx: Tx, endpoint_id: str, patients: Sequence[str]
) -> dict[str, list[str]]:
    """Return the records that were merged into these, of those that have some."""
    rows = tx.execute(
        "SELECT merged_into, patient FROM patient_lock "
        "WHERE endpoint_id = %s AND merged_into = ANY(%s) ORDER BY patient",
        (endpoint_id, list(patients)),
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["merged_into"], []).append(row["patient"])
    return found


def list_same(
    tx: Tx, endpoint_id: str, patients: Sequence[str]
) -> dict[str, list[str]]:
    """Return the other records of each person that were merged, whichever is given."""
    rows = tx.execute(
        "SELECT p.patient, o.patient AS other FROM patient_lock AS p "
        "JOIN patient_lock AS o ON o.endpoint_id = p.endpoint_id "
        " AND o.merged_into = coalesce(p.merged_into, p.patient) "
        " AND o.patient <> p.patient "
        "WHERE p.endpoint_id = %s AND p.patient = ANY(%s) ORDER BY o.patient",
        (endpoint_id, list(patients)),
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["patient"], []).append(row["other"])
    return found
