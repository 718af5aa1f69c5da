"""When a patient's whole chart is looked at next. Pure.

Every patient has a place of one's own in the interval, so that a site's patients come
evenly spread, however many were met in one minute.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

# At most so many charts of one EHR in a minute: 600,000 patients in a week.
PER_MINUTE = 60
APART = timedelta(minutes=1) / PER_MINUTE
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def next_review(endpoint_id: str, patient: str, days: float, now: datetime) -> datetime:
    """Return the first instant after ``now`` that is this patient's, every ``days``."""
    interval = timedelta(days=days)
    digest = hashlib.blake2b(f"{endpoint_id}|{patient}".encode(), digest_size=8)
    share = int.from_bytes(digest.digest(), "big") / 2**64
    first = _EPOCH + interval * share
    return first + interval * ((now - first) // interval + 1)
