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
    if view.is_over:
        note = ""
    elif 0 < limit <= count:
        free = (recent[count - limit] + WEEK).astimezone(view.zone).date()
        day = write_day(view.viewer, free, view.today)
        note = view.say("Full until %(day)s", day=day)
    else:
        note = view.say_many(
            "%(number)s more allowed in 7 days",
            "%(number)s more allowed in 7 days",
            max(limit - count, 0),
        )
    return Fact(
        view.say("Messages this week"),
        view.say("%(count)s of %(limit)s", count=count, limit=limit),
        note,
        pips if len(pips) < 8 else (),
    )
