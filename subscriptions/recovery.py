"""What to do about a subscription that may have missed something: values in, value out.

Pure. A trouble is noticed, everything that may be missing is read again, and only then
is it over or may re-activation be asked for. Sources: Subscriptions R5 Backport IG 1.1,
error handling, operations $events and $status.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from mappings.errors import NotificationError
from subscriptions.numbering import (
    Numbering,
    Told,
    close_holes,
    count_delivery,
    list_due_holes,
)
from subscriptions.statuses import Status, is_status, read_status

SKEW = timedelta(seconds=30)
RETRY = timedelta(seconds=60)
STATUSES = frozenset({"requested", "active", "error", "off"})
# Servers keep only so many events; a wider range is read by a search at once.
MOST_EVENTS = 1000
_MOST_OTHERS = 8
_HOUR = timedelta(hours=1)
_WEEK = timedelta(days=7)
_WEEKS, _USUAL_WEEKS, _SILENT_HOURS = 4, 3, 3


class Trouble(StrEnum):
    """Why events may be missing, the gravest first."""

    OFF = "off"
    ERROR = "error"
    SILENT = "silent"
    RESET = "reset"
    GAP = "gap"
    TAIL_LOSS = "tail-loss"


_GRAVITY = tuple(Trouble)
_SWITCHED_OFF = {Trouble.OFF, Trouble.ERROR}


@dataclass(frozen=True)
class Condition:
    """How one subscription stands.

    ``last_sign`` is its last delivery or, before one, its creation; ``heartbeat`` the
    agreed seconds between heartbeats; ``recovered_at`` up to when everything was read
    again; ``retry_at`` before when a recovery that failed is not tried again. ``own`` is
    the id of the Subscription whose numbers ``numbering`` holds; ``others`` are those
    of more Subscriptions that use the same hook, by id.
    """

    status: str
    numbering: Numbering
    last_sign: datetime
    heartbeat: int | None = None
    trouble: Trouble | None = None
    trouble_at: datetime | None = None
    recovered_at: datetime | None = None
    retry_at: datetime | None = None
    error: str | None = None
    own: str | None = None
    others: Mapping[str, Numbering] = field(default_factory=dict)

    @property
    def numberings(self) -> tuple[Numbering, ...]:
        """Return what is known of every Subscription's numbers."""
        return (self.numbering, *self.others.values())


@dataclass(frozen=True)
class Answers:
    """What a recovery came to: what the server says of itself, and what stayed open.

    ``status`` is None where the server did not tell; ``within`` are the numbers that
    $events answered to the last, None where everything was read; ``fault`` is why not.
    """

    status: str | None = None
    within: tuple[int, int] | None = None
    fault: str | None = None


def count_told(known: Condition, named: str | None, told: Told) -> Condition:
    """Count a delivery for the Subscription that it names, by id.

    Without a name, and where there are too many names, it counts for our own; the first
    that is heard is our own where nobody knows another.
    """
    own = known.own or named
    other = known.others.get(named or "")
    new = len(known.others) < _MOST_OTHERS
    if named is None or named == own or (other is None and not new):
        counted = count_delivery(known.numbering, told)
        return replace(known, own=own, numbering=counted)
    counted = count_delivery(other or Numbering(), told)
    return replace(known, own=own, others={**known.others, named: counted})


def note_sign(known: Condition, at: datetime) -> Condition:
    """Take in that something was delivered; a silence that was recovered from ends."""
    known = replace(known, last_sign=max(known.last_sign, at))
    if known.trouble is Trouble.SILENT and not needs_recovery(known):
        return replace(known, trouble=None, trouble_at=None)
    return known


def note_status(known: Condition, told: str | None, at: datetime) -> Condition:
    """Take in the status that a server told; error and off are troubles.

    A server that says active after everything was read again has mended itself.
    """
    if told not in STATUSES:
        return known
    known = replace(known, status=told)
    recovered = known.recovered_at is not None and at >= known.recovered_at
    if told == "active" and known.trouble in _SWITCHED_OFF:
        over = recovered and not needs_recovery(known)
        return replace(known, trouble=None, trouble_at=None) if over else known
    if told not in _SWITCHED_OFF or known.trouble in _SWITCHED_OFF:
        return known
    return replace(known, trouble=Trouble(told), trouble_at=at)


def find_trouble(
    known: Condition, now: datetime, hours: Collection[datetime] = ()
) -> Condition:
    """Notice gaps, a reset and silence; ``hours`` are those in which something came.

    What asks to read again is a new trouble even where an old one was recovered from.
    """
    due = [hole for one in known.numberings for hole in list_due_holes(one, now)]
    found: list[Trouble] = []
    if any(one.reset_at is not None for one in known.numberings):
        found.append(Trouble.RESET)
    if due:
        tail = all(hole.tail for hole in due)
        found.append(Trouble.TAIL_LOSS if tail else Trouble.GAP)
    if known.trouble not in {*_SWITCHED_OFF, Trouble.SILENT} and (
        _is_silent(known, now, hours)
    ):
        found.append(Trouble.SILENT)
    if not found or needs_recovery(known):
        return known
    named = [*found, known.trouble] if known.trouble else found
    return replace(known, trouble=min(named, key=_GRAVITY.index), trouble_at=now)


def needs_recovery(known: Condition) -> bool:
    """Tell whether there is a trouble that was not recovered from."""
    if known.trouble is None or known.trouble_at is None:
        return False
    return known.recovered_at is None or known.recovered_at < known.trouble_at


def is_due(known: Condition, now: datetime) -> bool:
    """Tell whether a recovery is to begin now."""
    waits = known.retry_at is not None and known.retry_at > now
    return needs_recovery(known) and not waits


def choose_range(known: Condition, now: datetime) -> tuple[int, int] | None:
    """Return the first and last number to ask $events for; None where that is no use.

    Both are inclusive. What another Subscription missed is read by a search.
    """
    due = list_due_holes(known.numbering, now)
    if not due or not known.numbering.numbered:
        return None
    if any(list_due_holes(one, now) for one in known.others.values()):
        return None
    first, last = min(hole.first for hole in due), max(hole.last for hole in due)
    return (first, last) if last - first < MOST_EVENTS else None


def end_recovery(known: Condition, answers: Answers, started: datetime) -> Condition:
    """Return how the subscription stands when all before ``started`` was read again.

    A trouble ends here where nothing need be asked of the server: a second silence
    in a row does not, whatever the server says of itself.
    """
    if answers.fault is not None:
        return replace(known, retry_at=started + RETRY, error=answers.fault)
    again = _was_silent_before(known)
    known = replace(
        known,
        numbering=close_holes(known.numbering, started, answers.within),
        others={
            name: close_holes(other, started) if answers.within is None else other
            for name, other in known.others.items()
        },
        recovered_at=started,
        retry_at=None,
        error=None,
    )
    known = note_status(known, answers.status, started)
    if known.trouble in _SWITCHED_OFF:
        return known
    if known.trouble is Trouble.SILENT and (again or known.status != "active"):
        return known
    if known.trouble is Trouble.SILENT and answers.status is None:
        return known
    return replace(known, trouble=None, trouble_at=None)


def read_standing(answer: Mapping[str, Any], server_id: str) -> Status | None:
    """Find one subscription's status in an answer to $status; None where it is not.

    Searchset and history Bundles do, and a bare status.
    """
    entries = answer.get("entry")
    resources = [
        entry.get("resource")
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict)
    ]
    found: list[Status] = []
    for resource in [answer, *resources]:
        if isinstance(resource, Mapping) and is_status(resource):
            try:
                found.append(read_status(resource))
            except NotificationError:
                continue
    named = [one for one in found if _tail(one.subscription) == server_id]
    if named:
        return named[0]
    return found[0] if len(found) == 1 else None


def write_range(first: int, last: int) -> list[dict[str, Any]]:
    """Write the parameters of $events; ``content`` is a hint that servers may ignore."""
    return [
        {"name": "eventsSinceNumber", "valueString": str(first)},
        {"name": "eventsUntilNumber", "valueString": str(last)},
        {"name": "content", "valueCode": "id-only"},
    ]


def _tail(reference: str | None) -> str:
    return (reference or "").partition("/_history/")[0].rpartition("/")[2]


def _patience(heartbeat: int) -> timedelta:
    return timedelta(seconds=heartbeat) * 1.5 + SKEW


def _was_silent_before(known: Condition) -> bool:
    """Tell whether an earlier recovery came after a silence that has not ended."""
    if known.heartbeat is None or known.recovered_at is None:
        return False
    return known.recovered_at - known.last_sign > _patience(known.heartbeat)


def _is_silent(known: Condition, now: datetime, hours: Collection[datetime]) -> bool:
    if known.status != "active":
        return False
    since = max(known.last_sign, known.recovered_at or known.last_sign)
    if known.heartbeat is not None:
        return now - since > _patience(known.heartbeat)
    return _count_missed(since, now, hours) >= _SILENT_HOURS


def _count_missed(since: datetime, now: datetime, hours: Collection[datetime]) -> int:
    """Count the whole hours that passed in silence and usually bring something.

    Usual is an hour of the week in which something came in three of the four weeks
    before.
    """
    heard, missed = frozenset(hours), 0
    hour = max(since, now - _WEEK).replace(minute=0, second=0, microsecond=0) + _HOUR
    while hour + _HOUR <= now:
        weeks = sum(hour - _WEEK * back in heard for back in range(1, _WEEKS + 1))
        missed += weeks >= _USUAL_WEEKS
        hour += _HOUR
    return missed
