"""Who is known at an endpoint, and when each one's whole chart is looked at next.

A patient is known from the first event, preference or consent on. How many charts an
EHR is asked for in a minute is bounded: who comes too many waits for a turn, once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from middleware.storage.connecting import Tx
from middleware.storage.ids import shard_of
from middleware.storage.rows import list_rows

_KNOW = """
INSERT INTO review AS r (endpoint_id, patient, shard, due_at, known_at)
SELECT e.id, p.patient, p.shard, %(now)s, %(now)s
  FROM unnest(%(patients)s::text[], %(shards)s::smallint[]) AS p (patient, shard)
  JOIN endpoint AS e ON e.id = %(endpoint)s
    ON CONFLICT (endpoint_id, patient) DO UPDATE SET state = 'waiting',
       due_at = excluded.due_at, paced = false WHERE r.state = 'ended'
"""
_TURN = """
INSERT INTO review_pace AS p (endpoint_id, free_at) VALUES (%(endpoint)s, %(end)s)
    ON CONFLICT (endpoint_id) DO UPDATE
       SET free_at = greatest(p.free_at, %(now)s) + %(length)s
RETURNING free_at - %(length)s AS begins
"""


@dataclass(frozen=True)
class Review:
    """A patient whose turn has come; ``is_new`` until the first event was made."""

    endpoint_id: str
    patient: str
    due_at: datetime
    is_new: bool
    paced: bool


def note_known(
    tx: Tx, endpoint_id: str, patients: Iterable[str], now: datetime
) -> None:
    """Remember that these patients are known, from ``now`` on due for a first look.

    One whose record was closed is looked at again.
    """
    names = sorted(patients)
    values = {
        "endpoint": endpoint_id,
        "now": now,
        "patients": names,
        "shards": [shard_of(endpoint_id, name) for name in names],
    }
    if names:
        tx.execute(_KNOW, values)


def list_due(tx: Tx, shards: Iterable[int], now: datetime, limit: int) -> list[Review]:
    """List the patients of these shards whose turn has come, the longest due first."""
    columns = "endpoint_id, patient, due_at, added_at IS NULL AS is_new, paced"
    rows = list_rows(tx, "review", columns, shards, now, limit, place="patient")
    return [Review(**row) for row in rows]


def take_turns(
    tx: Tx, endpoint_id: str, count: int, apart: timedelta, now: datetime
) -> list[datetime]:
    """Take the next ``count`` turns of an endpoint, which lie ``apart``; each instant."""
    length = apart * count
    row = tx.execute(
        _TURN,
        {"endpoint": endpoint_id, "now": now, "length": length, "end": now + length},
    ).fetchone()
    begins = row["begins"] if row else now
    return [begins + apart * index for index in range(count)]


def set_due(tx: Tx, endpoint_id: str, due: Sequence[tuple[str, datetime]]) -> None:
    """Let patients wait for the turn that was taken for each."""
    _set(tx, endpoint_id, due, "paced = true")


def note_made(
    tx: Tx, endpoint_id: str, due: Sequence[tuple[str, datetime]], now: datetime
) -> None:
    """Note that the event of each was made, and when the next one is due."""
    _set(
        tx,
        endpoint_id,
        due,
        "paced = false, reviewed_at = CASE WHEN r.added_at IS NULL THEN r.reviewed_at "
        "ELSE %(now)s END, added_at = coalesce(r.added_at, %(now)s)",
        now,
    )


def _set(
    tx: Tx,
    endpoint_id: str,
    due: Sequence[tuple[str, datetime]],
    change: str,
    now: datetime | None = None,
) -> None:
    tx.execute(
        f"UPDATE review AS r SET due_at = d.due_at, {change} "  # noqa: S608 -- two constants
        "FROM unnest(%(patients)s::text[], %(due)s::timestamptz[]) "
        "AS d (patient, due_at) WHERE r.endpoint_id = %(endpoint)s "
        "AND r.patient = d.patient AND r.state = 'waiting'",
        {
            "patients": [patient for patient, _ in due],
            "due": [instant for _, instant in due],
            "endpoint": endpoint_id,
            "now": now,
        },
    )


def end_reviews(tx: Tx, endpoint_id: str, patient: str) -> None:
    """Look no more at a patient whose record is closed, until something happens."""
    _change(tx, endpoint_id, "state = 'ended'", "patient = %s", patient)


def turn_off(tx: Tx, endpoint_id: str) -> None:
    """Look at nobody of an endpoint whose site does not review."""
    _change(tx, endpoint_id, "state = 'off'", "state = 'waiting'")


def turn_on(tx: Tx, endpoint_id: str) -> None:
    """Look at them again, each when it would have been."""
    _change(tx, endpoint_id, "state = 'waiting'", "state = 'off'")


def _change(tx: Tx, endpoint_id: str, change: str, where: str, *values: str) -> None:
    tx.execute(
        f"UPDATE review SET {change} WHERE endpoint_id = %s AND {where}",  # noqa: S608 -- constants
        (endpoint_id, *values),
    )
