"""CDS Hooks: which JWTs were used up, which cards were shown, what was refused.

Of a JWT only a hash is kept, until it would have expired; of a card never its words.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from middleware.storage.connecting import Tx

# ruff: noqa: S608 -- every statement is made of constants of this module.

_COLUMNS = (
    "id, endpoint_id, patient, user_reference, service, verdict, shown_at, outcome"
)


@dataclass(frozen=True)
class CardRow:
    """A row of ``cds_card``; ``verdict`` is a digest of what the card said.

    ``outcome`` is what came back: accepted or overridden, None before.
    """

    id: str
    endpoint_id: str
    patient: str
    user_reference: str
    service: str
    verdict: str
    shown_at: datetime
    outcome: str | None = None


def take_token(tx: Tx, mark: str, expires_at: datetime) -> bool:
    """Use up a JWT; False when it was used before."""
    added = tx.execute(
        "INSERT INTO cds_token (mark, expires_at) VALUES (%s, %s) "
        "ON CONFLICT (mark) DO NOTHING",
        (mark, expires_at),
    )
    return added.rowcount == 1


def insert_card(tx: Tx, row: CardRow) -> None:
    """Remember a card that was shown."""
    tx.execute(
        f"INSERT INTO cds_card ({_COLUMNS}) VALUES (%(id)s, %(endpoint_id)s, "
        "%(patient)s, %(user_reference)s, %(service)s, %(verdict)s, %(shown_at)s, "
        "%(outcome)s)",
        asdict(row),
    )


def find_last_card(
    tx: Tx, endpoint_id: str, patient: str, user_reference: str, service: str
) -> CardRow | None:
    """Return the newest card of this patient that this user was shown."""
    row = tx.execute(
        f"SELECT {_COLUMNS} FROM cds_card WHERE endpoint_id = %s AND patient = %s "
        "AND user_reference = %s AND service = %s ORDER BY seq DESC LIMIT 1",
        (endpoint_id, patient, user_reference, service),
    ).fetchone()
    return CardRow(**row) if row else None


def set_card_outcome(
    tx: Tx, card_id: str, endpoint_id: str, service: str, outcome: str
) -> CardRow | None:
    """Note what came of a card; None when this endpoint was shown no such one."""
    row = tx.execute(
        "UPDATE cds_card SET outcome = %s WHERE id = %s AND endpoint_id = %s "
        f"AND service = %s RETURNING {_COLUMNS}",
        (outcome, card_id, endpoint_id, service),
    ).fetchone()
    return CardRow(**row) if row else None


def count_refusal(tx: Tx, endpoint_id: str, reason: str) -> None:
    """Count a call that got no card; ``endpoint_id`` is empty where it named none."""
    tx.execute(
        "INSERT INTO cds_refusal (endpoint_id, reason, total) VALUES (%s, %s, 1) "
        "ON CONFLICT (endpoint_id, reason) DO UPDATE SET total = cds_refusal.total + 1",
        (endpoint_id, reason),
    )


def list_refusals(tx: Tx) -> dict[tuple[str, str], int]:
    """Return how many calls got no card, by (endpoint, reason), in order."""
    rows = tx.execute(
        "SELECT endpoint_id, reason, total FROM cds_refusal "
        "ORDER BY endpoint_id, reason"
    )
    return {(row["endpoint_id"], row["reason"]): row["total"] for row in rows}


def delete_old(tx: Tx, now: datetime, before: datetime) -> int:
    """Forget expired JWTs and cards shown before an instant; return how many cards."""
    tx.execute("DELETE FROM cds_token WHERE expires_at < %s", (now,))
    return tx.execute("DELETE FROM cds_card WHERE shown_at < %s", (before,)).rowcount
