"""Rows of ``subscription_control``: what is wanted of each Subscription, and how it is.

The subscription's own row is read along and written through here by the controller
alone: its id at the server, form, status and heartbeat.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from middleware.storage.connecting import Tx

_COLUMNS = (
    "s.id, s.endpoint_id, s.hook_key, s.secrets, s.resource_type, s.server_id, "
    "s.status, s.last_seen_at, s.trouble, s.trouble_at, s.recovered_at, c.slot, "
    "c.wanted, c.memory, c.asked, c.accepted, c.differences, c.seen_status, "
    "c.retired, c.next_at"
)
_SELECT = (
    f"SELECT {_COLUMNS} FROM subscription s "  # noqa: S608 -- a constant
    "JOIN subscription_control c ON c.subscription_id = s.id "
)


@dataclass(frozen=True)
class ControlRow:
    """One wanted Subscription with what is known of it.

    ``seen_status`` is the server's status at the controller's last look, ``status`` the
    latest told; ``retired``: it is to go, and is gone once ``next_at`` is None.
    """

    id: str
    endpoint_id: str
    hook_key: str
    secrets: bytes
    resource_type: str
    server_id: str | None
    status: str
    last_seen_at: datetime | None
    trouble: str | None
    trouble_at: datetime | None
    recovered_at: datetime | None
    slot: str
    wanted: dict[str, Any]
    memory: dict[str, Any]
    asked: dict[str, Any] | None
    accepted: dict[str, Any] | None
    differences: list[str]
    seen_status: str | None
    retired: bool
    next_at: datetime | None


@dataclass(frozen=True)
class Seen:
    """What the server held at the last look, without secrets."""

    status: str
    accepted: dict[str, Any]
    differences: tuple[str, ...]
    heartbeat: int | None


def insert_control(
    tx: Tx,
    subscription_id: str,
    slot: str,
    wanted: dict[str, Any],
    memory: dict[str, Any],
    now: datetime,
) -> None:
    """Want a subscription that has a row; StorageError when its slot is taken."""
    tx.execute(
        "INSERT INTO subscription_control (subscription_id, endpoint_id, "
        "resource_type, slot, wanted, memory, next_at) SELECT id, endpoint_id, "
        "resource_type, %s, %s, %s, %s FROM subscription WHERE id = %s",
        (slot, Jsonb(wanted), Jsonb(memory), now, subscription_id),
    )


def change_wanted(
    tx: Tx,
    subscription_id: str,
    wanted: dict[str, Any],
    memory: dict[str, Any],
    now: datetime,
) -> None:
    """Want it differently, and look at it at once."""
    tx.execute(
        "UPDATE subscription_control SET wanted = %s, memory = %s, next_at = %s "
        "WHERE subscription_id = %s",
        (Jsonb(wanted), Jsonb(memory), now, subscription_id),
    )


def retire_control(tx: Tx, subscription_id: str, now: datetime) -> None:
    """Want it no more; the controller deletes it at the server."""
    tx.execute(
        "UPDATE subscription_control SET retired = true, next_at = %s "
        "WHERE subscription_id = %s AND NOT retired",
        (now, subscription_id),
    )


def get_control(tx: Tx, subscription_id: str) -> ControlRow | None:
    """Return one."""
    row = tx.execute(f"{_SELECT} WHERE s.id = %s", (subscription_id,)).fetchone()
    return ControlRow(**row) if row else None


def list_controls(tx: Tx, endpoint_id: str | None = None) -> list[ControlRow]:
    """List what is wanted or still to be deleted, of one endpoint or of all."""
    rows = tx.execute(
        f"{_SELECT} WHERE (%(endpoint)s::text IS NULL OR s.endpoint_id = %(endpoint)s) "
        "AND NOT (c.retired AND c.next_at IS NULL) "
        "ORDER BY s.resource_type, c.slot, s.created_at, s.id",
        {"endpoint": endpoint_id},
    )
    return [ControlRow(**row) for row in rows]


def list_uncontrolled(tx: Tx, endpoint_id: str) -> dict[str, str]:
    """Return the id of a subscription without a control row, by resource type."""
    rows = tx.execute(
        "SELECT id, resource_type FROM subscription s WHERE endpoint_id = %s "
        "AND NOT EXISTS (SELECT 1 FROM subscription_control c "
        "WHERE c.subscription_id = s.id) ORDER BY created_at DESC, id",
        (endpoint_id,),
    )
    return {row["resource_type"]: row["id"] for row in rows}


def find_heard(
    tx: Tx, subscription_id: str
) -> tuple[str, str, dict[str, str], bytes] | None:
    """Return the newest notification that was read: method, path, headers, body."""
    row = tx.execute(
        "SELECT method, path, headers, body FROM notification "
        "WHERE subscription_id = %s AND state = 'stored' ORDER BY id DESC LIMIT 1",
        (subscription_id,),
    ).fetchone()
    if row is None:
        return None
    return row["method"], row["path"], row["headers"], bytes(row["body"])


def list_due(tx: Tx, now: datetime) -> list[tuple[str, str]]:
    """List (endpoint, subscription) to look at: due, or told to stand otherwise."""
    rows = tx.execute(
        "SELECT c.endpoint_id, c.subscription_id FROM subscription_control c "
        "JOIN subscription s ON s.id = c.subscription_id "
        "WHERE c.next_at <= %s OR (c.next_at IS NOT NULL AND c.seen_status <> s.status "
        "AND s.status IN ('error', 'off')) ORDER BY c.endpoint_id, c.subscription_id",
        (now,),
    )
    return [(row["endpoint_id"], row["subscription_id"]) for row in rows]


def save_memory(
    tx: Tx, subscription_id: str, memory: dict[str, Any], next_at: datetime | None
) -> None:
    """Keep the controller's memory and when it looks again."""
    tx.execute(
        "UPDATE subscription_control SET memory = %s, next_at = %s "
        "WHERE subscription_id = %s",
        (Jsonb(memory), next_at, subscription_id),
    )


@dataclass(frozen=True)
class Asked:
    """What is asked for: form, topic or type, channel, and the resource itself."""

    form: str
    criteria: str
    channel: str
    resource: dict[str, Any]


def save_asked(tx: Tx, subscription_id: str, asked: Asked) -> None:
    """Keep what is asked for next, without secrets."""
    tx.execute(
        "UPDATE subscription SET form = %s, criteria = %s, channel = %s WHERE id = %s",
        (asked.form, asked.criteria, asked.channel, subscription_id),
    )
    tx.execute(
        "UPDATE subscription_control SET asked = %s WHERE subscription_id = %s",
        (Jsonb(asked.resource), subscription_id),
    )


def save_seen(tx: Tx, subscription_id: str, seen: Seen) -> None:
    """Keep what the server holds."""
    tx.execute(
        "UPDATE subscription SET status = %s, heartbeat_seconds = %s WHERE id = %s",
        (seen.status, seen.heartbeat, subscription_id),
    )
    tx.execute(
        "UPDATE subscription_control SET seen_status = %s, accepted = %s, "
        "differences = %s WHERE subscription_id = %s",
        (
            seen.status,
            Jsonb(seen.accepted),
            Jsonb(list(seen.differences)),
            subscription_id,
        ),
    )


def save_server_id(tx: Tx, subscription_id: str, server_id: str | None) -> None:
    """Keep the id that the server gave it; None when it has none any more."""
    tx.execute(
        "UPDATE subscription SET server_id = %s WHERE id = %s",
        (server_id, subscription_id),
    )


def note_trouble(tx: Tx, subscription_id: str, trouble: str, now: datetime) -> None:
    """Note why events may be missing, unless a trouble is known already."""
    tx.execute(
        "UPDATE subscription SET trouble = %s, trouble_at = %s "
        "WHERE id = %s AND trouble IS NULL",
        (trouble, now, subscription_id),
    )


def clear_trouble(tx: Tx, subscription_id: str, seen_at: datetime | None) -> None:
    """End the trouble that was seen; a newer one stays."""
    tx.execute(
        "UPDATE subscription SET trouble = NULL, trouble_at = NULL "
        "WHERE id = %s AND trouble_at IS NOT DISTINCT FROM %s",
        (subscription_id, seen_at),
    )
