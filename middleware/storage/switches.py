"""Switches: holds that a person set on a plan, topic, endpoint, channel or everything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from middleware.storage.connecting import Tx
from middleware.storage.gate import lock_switches


@dataclass(frozen=True)
class SwitchRow:
    """A row of ``switch``; it holds while ``released_at`` is None."""

    id: str
    scope: str
    target: str
    reason: str
    set_by: str
    set_at: datetime
    released_by: str | None
    released_at: datetime | None


def set_switch(
    tx: Tx,
    *,
    id: str,  # noqa: A002 -- the column's name
    scope: str,
    target: str,
    reason: str,
    set_by: str,
    now: datetime,
) -> bool:
    """Hold; False when this scope and target are held already.

    Takes the gate's lock: a message not yet committed to sending sees the hold.
    """
    lock_switches(tx)
    inserted = tx.execute(
        "INSERT INTO switch (id, scope, target, reason, set_by, set_at) "
        "VALUES (%s, %s, %s, %s, %s, %s) "
        "ON CONFLICT (scope, target) WHERE released_at IS NULL DO NOTHING",
        (id, scope, target, reason, set_by, now),
    )
    return inserted.rowcount == 1


def release_switch(
    tx: Tx, *, scope: str, target: str, released_by: str, now: datetime
) -> bool:
    """Release; False when this scope and target are not held."""
    lock_switches(tx)
    released = tx.execute(
        "UPDATE switch SET released_by = %s, released_at = %s "
        "WHERE scope = %s AND target = %s AND released_at IS NULL",
        (released_by, now, scope, target),
    )
    return released.rowcount == 1


def list_switches(tx: Tx, *, released: bool = False) -> list[SwitchRow]:
    """List the holds that stand, or also the released ones, oldest first."""
    rows = tx.execute(
        "SELECT id, scope, target, reason, set_by, set_at, released_by, released_at "
        "FROM switch WHERE released_at IS NULL OR %s ORDER BY set_at, id",
        (released,),
    )
    return [SwitchRow(**row) for row in rows]
