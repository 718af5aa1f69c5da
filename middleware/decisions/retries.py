"""When to try again: exponential, capped, ten attempts in about a day."""

from __future__ import annotations

from datetime import datetime, timedelta

FIRST = timedelta(seconds=30)
LONGEST = timedelta(hours=6)
MOST = 10
# How long a held message rests where nothing says when to look at it again.
LOOK_AGAIN = timedelta(hours=4)


def next_attempt(attempts: int, now: datetime) -> datetime | None:
    """Return when to try again after ``attempts`` failures before this one.

    30 s, 1.5 min, 4.5 min, 13.5 min, 40 min, 2 h, then every 6 h: ten in 21 h. None
    means that trying is over and the row goes to the dead letters.
    """
    if attempts >= MOST - 1:
        return None
    tripled = timedelta(seconds=FIRST.total_seconds() * 3.0**attempts)
    return now + min(tripled, LONGEST)
