"""The week's messages against the limit, counted as the limit counts them. Pure."""

from __future__ import annotations

from middleware.decisions.fatigue import UNCOUNTED, WEEK
from middleware.desk.formats import write_day
from middleware.desk.values import Fact
from middleware.desk.views import View


def write_week(view: View) -> Fact:
    """Return the fact: how many of the last seven days' messages, of how many."""
    limit = view.profile.max_per_week.value
    recent = sorted(
        item.sent_at
        for item in view.own.sent
        if view.now - item.sent_at < WEEK and item.topic not in UNCOUNTED
    )
    count = len(recent)
    pips = tuple(index < count for index in range(max(limit, count)))
    if count >= limit and recent:
        free = recent[count - limit] + WEEK
        note = f"Full until {write_day(free.astimezone(view.zone).date(), view.today)}"
    else:
        note = f"{limit - count} more allowed in 7 days"
    return Fact(
        "Messages this week", f"{count} of {limit}", note, pips if len(pips) < 8 else ()
    )
