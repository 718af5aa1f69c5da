"""What went out to one patient and what came back, for the people who look at it.

Read-only. A fixed answer to a reply is no message of ours and is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from middleware.storage.connecting import Tx


@dataclass(frozen=True)
class SentRow:
    """One delivery with the title and step of its nudge; ``reason`` says why one failed."""

    delivery_id: str
    title: str
    channel: str
    language: str
    state: str
    at: datetime
    delivered_at: datetime | None
    answered_at: datetime | None
    reason: str | None
    plan: str = ""
    action: str = ""


def list_sent_rows(
    tx: Tx, endpoint_id: str, patient: str, since: datetime
) -> tuple[SentRow, ...]:
    """List the deliveries of one patient since an instant, the newest first."""
    rows = tx.execute(
        "SELECT d.id AS delivery_id, n.title, d.channel, d.language, d.state, "
        "coalesce(d.sent_at, d.sending_at) AS at, d.delivered_at, d.answered_at, "
        "d.reason, n.plan, n.action FROM delivery AS d JOIN nudge AS n ON n.id = d.nudge_id "
        "WHERE d.endpoint_id = %s AND d.patient = %s AND d.sending_at >= %s "
        "ORDER BY at DESC, d.id",
        (endpoint_id, patient, since),
    )
    return tuple(SentRow(**row) for row in rows)
