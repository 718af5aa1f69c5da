"""REVIEW: the days on which nothing happens in the EHR and something may still be due.

A patient whose turn has come becomes an inbox row, and RESOLVE reads the chart; nothing
is read here. The first turn says that the patient is new, each later one that the chart
is to be looked at again. An EHR that was just connected is asked at a bounded pace.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from mappings.endpoint import Endpoint
from mappings.event import EventKind
from middleware.decisions.cadence import APART, next_review
from middleware.stages.context import StageContext
from middleware.storage import endpoints, inbox, reviews
from middleware.storage.connecting import Tx
from middleware.storage.ids import shard_of
from middleware.storage.shards import Held, check_epochs

BATCH = 100
LATE = timedelta(minutes=1)
SOURCE = "review"


def step(context: StageContext, held: Held, now: datetime) -> int:
    """Make the rows of those whose turn has come; return how many were looked at."""
    with context.database.tx() as tx:
        due = reviews.list_due(tx, held, now, BATCH)
        if not due:
            return 0
        check_epochs(tx, "review", held)
        woken: set[int] = set()
        for endpoint in endpoints.list_endpoints(tx):
            mine = [item for item in due if item.endpoint_id == endpoint.id]
            if mine and not endpoint.site.review_days:
                reviews.turn_off(tx, endpoint.id)
            elif mine:
                woken |= _review(tx, endpoint, mine, now)
    for number in sorted(woken):
        context.wake("resolve", number)
    return len(due)


def _review(
    tx: Tx, endpoint: Endpoint, due: Sequence[reviews.Review], now: datetime
) -> set[int]:
    """Make rows for those whose turn it is; the others are given a later turn."""
    # A turn that nobody took, while no worker ran, is none: many would come at once.
    missed = now - LATE
    fresh = [item for item in due if not item.paced or item.due_at < missed]
    turns = reviews.take_turns(tx, endpoint.id, len(fresh), APART, now)
    later = {
        item.patient: turn
        for item, turn in zip(fresh, turns, strict=True)
        if turn > now
    }
    reviews.set_due(tx, endpoint.id, list(later.items()))
    ready = [item for item in due if item.patient not in later]
    rows = [_row(item, now) for item in ready]
    inbox.insert_inbox(tx, rows)
    days = endpoint.site.review_days
    following = [
        (item.patient, next_review(endpoint.id, item.patient, days, now))
        for item in ready
    ]
    reviews.note_made(tx, endpoint.id, following, now)
    return {row.shard for row in rows}


def _row(item: reviews.Review, now: datetime) -> inbox.NewItem:
    """Return the inbox row of one turn; its key makes it one."""
    kind = EventKind.PATIENT_ADDED if item.is_new else EventKind.PATIENT_REVIEW
    turn = "first" if item.is_new else item.due_at.isoformat()
    return inbox.NewItem(
        key=f"{item.endpoint_id}|{item.patient}|{kind.value}|{turn}",
        endpoint_id=item.endpoint_id,
        subscription_id=None,
        notification_id=None,
        source=SOURCE,
        focus=item.patient,
        version=None,
        event_number=None,
        resource_type="Patient",
        interaction=kind.value,
        shard=shard_of(item.endpoint_id, item.patient),
        received_at=now,
    )
