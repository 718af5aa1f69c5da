"""Periodic work, claimed in the database so that ten tickers are as one."""

from __future__ import annotations

from datetime import datetime, timedelta

from middleware.storage.connecting import Tx

# The periodic look at a site's own content; what it keeps is why that cannot be used.
CONTENT = "content"


def claim(tx: Tx, name: str, every: timedelta, now: datetime) -> bool:
    """Take the turn of ``name`` if it is due; False when another has it.

    The next turn is ``every`` after this one; turns that were missed are not made up.
    """
    row = tx.execute(
        "INSERT INTO schedule AS s (name, every_seconds, next_at, last_at) "
        "VALUES (%(name)s, %(seconds)s, %(next)s, %(now)s) "
        "ON CONFLICT (name) DO UPDATE SET every_seconds = excluded.every_seconds, "
        "next_at = excluded.next_at, last_at = excluded.last_at "
        "WHERE s.next_at <= %(now)s RETURNING name",
        {
            "name": name,
            "seconds": every.total_seconds(),
            "next": now + every,
            "now": now,
        },
    ).fetchone()
    return row is not None


def list_ahead(tx: Tx, now: datetime) -> set[str]:
    """Return the names of the work whose next turn is still to come.

    A look at all at once, which writes nothing; only :func:`claim` takes a turn.
    """
    rows = tx.execute("SELECT name FROM schedule WHERE next_at > %s", (now,))
    return {row["name"] for row in rows}


def note_result(tx: Tx, name: str, error: str | None) -> None:
    """Keep how the last turn ended; ``error`` carries no patient data."""
    tx.execute("UPDATE schedule SET error = %s WHERE name = %s", (error, name))


def list_errors(tx: Tx) -> dict[str, str]:
    """Return the periodic work whose last turn failed, with the fault."""
    rows = tx.execute(
        "SELECT name, error FROM schedule WHERE error IS NOT NULL ORDER BY name"
    )
    return {row["name"]: row["error"] for row in rows}
