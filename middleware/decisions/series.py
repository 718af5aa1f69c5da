"""A series of messages about one gap: which of them belong together. Pure.

Plans of one bundle share their series: their gaps are told of together.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from mappings.plan import Library, Plan
from mappings.preference import SentMessage

# How long after its first message a series goes on.
LONGEST = timedelta(days=90)


def bundle_of(library: Library, plan: str) -> str:
    """Return the bundle of a plan (by id), or the plan itself where it has none."""
    found = next((item for item in library.plans if item.id == plan), None)
    return (found.bundle if found else "") or plan


def series_occasion(
    plan: Plan, sent: Iterable[SentMessage], library: Library, now: datetime
) -> str:
    """Return what names the running series, or a new one where none runs.

    A series runs until ``interval_days`` after its latest message. A new one is named
    by the first day of the stretch of that length in which it begins, so that two
    events of the same days plan it once.
    """
    running = _running(plan, sent, library, now)
    if running:
        return running[-1].occasion
    length = max(1, round(plan.interval_days))
    day = now.date().toordinal()
    return date.fromordinal(max(1, day - day % length)).isoformat()


def series_event(
    plan: Plan,
    sent: Iterable[SentMessage],
    library: Library,
    now: datetime,
    *,
    event: datetime,
    review: bool,
) -> datetime:
    """Return the instant that a series counts from.

    The steps of a running one stay where they are: its first message is its first
    step. On the day of a ``review`` the first step of a new one is due at once.
    """
    lead = timedelta(hours=min(item.timing.offset_hours for item in plan.actions))
    running = _running(plan, sent, library, now)
    if running:
        first = min(
            item.sent_at for item in running if item.occasion == running[-1].occasion
        )
        return first - lead
    return event - lead if review else event


def used_channels(
    plan: Plan, sent: Iterable[SentMessage], library: Library, now: datetime
) -> frozenset[str]:
    """Return the channels that the running series has used."""
    return frozenset(
        item.channel
        for item in _of(plan, sent, library)
        if now - item.sent_at < LONGEST
    )


def _running(
    plan: Plan, sent: Iterable[SentMessage], library: Library, now: datetime
) -> list[SentMessage]:
    """Return the messages within the interval that have an occasion, oldest first."""
    since = now - timedelta(days=plan.interval_days)
    found = [
        item
        for item in _of(plan, sent, library)
        if item.occasion and item.sent_at > since
    ]
    return sorted(found, key=lambda item: item.sent_at)


def _of(plan: Plan, sent: Iterable[SentMessage], library: Library) -> list[SentMessage]:
    wanted = plan.bundle or plan.id
    return [item for item in sent if item.plan and _same(item, wanted, library)]


def _same(item: SentMessage, wanted: str, library: Library) -> bool:
    return wanted in (item.plan, bundle_of(library, item.plan))
