"""SMART launches: one row each, with the tokens sealed.

What is looked up by is kept as a hash; ``sealed`` is opened by the room that sealed it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg import sql

from middleware.storage.connecting import Tx

_COLUMNS = (
    "id, endpoint_id, state_hash, cookie_hash, sealed, patient, encounter, "
    "user_reference, user_name, scope, need_patient_banner, stage, created_at, "
    "expires_at, seen_at, error, language"
)
_VALUES = ", ".join(f"%({name.strip()})s" for name in _COLUMNS.split(","))
_CHANGEABLE = frozenset(
    name.strip() for name in _COLUMNS.split(",") if name.strip() != "id"
)


@dataclass(frozen=True)
class LaunchRow:
    """A row of ``launch``; ``stage`` says how far it came (the SMART app's word)."""

    id: str
    endpoint_id: str
    state_hash: str | None
    cookie_hash: str
    sealed: bytes
    patient: str | None
    encounter: str | None
    user_reference: str | None
    user_name: str | None
    scope: str | None
    need_patient_banner: bool | None
    stage: str
    created_at: datetime
    expires_at: datetime
    seen_at: datetime | None = None
    error: str | None = None
    language: str | None = None


def insert_launch(tx: Tx, row: LaunchRow) -> None:
    """Add a launch."""
    tx.execute(
        f"INSERT INTO launch ({_COLUMNS}) VALUES ({_VALUES})",  # noqa: S608 -- constants
        asdict(row),
    )


def get_launch(tx: Tx, launch_id: str) -> LaunchRow | None:
    """Return one launch."""
    return _first(tx, "id", launch_id)


def find_launch(tx: Tx, state_hash: str) -> LaunchRow | None:
    """Return the launch that an authorization response belongs to."""
    return _first(tx, "state_hash", state_hash)


def update_launch(tx: Tx, launch_id: str, **changes: Any) -> bool:
    """Set the given columns (also to None); False when there is no such launch."""
    unknown = set(changes) - _CHANGEABLE
    if unknown or not changes:
        raise ValueError(f"not columns of launch: {sorted(unknown)}")
    assignments = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name))
        for name in changes
    )
    statement = sql.SQL("UPDATE launch SET {} WHERE id = {}").format(
        assignments, sql.Placeholder("launch_id")
    )
    return tx.execute(statement, {**changes, "launch_id": launch_id}).rowcount == 1


def take_launch_state(tx: Tx, state_hash: str) -> LaunchRow | None:
    """Use up the ``state`` of a launch: a second response with it finds nothing."""
    row = _first(tx, "state_hash", state_hash)
    if row is None:
        return None
    used = tx.execute(
        "UPDATE launch SET state_hash = NULL WHERE id = %s AND state_hash = %s",
        (row.id, state_hash),
    )
    return row if used.rowcount == 1 else None


def delete_expired_launches(tx: Tx, before: datetime) -> int:
    """Remove launches that expired before an instant; return how many."""
    return tx.execute("DELETE FROM launch WHERE expires_at < %s", (before,)).rowcount


def _first(tx: Tx, column: str, value: str) -> LaunchRow | None:
    row = tx.execute(
        f"SELECT {_COLUMNS} FROM launch WHERE {column} = %s",  # noqa: S608 -- constants
        (value,),
    ).fetchone()
    return LaunchRow(**row) if row else None
