"""How often: a budget per day and per week; safety and visit messages are never held.

Visit messages are counted and shown, and at most one goes out per patient and day.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from mappings.preference import SentMessage
from middleware.decisions.timing import start_of_next_day

WEEK = timedelta(days=7)
UNCOUNTED = frozenset({"reply", "safety"})


def next_allowed(
    sent: Iterable[SentMessage],
    *,
    topic: str,
    counts: bool,
    zone: str,
    max_per_day: int,
    max_per_week: int,
    now: datetime,
) -> datetime | None:
    """Return None when a message may go now, else the first instant it may.

    ``counts`` False is a visit or safety topic: only the same topic on the same local
    day holds it. Answers to the patient are never counted.
    """
    counted = [item for item in sent if item.topic not in UNCOUNTED]
    if topic in UNCOUNTED:
        return None
    today = [item for item in counted if _same_day(item.sent_at, now, zone)]
    if not counts:
        again = any(item.topic == topic for item in today)
        return start_of_next_day(now, zone) if again else None
    week = sorted(item.sent_at for item in counted if now - item.sent_at < WEEK)
    waits: list[datetime] = []
    if len(today) >= max_per_day:
        waits.append(start_of_next_day(now, zone))
    if max_per_week <= 0:
        waits.append(now + WEEK)
    elif len(week) >= max_per_week:
        waits.append(week[len(week) - max_per_week] + WEEK)
    return max(waits) if waits else None


def _same_day(one: datetime, other: datetime, zone: str) -> bool:
    info = ZoneInfo(zone)
    return one.astimezone(info).date() == other.astimezone(info).date()
