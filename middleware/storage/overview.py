"""What is there and what it waits for: counts for the demo, the console and metrics.

Read-only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from mappings.event import EventKind
from mappings.nudge import Nudge
from middleware.storage.connecting import Tx
from middleware.storage.nudges import COLUMNS, read_nudge

_STAGES = """
SELECT 'resolve' AS stage, state, count(*) AS total FROM inbox
 WHERE state IN ('waiting', 'dead') GROUP BY state
UNION ALL SELECT 'decide', state, count(*) FROM event
 WHERE state IN ('waiting', 'dead') GROUP BY state
UNION ALL SELECT 'record', state, count(*) FROM outbox
 WHERE state IN ('waiting', 'dead', 'kept') GROUP BY state
UNION ALL SELECT 'listen', state, count(*) FROM inbound
 WHERE state IN ('waiting', 'dead') GROUP BY state
UNION ALL SELECT 'deliver', 'waiting', count(*) FROM nudge
 WHERE state IN ('planned', 'held') HAVING count(*) > 0
"""


@dataclass(frozen=True)
class Overview:
    """Counts over the whole database.

    ``nudges`` by (state, reason), ``deliveries`` by state, ``waiting`` and ``dead`` by
    stage (waiting of deliver: planned and held), ``kept`` resources that the EHR did
    not take.
    """

    notifications: int
    items: int
    events: int
    decisions: int
    nudges: dict[tuple[str, str], int]
    deliveries: dict[str, int]
    waiting: dict[str, int]
    dead: dict[str, int]
    kept: int
    recorded: int
    replies: int
    tasks_open: int
    switches_on: int

    def nudges_in(self, state: str) -> int:
        """Return how many nudges are in one state, whatever the reason."""
        return sum(n for (found, _), n in self.nudges.items() if found == state)


@dataclass(frozen=True)
class EventRow:
    """An event as the console lists it, with what came of it; ``seq`` is for paging."""

    id: str
    seq: int
    endpoint_id: str
    kind: EventKind
    patient: str
    focus: str
    occurred_at: datetime
    received_at: datetime
    state: str
    error: str | None
    nudges: tuple[Nudge, ...] = field(default=())


def count_all(tx: Tx) -> Overview:
    """Count everything."""
    stages = tx.execute(_STAGES).fetchall()
    by_state = {
        state: {row["stage"]: row["total"] for row in stages if row["state"] == state}
        for state in ("waiting", "dead", "kept")
    }
    nudges = tx.execute(
        "SELECT state, reason, count(*) AS total FROM nudge GROUP BY state, reason"
    ).fetchall()
    deliveries = tx.execute(
        "SELECT state, count(*) AS total FROM delivery GROUP BY state"
    ).fetchall()
    return Overview(
        notifications=_count(tx, "SELECT count(*) AS total FROM notification"),
        items=_count(tx, "SELECT count(*) AS total FROM inbox"),
        events=_count(tx, "SELECT count(*) AS total FROM event"),
        decisions=_count(tx, "SELECT count(*) AS total FROM decision"),
        nudges={(row["state"], row["reason"]): row["total"] for row in nudges},
        deliveries={row["state"]: row["total"] for row in deliveries},
        waiting=by_state["waiting"],
        dead=by_state["dead"],
        kept=by_state["kept"].get("record", 0),
        recorded=_count(
            tx, "SELECT count(*) AS total FROM outbox WHERE state = 'done'"
        ),
        replies=_count(
            tx, "SELECT count(*) AS total FROM inbound WHERE source = 'reply'"
        ),
        tasks_open=_count(
            tx, "SELECT count(*) AS total FROM staff_task WHERE state = 'requested'"
        ),
        switches_on=_count(
            tx, "SELECT count(*) AS total FROM switch WHERE released_at IS NULL"
        ),
    )


def list_events_page(
    tx: Tx, limit: int, before_seq: int | None = None
) -> list[EventRow]:
    """List events with their nudges, the newest first; page on with the last ``seq``."""
    events = tx.execute(
        "SELECT id, seq, endpoint_id, kind, patient, focus, occurred_at, received_at, "
        "state, error FROM event WHERE %(before)s::bigint IS NULL "
        "OR seq < %(before)s ORDER BY seq DESC LIMIT %(limit)s",
        {"before": before_seq, "limit": limit},
    ).fetchall()
    found: dict[str, list[Nudge]] = {row["id"]: [] for row in events}
    rows = tx.execute(
        f"SELECT {COLUMNS} FROM nudge WHERE event_id = ANY(%s) ORDER BY seq",  # noqa: S608 -- a constant
        (list(found),),
    )
    for row in rows:
        found[row["event_id"]].append(read_nudge(row))
    return [
        EventRow(
            **{**row, "kind": EventKind(row["kind"])}, nudges=tuple(found[row["id"]])
        )
        for row in events
    ]


def _count(tx: Tx, statement: str) -> int:
    row = tx.execute(statement).fetchone()
    return int(row["total"]) if row else 0
