"""What the demo counts: events, messages and holds as they stand in the database.

Read-only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from middleware.storage.connecting import Tx
from middleware.storage.ids import SHARDS
from middleware.storage.shards import STAGE_TABLES


@dataclass(frozen=True)
class StoryDelivery:
    """One delivery with what it was for; ``plan`` is the plan's id."""

    delivery_id: str
    nudge_key: str | None
    patient: str
    plan: str
    action: str
    channel: str
    language: str
    body: str


@dataclass(frozen=True)
class StoryRows:
    """Everything that a story's expectations are compared with.

    ``events`` are (focus, version); ``held`` (patient, reason) of every hold that was
    ever decided; ``tasks`` (patient, reason, priority).
    """

    events: frozenset[tuple[str, str]]
    deliveries: tuple[StoryDelivery, ...]
    held: frozenset[tuple[str, str]]
    tasks: frozenset[tuple[str, str, str]]


@dataclass(frozen=True)
class StoryCounts:
    """The counts of a story; ``held`` counts unsent nudges by what held them last."""

    events: int
    nudges: int
    delivered: int
    held: dict[str, int]


def list_story(tx: Tx) -> StoryRows:
    """Read what happened, row by row."""
    events = tx.execute("SELECT focus, focus_version FROM event").fetchall()
    held = tx.execute(
        "SELECT DISTINCT patient, reason FROM decision WHERE outcome = 'hold'"
    ).fetchall()
    tasks = tx.execute("SELECT patient, reason, priority FROM staff_task").fetchall()
    return StoryRows(
        events=frozenset((row["focus"], row["focus_version"]) for row in events),
        deliveries=tuple(_deliveries(tx)),
        held=frozenset((row["patient"], row["reason"]) for row in held),
        tasks=frozenset(
            (row["patient"], row["reason"], row["priority"]) for row in tasks
        ),
    )


def _deliveries(tx: Tx) -> list[StoryDelivery]:
    rows = tx.execute(
        "SELECT d.id, n.key, d.patient, n.plan, n.action, d.channel, d.language, "
        "d.body FROM delivery AS d LEFT JOIN nudge AS n ON n.id = d.nudge_id"
    ).fetchall()
    return [
        StoryDelivery(
            delivery_id=row["id"],
            nudge_key=row["key"],
            patient=row["patient"],
            plan=str(row["plan"] or "").rpartition("/")[2],
            action=str(row["action"] or ""),
            channel=row["channel"],
            language=row["language"],
            body=row["body"],
        )
        for row in rows
    ]


def count_story_rows(tx: Tx) -> StoryCounts:
    """Count events, nudges, what arrived and what was held and never sent."""
    one = tx.execute(
        "SELECT (SELECT count(*) FROM event) AS events, "
        "(SELECT count(*) FROM nudge) AS nudges, "
        "(SELECT count(*) FROM delivery WHERE nudge_id IS NOT NULL "
        " AND state IN ('sent', 'delivered')) AS delivered"
    ).fetchone()
    assert one is not None
    held = tx.execute(
        "SELECT coalesce(detail ->> 'held_for', reason) AS why, count(*) AS total "
        "FROM nudge WHERE state = 'held' OR detail ? 'held_for' GROUP BY 1"
    ).fetchall()
    return StoryCounts(
        events=one["events"],
        nudges=one["nudges"],
        delivered=one["delivered"],
        held={row["why"]: row["total"] for row in held},
    )


def count_due(tx: Tx, now: datetime) -> int:
    """Return how many rows of any stage are due at ``now`` or on their way."""
    total = 0
    for table, is_open in STAGE_TABLES.values():
        row = tx.execute(
            f"SELECT count(*) AS total FROM {table} "  # noqa: S608 -- constants
            f"WHERE shard < %s AND due_at <= %s AND {is_open}",
            (SHARDS, now),
        ).fetchone()
        total += row["total"] if row else 0
    row = tx.execute(
        "SELECT count(*) AS total FROM delivery WHERE state = 'sending'"
    ).fetchone()
    return total + (row["total"] if row else 0)


def oldest_poll(tx: Tx) -> datetime | None:
    """Return when the type that was polled longest ago was; None before the first.

    Patients have a turn of their own.
    """
    row = tx.execute(
        "SELECT CASE WHEN bool_and(polled_at IS NOT NULL) THEN min(polled_at) END "
        "AS oldest FROM poll_cursor WHERE resource_type <> 'Patient'"
    ).fetchone()
    return row["oldest"] if row else None


def last_finished(tx: Tx, name: str) -> datetime | None:
    """Return when periodic work last took its turn."""
    row = tx.execute("SELECT last_at FROM schedule WHERE name = %s", (name,)).fetchone()
    return row["last_at"] if row else None
