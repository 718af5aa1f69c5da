"""What somebody had filled in when their session ended: sealed, theirs alone, for minutes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime

from middleware.storage.connecting import Tx

_COLUMNS = "id, endpoint_id, user_reference, patient, sealed, created_at, expires_at"
_MINE = (
    "endpoint_id = %(endpoint)s AND user_reference = %(user)s AND patient = %(patient)s"
)


@dataclass(frozen=True)
class DraftRow:
    """A row of ``draft``; ``sealed`` is opened by the room that sealed it."""

    id: str
    endpoint_id: str
    user_reference: str
    patient: str
    sealed: bytes
    created_at: datetime
    expires_at: datetime


def insert_draft(tx: Tx, row: DraftRow) -> None:
    """Keep a draft."""
    tx.execute(
        f"INSERT INTO draft ({_COLUMNS}) VALUES (%(id)s, %(endpoint_id)s, "  # noqa: S608 -- constants
        "%(user_reference)s, %(patient)s, %(sealed)s, %(created_at)s, %(expires_at)s)",
        asdict(row),
    )


def list_drafts(
    tx: Tx, endpoint_id: str, user: str, patient: str, now: datetime
) -> list[DraftRow]:
    """Return the drafts of this person about this patient in their time, newest first."""
    rows = tx.execute(
        f"SELECT {_COLUMNS} FROM draft WHERE {_MINE} AND expires_at > %(now)s "  # noqa: S608 -- constants
        "ORDER BY created_at DESC, id",
        {"endpoint": endpoint_id, "user": user, "patient": patient, "now": now},
    )
    return [DraftRow(**{**row, "sealed": bytes(row["sealed"])}) for row in rows]


def delete_drafts(tx: Tx, ids: Collection[str]) -> int:
    """Remove drafts; return how many."""
    return tx.execute("DELETE FROM draft WHERE id = ANY(%s)", (list(ids),)).rowcount


def delete_expired_drafts(tx: Tx, now: datetime) -> int:
    """Remove what has passed its time; return how many."""
    return tx.execute("DELETE FROM draft WHERE expires_at < %s", (now,)).rowcount
