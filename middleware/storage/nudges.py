"""Nudges: the messages that are intended, each with its state and reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from psycopg.types.json import Jsonb

from mappings.nudge import REVIVABLE, Nudge, NudgeState
from middleware.storage.connecting import Row, Tx

COLUMNS = (
    "id, key, endpoint_id, event_id, patient, shard, plan, plan_version, action, topic, "
    "focus, occasion, recipient, state, reason, due_at, expires_at, created_at, "
    "attempts, channel, address, language, title, why, stops, priority, detail"
)
_ENDED = ("sent", "failed", "skipped", "cancelled")
_REVIVABLE = sorted(REVIVABLE)
_UPSERT = f"""
INSERT INTO nudge ({COLUMNS}, done_at)
SELECT {COLUMNS}, done_at FROM json_populate_recordset(NULL::nudge, %(rows)s)
    ON CONFLICT (key) DO UPDATE SET due_at = excluded.due_at,
       expires_at = excluded.expires_at, detail = excluded.detail,
       state = excluded.state, reason = excluded.reason, title = excluded.title,
       why = excluded.why, stops = excluded.stops, done_at = excluded.done_at
 WHERE (nudge.state IN ('planned', 'held')
        AND nudge.due_at IS DISTINCT FROM excluded.due_at)
    OR (nudge.state = 'cancelled' AND nudge.reason = ANY(%(revivable)s)
        AND NOT EXISTS (SELECT FROM delivery WHERE delivery.nudge_id = nudge.id
                           AND delivery.state <> 'failed'))
RETURNING key, id
"""  # noqa: S608 -- constants


def upsert_nudges(tx: Tx, nudges: Sequence[Nudge], now: datetime) -> dict[str, str]:
    """Add nudges; return the id that stands for each key.

    Where a key exists and is still open, a changed due time moves it (with its
    expiry, detail and words). One that was cancelled for a reason that may cease to be
    (:data:`mappings.nudge.REVIVABLE`) and never handed to a channel is opened again;
    any other ended one is left as it is.
    """
    found: dict[str, str] = {}
    waiting = list(nudges)
    while waiting:
        # One statement may touch a row once; a key's second nudge comes after it.
        first = {nudge.key: nudge for nudge in reversed(waiting)}
        rows = [_written(nudge, now) for nudge in first.values()]
        values = {"rows": orjson.dumps(rows[::-1]).decode(), "revivable": _REVIVABLE}
        found |= {row["key"]: row["id"] for row in tx.execute(_UPSERT, values)}
        waiting = [nudge for nudge in waiting if nudge is not first[nudge.key]]
    kept = sorted({nudge.key for nudge in nudges} - found.keys())
    if kept:
        known = tx.execute("SELECT key, id FROM nudge WHERE key = ANY(%s)", (kept,))
        found |= {row["key"]: row["id"] for row in known}
    return found


def _written(nudge: Nudge, now: datetime) -> dict[str, Any]:
    return {**vars(nudge), "done_at": now if nudge.state.value in _ENDED else None}


def list_due_nudges(tx: Tx, shard: int, now: datetime, limit: int) -> list[Nudge]:
    """List the open nudges of a shard that are due; at one instant by priority."""
    return _list(
        tx,
        "shard = %(shard)s AND state IN ('planned', 'held') AND due_at <= %(now)s "
        "ORDER BY due_at, priority, seq LIMIT %(limit)s",
        {"shard": shard, "now": now, "limit": limit},
    )


def list_open_nudges(tx: Tx, endpoint_id: str, *patients: str) -> list[Nudge]:
    """List the patients' planned and held nudges, the next first."""
    return _list(
        tx,
        "endpoint_id = %(endpoint)s AND patient = ANY(%(patients)s) "
        "AND state IN ('planned', 'held') ORDER BY due_at, seq",
        {"endpoint": endpoint_id, "patients": list(patients)},
    )


def has_open(tx: Tx, endpoint_id: str) -> bool:
    """Tell whether anything is planned or held for anybody of an endpoint."""
    row = tx.execute(
        "SELECT EXISTS (SELECT FROM nudge WHERE endpoint_id = %s "
        "AND state IN ('planned', 'held')) AS found",
        (endpoint_id,),
    ).fetchone()
    return bool(row and row["found"])


def list_open_patients(
    tx: Tx, endpoint_id: str, among: Sequence[str] | None = None
) -> list[str]:
    """List the patients for whom something is planned or held, by their reference."""
    rows = tx.execute(
        "SELECT DISTINCT patient FROM nudge WHERE endpoint_id = %(endpoint)s "
        "AND state IN ('planned', 'held') "
        "AND (%(among)s::text[] IS NULL OR patient = ANY(%(among)s)) ORDER BY patient",
        {"endpoint": endpoint_id, "among": None if among is None else list(among)},
    )
    return [row["patient"] for row in rows]


def list_event_nudges(tx: Tx, event_id: str) -> list[Nudge]:
    """List what came of one event."""
    return _list(tx, "event_id = %(event)s ORDER BY seq", {"event": event_id})


def is_concerned(tx: Tx, endpoint_id: str, patient: str, focus: str) -> bool:
    """Tell whether anything is planned for a patient, or was ever about a focus."""
    row = tx.execute(
        "SELECT EXISTS (SELECT FROM nudge WHERE endpoint_id = %(endpoint)s "
        "AND patient = %(patient)s AND state IN ('planned', 'held')) "
        "OR EXISTS (SELECT FROM nudge WHERE endpoint_id = %(endpoint)s "
        "AND focus = %(focus)s) AS concerned",
        {"endpoint": endpoint_id, "patient": patient, "focus": focus},
    ).fetchone()
    return bool(row and row["concerned"])


def list_stopped(
    tx: Tx, endpoint_id: str, patient: str, reasons: Sequence[str], now: datetime
) -> list[str]:
    """List the foci whose messages ended for these reasons and would still be in time."""
    rows = tx.execute(
        "SELECT DISTINCT focus FROM nudge WHERE endpoint_id = %s AND patient = %s "
        "AND state = 'cancelled' AND reason = ANY(%s) AND expires_at > %s "
        "ORDER BY focus",
        (endpoint_id, patient, list(reasons), now),
    )
    return [row["focus"] for row in rows]


def list_told(
    tx: Tx, endpoint_id: str, patient: str, focus: str, since: datetime
) -> list[Nudge]:
    """List what a patient was, or may have been, told about a focus since then."""
    return _list(
        tx,
        "endpoint_id = %(endpoint)s AND focus = %(focus)s AND EXISTS (SELECT FROM "
        "delivery AS d WHERE d.nudge_id = nudge.id AND d.patient = %(patient)s "
        "AND d.state <> 'failed' AND d.sending_at >= %(since)s) ORDER BY seq",
        {
            "endpoint": endpoint_id,
            "patient": patient,
            "focus": focus,
            "since": since,
        },
    )


def get_nudge(tx: Tx, nudge_id: str) -> Nudge | None:
    """Return one nudge."""
    found = _list(tx, "id = %(id)s", {"id": nudge_id})
    return found[0] if found else None


def set_nudge(
    tx: Tx,
    nudge_id: str,
    state: NudgeState,
    reason: str,
    now: datetime,
    *,
    due_at: datetime | None = None,
    error: str | None = None,
    attempts: int | None = None,
    channel: str | None = None,
    address: str | None = None,
    language: str | None = None,
    recipient: str | None = None,
) -> None:
    """Set state and reason, and whatever else is given; None leaves it as it is."""
    ended = state.value in _ENDED
    tx.execute(
        "UPDATE nudge SET state = %(state)s, reason = %(reason)s, error = %(error)s, "
        "due_at = coalesce(%(due_at)s, due_at), "
        "attempts = coalesce(%(attempts)s, attempts), "
        "channel = coalesce(%(channel)s, channel), "
        "address = coalesce(%(address)s, address), "
        "language = coalesce(%(language)s, language), "
        "recipient = coalesce(%(recipient)s, recipient), done_at = %(done_at)s "
        "WHERE id = %(id)s",
        {
            "id": nudge_id,
            "state": state.value,
            "reason": reason,
            "error": error,
            "due_at": due_at,
            "attempts": attempts,
            "channel": channel,
            "address": address,
            "language": language,
            "recipient": recipient,
            "done_at": now if ended else None,
        },
    )


def note_nudge(
    tx: Tx, nudge: Nudge, due_at: datetime, **notes: dict[str, str] | None
) -> None:
    """Give a nudge a time, and say who ``moved`` or ``skipped`` it; None: nobody did."""
    noted = {**nudge.detail, **notes}
    detail = {name: value for name, value in noted.items() if value is not None}
    tx.execute(
        "UPDATE nudge SET due_at = %s, detail = %s WHERE id = %s",
        (due_at, Jsonb(detail), nudge.id),
    )


def read_nudge(row: Row) -> Nudge:
    """Read a row that has the columns of :data:`COLUMNS`."""
    return Nudge(**{**row, "state": NudgeState(row["state"])})


def _list(tx: Tx, where: str, values: dict[str, Any]) -> list[Nudge]:
    rows = tx.execute(f"SELECT {COLUMNS} FROM nudge WHERE {where}", values)  # noqa: S608 -- constants of this module
    return [read_nudge(row) for row in rows]
