"""How subscriptions stand: the part of ``subscription`` that TRACK and RECOVER keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from middleware.storage.connecting import Row, Tx
from subscriptions.numbering_json import (
    read_numbering,
    read_others,
    write_numberings,
)
from subscriptions.recovery import Condition, Trouble

HEARD_FOR = timedelta(days=29)
_COLUMNS = (
    "id, endpoint_id, resource_type, server_id, status, created_at, last_seen_at, "
    "last_number, numbering, trouble, trouble_at, recovered_at, heartbeat_seconds, "
    "recover_at, recover_error"
)


@dataclass(frozen=True)
class Watched:
    """One subscription with its condition; ``server_id`` is the server's id of it."""

    id: str
    endpoint_id: str
    resource_type: str
    server_id: str | None
    condition: Condition


def list_watched(tx: Tx, endpoint_id: str | None = None) -> list[Watched]:
    """List the subscriptions of one endpoint or of all, oldest first."""
    rows = tx.execute(
        f"SELECT {_COLUMNS} FROM subscription "  # noqa: S608 -- a constant
        "WHERE %(endpoint)s::text IS NULL OR endpoint_id = %(endpoint)s "
        "ORDER BY created_at, id",
        {"endpoint": endpoint_id},
    )
    return [_read(row) for row in rows]


def lock_watched(tx: Tx, subscription_id: str) -> Watched | None:
    """Lock one subscription and return it as it stands now."""
    row = tx.execute(
        f"SELECT {_COLUMNS} FROM subscription WHERE id = %s FOR UPDATE",  # noqa: S608
        (subscription_id,),
    ).fetchone()
    return _read(row) if row else None


def put_condition(tx: Tx, subscription_id: str, condition: Condition) -> None:
    """Store a condition; the agreed heartbeat is not changed from here."""
    tx.execute(
        "UPDATE subscription SET status = %(status)s, numbering = %(numbering)s, "
        "last_number = greatest(last_number, %(highest)s), trouble = %(trouble)s, "
        "trouble_at = %(trouble_at)s, recovered_at = %(recovered_at)s, "
        "recover_at = %(retry_at)s, recover_error = %(error)s WHERE id = %(id)s",
        {
            "id": subscription_id,
            "status": condition.status,
            "numbering": Jsonb(
                write_numberings(condition.numbering, condition.own, condition.others)
            ),
            "highest": condition.numbering.highest,
            "trouble": condition.trouble,
            "trouble_at": condition.trouble_at,
            "recovered_at": condition.recovered_at,
            "retry_at": condition.retry_at,
            "error": condition.error,
        },
    )


def note_heard(
    tx: Tx, subscription_id: str, moments: Sequence[datetime], now: datetime
) -> None:
    """Remember when something was delivered, by the hour; forget what is old."""
    hours = {moment.replace(minute=0, second=0, microsecond=0) for moment in moments}
    tx.execute(
        "INSERT INTO heard (subscription_id, hour) SELECT %s, unnest(%s::timestamptz[])"
        " ON CONFLICT DO NOTHING",
        (subscription_id, sorted(hours)),
    )
    tx.execute(
        "DELETE FROM heard WHERE subscription_id = %s AND hour < %s",
        (subscription_id, now - HEARD_FOR),
    )


def list_heard(tx: Tx) -> dict[str, frozenset[datetime]]:
    """Return the hours in which each subscription was heard, by its id."""
    rows = tx.execute(
        "SELECT subscription_id AS id, array_agg(hour) AS hours FROM heard "
        "GROUP BY subscription_id"
    )
    return {row["id"]: frozenset(row["hours"]) for row in rows}


def _read(row: Row) -> Watched:
    return Watched(
        id=row["id"],
        endpoint_id=row["endpoint_id"],
        resource_type=row["resource_type"],
        server_id=row["server_id"],
        condition=_condition(row),
    )


def _condition(row: Mapping[str, Any]) -> Condition:
    return Condition(
        status=row["status"],
        numbering=read_numbering(row["numbering"], row["last_number"]),
        last_sign=row["last_seen_at"] or row["created_at"],
        heartbeat=row["heartbeat_seconds"],
        trouble=Trouble(row["trouble"]) if row["trouble"] else None,
        trouble_at=row["trouble_at"],
        recovered_at=row["recovered_at"],
        retry_at=row["recover_at"],
        error=row["recover_error"],
        own=row["server_id"] or row["numbering"].get("own"),
        others=read_others(row["numbering"]),
    )
