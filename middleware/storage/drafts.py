"""What somebody had filled in when their session ended: sealed, theirs alone, for minutes."""

from __future__ import annotations

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
    """Keep a draft; an older one of the same person about the same patient goes."""
    delete_drafts(tx, row.endpoint_id, row.user_reference, row.patient)
    tx.execute(
        f"INSERT INTO draft ({_COLUMNS}) VALUES (%(id)s, %(endpoint_id)s, "  # noqa: S608 -- constants
        "%(user_reference)s, %(patient)s, %(sealed)s, %(created_at)s, %(expires_at)s)",
        asdict(row),
    )


def find_draft(
    tx: Tx, endpoint_id: str, user: str, patient: str, now: datetime
) -> DraftRow | None:
    """Return the draft of this person about this patient, unless its time is over."""
    row = tx.execute(
        f"SELECT {_COLUMNS} FROM draft WHERE {_MINE} AND expires_at > %(now)s",  # noqa: S608 -- constants
        {"endpoint": endpoint_id, "user": user, "patient": patient, "now": now},
    ).fetchone()
    return DraftRow(**{**row, "sealed": bytes(row["sealed"])}) if row else None


def delete_drafts(tx: Tx, endpoint_id: str, user: str, patient: str) -> int:
    """Remove what this person had filled in about this patient."""
    values = {"endpoint": endpoint_id, "user": user, "patient": patient}
    return tx.execute(f"DELETE FROM draft WHERE {_MINE}", values).rowcount  # noqa: S608 -- constants


def delete_expired_drafts(tx: Tx, now: datetime) -> int:
    """Remove what has passed its time; return how many."""
    return tx.execute("DELETE FROM draft WHERE expires_at < %s", (now,)).rowcount
