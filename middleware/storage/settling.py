"""How a nudge ends that was held too long, or that a provider could not deliver."""

from __future__ import annotations

from datetime import datetime

from psycopg.types.json import Jsonb

from middleware.storage.connecting import Tx


def end_held(tx: Tx, nudge_id: str, reason: str, held_for: str, now: datetime) -> None:
    """Cancel a nudge whose time has passed and keep what it was held for."""
    tx.execute(
        "UPDATE nudge SET state = 'cancelled', reason = %s, done_at = %s, "
        "detail = detail || %s WHERE id = %s AND state IN ('planned', 'held')",
        (reason, now, Jsonb({"held_for": held_for}), nudge_id),
    )


def fail_delivered(tx: Tx, nudge_id: str | None, reason: str, now: datetime) -> None:
    """Mark a sent nudge failed after the provider could not deliver it."""
    tx.execute(
        "UPDATE nudge SET state = 'failed', reason = %s, done_at = %s "
        "WHERE id = %s AND state = 'sent'",
        (reason, now, nudge_id),
    )


def look_again(
    tx: Tx, reason: str, now: datetime, *, patient: tuple[str, str] | None = None
) -> list[int]:
    """Make nudges held for ``reason`` due now; return their shards.

    ``patient`` is (endpoint id, ``Patient/id``), or None for everybody.
    """
    endpoint_id, reference = patient or (None, None)
    rows = tx.execute(
        "UPDATE nudge SET due_at = least(due_at, %(now)s) "
        "WHERE state = 'held' AND reason = %(reason)s "
        "AND (%(endpoint)s::text IS NULL OR endpoint_id = %(endpoint)s) "
        "AND (%(patient)s::text IS NULL OR patient = %(patient)s) RETURNING shard",
        {"now": now, "reason": reason, "endpoint": endpoint_id, "patient": reference},
    ).fetchall()
    return sorted({int(row["shard"]) for row in rows})


def look_at(tx: Tx, endpoint_id: str, patient: str, now: datetime) -> list[int]:
    """Make all that is held of a patient due now; return the shards."""
    rows = tx.execute(
        "UPDATE nudge SET due_at = least(due_at, %s) WHERE state = 'held' "
        "AND endpoint_id = %s AND patient = %s RETURNING shard",
        (now, endpoint_id, patient),
    ).fetchall()
    return sorted({int(row["shard"]) for row in rows})
