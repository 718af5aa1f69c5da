"""Marks: single facts about the whole database, by name."""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from middleware.storage.connecting import Tx

RESTORE_UNCHECKED = "restore-unchecked"


def read_mark(tx: Tx, name: str) -> Any:
    """Return the mark's JSON value; None when it is not set."""
    row = tx.execute("SELECT value FROM mark WHERE name = %s", (name,)).fetchone()
    return row["value"] if row else None


def put_mark(tx: Tx, name: str, value: Any) -> None:
    """Set a mark to a JSON value other than null."""
    tx.execute(
        "INSERT INTO mark (name, value) VALUES (%s, %s) "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, Jsonb(value)),
    )


def add_mark(tx: Tx, name: str, value: Any) -> Any:
    """Set a mark unless it is set, and return the value that stands.

    Of two processes that come at once, both get the value of the first.
    """
    tx.execute(
        "INSERT INTO mark (name, value) VALUES (%s, %s) ON CONFLICT (name) DO NOTHING",
        (name, Jsonb(value)),
    )
    return read_mark(tx, name)


def delete_mark(tx: Tx, name: str) -> None:
    """Remove a mark."""
    tx.execute("DELETE FROM mark WHERE name = %s", (name,))
