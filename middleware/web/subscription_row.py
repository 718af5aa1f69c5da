"""One subscription in plain words: how it is numbered, what is wrong, what is safe.

Pure: judges a condition that was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from mappings.event import FOCUS_TYPES
from middleware.storage.completeness import Share
from middleware.storage.subscriptions import SubscriptionRow
from middleware.web.words import ago, count
from subscriptions.numbering import Mode
from subscriptions.recovery import Condition, Trouble, needs_recovery

# With fewer versions than this a share says nothing.
FEWEST = 5
GOOD_SHARE = 0.95
NUMBERS: Mapping[Mode, str] = {
    Mode.UNKNOWN: "How it is numbered is not known yet",
    Mode.MONOTONIC: "Numbered on and on, so a gap is seen",
    Mode.RELATIVE: "Numbered anew in each delivery, so numbers show no gap",
    Mode.ZERO: "Always numbered zero, so numbers show no gap",
    Mode.ABSENT: "Not numbered, so numbers show no gap",
}
TROUBLES: Mapping[Trouble, str] = {
    Trouble.OFF: "The EHR switched it off",
    Trouble.ERROR: "The EHR reports an error",
    Trouble.SILENT: "Nothing came when something should have",
    Trouble.RESET: "Its numbers began anew",
    Trouble.GAP: "Numbers are missing",
    Trouble.TAIL_LOSS: "The EHR has counted more events than came",
}


def list_pushed_types(rows: Iterable[SubscriptionRow]) -> frozenset[str]:
    """Return the focus types that these subscriptions could push.

    One that is not for a single focus type may be for all.
    """
    types = frozenset(row.resource_type for row in rows)
    return types if types <= set(FOCUS_TYPES) else frozenset(FOCUS_TYPES)


def say_numbers(row: SubscriptionRow, condition: Condition) -> str:
    """Return how many events the server counted, and what its numbers are good for."""
    mode = Mode.ABSENT if row.form == "criteria" else condition.numbering.mode
    if row.last_number is None:
        return "None yet." if mode is Mode.UNKNOWN else f"{NUMBERS[mode]}."
    return f"{count(row.last_number, 'event')}. {NUMBERS[mode]}."


def say_trouble(condition: Condition, now: datetime) -> str | None:
    """Return what is wrong, what is safe and what to do; None when nothing is."""
    if condition.trouble is None:
        return None
    what = f"{TROUBLES[condition.trouble]}, {ago(condition.trouble_at, now)}."
    if condition.error is not None:
        return (
            f"{what} What it may have missed could not be read again yet: "
            f"{condition.error}. It is tried again every minute and nothing is passed "
            "over. Check that the EHR can be read."
        )
    if needs_recovery(condition):
        return f"{what} What it may have missed is being read again; nothing to do."
    return (
        f"{what} Everything was read again {ago(condition.recovered_at, now)}, and "
        "polling goes on. It is asked to be active again; if it stays so, ask the "
        "EHR's team."
    )


def say_share(share: Share, *, subscribed: bool) -> tuple[str, str]:
    """Return tone and words of what push delivered of all that was found."""
    if not subscribed:
        return "off", "Polling only"
    if share.ratio is None:
        return "info", "Nothing to compare yet"
    if share.pushed == 0 and share.found >= FEWEST:
        return "warn", f"Polling only: none of {count(share.found, 'change')} pushed"
    said = f"{int(share.ratio * 100)}% of {count(share.found, 'change')}"
    return ("ok" if share.ratio >= GOOD_SHARE else "info"), said
