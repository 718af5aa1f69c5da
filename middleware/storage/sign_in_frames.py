"""Rows of ``sign_in_frame``: whether an EHR's sign-in may be shown in its frame.

What its headers said is kept here; whether launches came back from a frame is read off
the launches themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from middleware.storage.connecting import Tx

# So long what became of framed launches says something of the next one.
TELLS_FOR = timedelta(days=30)
_FRAMED = "endpoint_id = %(id)s AND context ->> 'framed' = 'true'"


@dataclass(frozen=True)
class SignInFrame:
    """What is known of one EHR's sign-in in a frame.

    ``refusal`` is the header that refuses, '' where none does, None where nobody
    looked. ``returned``: a launch came back from a frame; else ``lost`` is how many
    were left there for good.
    """

    refusal: str | None
    looked_at: datetime | None
    returned: bool
    lost: int


def read_sign_in_frame(
    tx: Tx, endpoint_id: str, now: datetime, lost_after: timedelta
) -> SignInFrame:
    """Return what is known; a launch is lost that did not come back within that time."""
    row = tx.execute(
        "SELECT s.refusal, s.looked_at, b.returned, CASE WHEN b.returned THEN 0 ELSE "  # noqa: S608 -- constants
        f"(SELECT count(*) FROM launch WHERE {_FRAMED} AND stage = 'started' "
        "AND created_at BETWEEN %(since)s AND %(before)s) END AS lost "
        f"FROM (SELECT EXISTS (SELECT FROM launch WHERE {_FRAMED} "
        "AND stage <> 'started' AND created_at >= %(since)s) AS returned) AS b "
        "LEFT JOIN sign_in_frame AS s ON s.endpoint_id = %(id)s",
        {"id": endpoint_id, "since": now - TELLS_FOR, "before": now - lost_after},
    ).fetchone()
    return SignInFrame(**row) if row else SignInFrame(None, None, False, 0)


def keep_sign_in_frame(
    tx: Tx, endpoint_id: str, refusal: str, looked_at: datetime
) -> None:
    """Keep which header refuses the frame, '' for none, in place of what was known."""
    tx.execute(
        "INSERT INTO sign_in_frame (endpoint_id, refusal, looked_at) VALUES (%s, %s, %s) "
        "ON CONFLICT (endpoint_id) DO UPDATE "
        "SET refusal = excluded.refusal, looked_at = excluded.looked_at",
        (endpoint_id, refusal, looked_at),
    )
