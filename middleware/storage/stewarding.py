"""Everything that is stored of one patient: to be handed out, or to be erased.

Denials survive an erasure, and so does what keeps the same thing from being done
twice; none of that says more than a number and that it may not be used.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from middleware.storage.connecting import Row, Tx
from middleware.storage.gate import lock_patient
from middleware.storage.retention import EMPTY_CHART

# ruff: noqa: S608 -- every statement is made of constants of this module.

_MINE = "endpoint_id = %(endpoint)s AND patient = %(patient)s"

# Everything of ours that names the patient, but for sealed bytes.
_EXPORTED = {
    "preferences": f"SELECT * FROM preference WHERE {_MINE} ORDER BY seq",
    "consents": f"SELECT * FROM consent WHERE ({_MINE}) OR (patient IS NULL AND "
    "(system, value) IN (SELECT * FROM unnest(%(systems)s::text[], "
    "%(values)s::text[]))) ORDER BY seq",
    "on_chart": f"SELECT * FROM bearer WHERE {_MINE} ORDER BY system, value",
    "nudges": f"SELECT * FROM nudge WHERE {_MINE} ORDER BY seq",
    "decisions": f"SELECT * FROM decision WHERE {_MINE} ORDER BY seq",
    "deliveries": f"SELECT * FROM delivery WHERE {_MINE} ORDER BY sending_at, id",
    "inbound": "SELECT * FROM inbound WHERE source = 'reply' AND (channel, address) IN "
    "(SELECT * FROM unnest(%(systems)s::text[], %(values)s::text[])) ORDER BY id",
    "written_to_ehr": f"SELECT * FROM outbox WHERE {_MINE} ORDER BY seq",
    "tasks": f"SELECT * FROM staff_task WHERE {_MINE} ORDER BY created_at, id",
    "launches": "SELECT id, user_reference, user_name, encounter, scope, stage, "
    f"created_at, expires_at, seen_at FROM launch WHERE {_MINE} ORDER BY created_at, id",
    "cds_cards": "SELECT id, user_reference, service, shown_at, outcome "
    f"FROM cds_card WHERE {_MINE} ORDER BY shown_at, id",
    "last_answers": f"SELECT * FROM last_answer WHERE {_MINE} ORDER BY language",
    "remembered_foci": "SELECT reference, version, status, last_updated "
    f"FROM focus_state WHERE {_MINE} ORDER BY reference",
    "reviews": "SELECT known_at, added_at, reviewed_at, state, due_at "
    f"FROM review WHERE {_MINE}",
    # Of a search it says that the patient was found, not who else was.
    "audit": "SELECT id, at, who, action, endpoint_id, patient, subject, detail - 'patients' "
    f"AS detail FROM audit WHERE ({_MINE}) OR (endpoint_id = %(endpoint)s "
    "AND action = 'patients-searched' AND detail -> 'patients' ? %(patient)s) ORDER BY id",
}
_EVENTS = f"""
SELECT id, kind, focus, focus_version, occurred_at, received_at, source, state, error,
       done_at, chart FROM event WHERE {_MINE} ORDER BY seq
"""
_POINTS = f"""
SELECT DISTINCT system, value FROM (
  SELECT channel AS system, address AS value FROM delivery WHERE {_MINE}
  UNION SELECT channel, address FROM nudge WHERE {_MINE} AND address IS NOT NULL
  UNION SELECT system, value FROM consent WHERE {_MINE}
) AS points WHERE system <> 'screen' AND value NOT IN ('', '*') ORDER BY 1, 2
"""
_SHARED = """
SELECT 1 FROM (
  SELECT endpoint_id, patient FROM delivery WHERE channel = %(system)s
     AND address = %(value)s
  UNION SELECT endpoint_id, patient FROM nudge WHERE channel = %(system)s
     AND address = %(value)s
  UNION SELECT endpoint_id, patient FROM consent WHERE system = %(system)s
     AND value = %(value)s AND patient IS NOT NULL
) AS bearers WHERE patient <> '' AND (endpoint_id, patient) <> (%(endpoint)s, %(patient)s)
LIMIT 1
"""

# Deliveries that told of the patient: also those that led to no event, came again or
# were set aside. The latter two are known only by what they say.
_TOLD = f"""
SELECT i.notification_id FROM inbox AS i WHERE i.endpoint_id = %(endpoint)s
   AND (i.focus = %(patient)s
        OR i.focus IN (SELECT focus FROM event WHERE {_MINE})
        OR i.focus IN (SELECT reference FROM focus_state WHERE {_MINE}))
UNION SELECT n.id FROM notification AS n JOIN subscription AS s ON s.id = n.subscription_id
 WHERE s.endpoint_id = %(endpoint)s
   AND (position(convert_to(%(patient)s || '"', 'UTF8') IN n.body) > 0
        OR position(convert_to(%(patient)s || '/', 'UTF8') IN n.body) > 0)
"""

# In this order: a row's links are used before they go.
_ERASED = {
    "notifications": "UPDATE notification SET body = '', headers = '{}' WHERE body <> '' "
    f"AND id IN ({_TOLD})",
    "charts": "UPDATE event SET chart = %(chart)s, error = NULL, state = CASE state "
    "WHEN 'waiting' THEN 'done' ELSE state END, done_at = coalesce(done_at, %(now)s) "
    f"WHERE {_MINE} AND chart IS DISTINCT FROM %(chart)s",
    "nudges": "UPDATE nudge SET address = NULL, title = '', why = '', stops = '', "
    "detail = '{}', error = NULL, done_at = coalesce(done_at, %(now)s), "
    "reason = CASE WHEN state IN ('planned', 'held') THEN 'skipped-by-staff' "
    "ELSE reason END, state = CASE WHEN state IN ('planned', 'held') THEN 'skipped' "
    f"ELSE state END WHERE {_MINE}",
    "decisions": f"UPDATE decision SET facts = '[]', detail = '' WHERE {_MINE}",
    "deliveries": "UPDATE delivery SET address = '', subject = '', body = '', "
    f"error = NULL WHERE {_MINE}",
    "replies": "UPDATE inbound SET body = '', address = '', detail = '{}', "
    "state = 'done' WHERE source = 'reply' AND (channel, address) IN "
    "(SELECT * FROM unnest(%(systems)s::text[], %(values)s::text[]))",
    "written_to_ehr": "UPDATE outbox SET error = NULL, "
    "state = CASE state WHEN 'waiting' THEN 'kept' ELSE state END, resource = "
    "jsonb_build_object('resourceType', resource -> 'resourceType') "
    f"WHERE {_MINE}",
    "tasks": "UPDATE staff_task SET text = '', done_at = coalesce(done_at, %(now)s), "
    "done_by = coalesce(done_by, %(who)s), state = 'completed' "
    f"WHERE {_MINE}",
    "preferences": f"DELETE FROM preference WHERE {_MINE} "
    "AND name NOT IN ('pause', 'confidential') "
    "AND NOT (name LIKE 'telecom:%%' AND value ->> 'state' IN ('old', 'wrong'))",
    "pauses_kept": "UPDATE preference SET value = CASE jsonb_typeof(value) "
    f"WHEN 'object' THEN value - 'why' - 'note' ELSE value END WHERE {_MINE}",
    "permissions": f"DELETE FROM consent WHERE {_MINE} AND permit",
    "answers_kept": f"UPDATE consent SET asked = '', said_by = '' WHERE {_MINE} "
    "AND (asked, said_by) <> ('', '')",
    "drafts": f"DELETE FROM draft WHERE {_MINE}",
    "on_chart": f"DELETE FROM bearer WHERE {_MINE}",
    "launches": f"DELETE FROM launch WHERE {_MINE}",
    "cds_cards": f"DELETE FROM cds_card WHERE {_MINE}",
    "last_answers": f"DELETE FROM last_answer WHERE {_MINE}",
    "reviews": f"DELETE FROM review WHERE {_MINE}",
    "numbers": "DELETE FROM contact_point WHERE bad_reason IS NULL AND (system, value) "
    "IN (SELECT * FROM unnest(%(systems)s::text[], %(values)s::text[]))",
    "name": "UPDATE patient_lock SET name = NULL, seen_at = NULL "
    f"WHERE {_MINE} AND name IS NOT NULL",
}


def export_patient(tx: Tx, endpoint_id: str, patient: str) -> dict[str, Any]:
    """Return everything stored of one patient, by kind; empty lists when nothing.

    A chart is told by its resources' types and when it was read.
    """
    points = list_points(tx, endpoint_id, patient)
    values = {
        "endpoint": endpoint_id,
        "patient": patient,
        "systems": [system for system, _ in points],
        "values": [value for _, value in points],
    }
    row = tx.execute(
        f"SELECT name, merged_into FROM patient_lock WHERE {_MINE}", values
    ).fetchone()
    found: dict[str, Any] = {
        "name": row["name"] if row else None,
        "merged_into": row["merged_into"] if row else None,
        "contact_points": [{"system": name, "value": value} for name, value in points],
        "events": [_event(item) for item in tx.execute(_EVENTS, values)],
    }
    for name, statement in _EXPORTED.items():
        found[name] = tx.execute(statement, values).fetchall()
    return found


def list_points(tx: Tx, endpoint_id: str, patient: str) -> list[tuple[str, str]]:
    """List (system, value) of every number and address that this patient had here."""
    rows = tx.execute(_POINTS, {"endpoint": endpoint_id, "patient": patient})
    return [(row["system"], row["value"]) for row in rows]


def is_sending(tx: Tx, endpoint_id: str, patient: str) -> bool:
    """Tell whether a message to this patient is under way right now."""
    row = tx.execute(
        f"SELECT 1 FROM delivery WHERE {_MINE} AND state = 'sending' LIMIT 1",
        {"endpoint": endpoint_id, "patient": patient},
    ).fetchone()
    return row is not None


def erase_patient(
    tx: Tx, endpoint_id: str, patient: str, who: str, now: datetime
) -> dict[str, int]:
    """Empty or delete what is stored of one patient; return how many rows by kind.

    ``replies_shared`` counts numbers that others share: replies from there stay.
    """
    lock_patient(tx, endpoint_id, patient)
    points = list_points(tx, endpoint_id, patient)
    own = [point for point in points if not _shared(tx, endpoint_id, patient, point)]
    values = {
        "endpoint": endpoint_id,
        "patient": patient,
        "who": who,
        "now": now,
        "chart": EMPTY_CHART,
        "systems": [system for system, _ in own],
        "values": [value for _, value in own],
    }
    counts = {
        name: tx.execute(statement, values).rowcount
        for name, statement in _ERASED.items()
    }
    counts["numbers_shared"] = len(points) - len(own)
    counts["denials_kept"] = _count_denials(tx, values, points)
    return counts


def _shared(tx: Tx, endpoint_id: str, patient: str, point: tuple[str, str]) -> bool:
    system, value = point
    values = {
        "endpoint": endpoint_id,
        "patient": patient,
        "system": system,
        "value": value,
    }
    return tx.execute(_SHARED, values).fetchone() is not None


def _count_denials(
    tx: Tx, values: dict[str, Any], points: list[tuple[str, str]]
) -> int:
    row = tx.execute(
        f"SELECT count(*) AS total FROM consent WHERE NOT permit AND (({_MINE}) OR "
        "(system, value) IN (SELECT * FROM unnest(%(all_systems)s::text[], "
        "%(all_values)s::text[])))",
        {
            **values,
            "all_systems": [system for system, _ in points],
            "all_values": [value for _, value in points],
        },
    ).fetchone()
    return int(row["total"]) if row else 0


def _event(row: Row) -> dict[str, Any]:
    chart = bytes(row["chart"] or b"")
    value = orjson.loads(chart) if chart else {}
    types: dict[str, int] = {}
    for resource in value.get("resources", ()):
        name = str(resource.get("resourceType"))
        types[name] = types.get(name, 0) + 1
    rest = {name: part for name, part in row.items() if name != "chart"}
    summary = {"read_at": value.get("read_at"), "resources": types}
    return {**rest, "chart": None if chart == EMPTY_CHART else summary}
