"""One Subscription as the controller sees it, and the step that it comes to.

Pure values, and how long is waited.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from subscriptions.comparing import Difference
from subscriptions.memory import Memory

CHECK_EVERY = timedelta(minutes=10)
SOON = timedelta(seconds=5)
PAUSE = timedelta(seconds=30)
FIRST_BACKOFF = timedelta(minutes=1)
LONGEST_BACKOFF = timedelta(hours=6)
POLL_FOR = timedelta(hours=12)
ALERT_AFTER = 3
SAFE = "Nothing is lost: the regular read of the chart finds its events."


class Action(StrEnum):
    """What is done next; the first eight ask the server for something."""

    CREATE = "create"
    ACCEPT = "accept"
    REACTIVATE = "reactivate"
    RENEW = "renew"
    ROTATE = "rotate"
    REPAIR = "repair"
    DELETE = "delete"
    ADOPT = "adopt"
    WAIT = "wait"
    KEEP = "keep"
    POLL = "poll"
    DONE = "done"


@dataclass(frozen=True)
class Found:
    """The server holds this Subscription."""

    resource: dict[str, Any]


@dataclass(frozen=True)
class Missing:
    """The server answered and has none; ``searched`` False: it cannot be searched."""

    searched: bool = True


@dataclass(frozen=True)
class Unreachable:
    """The server could not be asked; ``refused``: it does not let us look."""

    said: str
    refused: bool = False


Sight = Found | Missing | Unreachable


@dataclass(frozen=True)
class Case:
    """Everything about one Subscription.

    ``asked`` is the resource as we want it now (None: no way is left and polling
    remains); ``ways`` how many there are; ``retired``: it is to go.
    """

    asked: dict[str, Any] | None
    ways: int
    memory: Memory
    sight: Sight
    server_id: str | None = None
    retired: bool = False
    note: str = ""
    patience: timedelta = timedelta(minutes=5)
    trouble: str | None = None
    trouble_at: datetime | None = None
    recovered_at: datetime | None = None


@dataclass(frozen=True)
class Step:
    """The next action, its reason, and what is to be remembered of it.

    ``memory`` holds from now on, ``after`` once the server has done it, where that is
    another. ``trouble`` is noted where none is known; ``clear_trouble``: it is over.
    ``differences`` are what was seen.
    """

    action: Action
    reason: str
    memory: Memory
    after: Memory | None = None
    trouble: str | None = None
    clear_trouble: bool = False
    differences: tuple[Difference, ...] = field(default=())


def backoff(tries: int) -> timedelta:
    """Return how long to wait after so many tries in vain: 1 minute to 6 hours."""
    return min(FIRST_BACKOFF * int(4 ** min(max(tries - 1, 0), 9)), LONGEST_BACKOFF)


def make_step(
    case: Case,
    action: Action,
    reason: str,
    memory: Memory,
    next_at: datetime,
    *,
    alert: bool | None = None,
    trouble: str | None = None,
) -> Step:
    """Make a step; a person is alerted after some tries in vain."""
    alerted = memory.tries >= ALERT_AFTER if alert is None else alert
    kept = replace(
        memory, action=action.value, reason=reason, alert=alerted, next_at=next_at
    )
    noted = trouble if case.trouble is None else None
    return Step(action, reason, kept, trouble=noted)


def asking(
    case: Case, action: Action, reason: str, memory: Memory, now: datetime
) -> Step:
    """Make a step that asks the server for activation now."""
    return make_step(case, action, reason, replace(memory, asked_at=now), now)


def not_before(memory: Memory, now: datetime) -> datetime | None:
    """Return until when to wait after tries in vain; None when the wait is over."""
    if not memory.tries or memory.asked_at is None:
        return None
    until = memory.asked_at + backoff(memory.tries)
    return until if now < until else None


def is_due(memory: Memory, now: datetime) -> bool:
    """Tell whether the time of the next look has come."""
    return memory.next_at is None or memory.next_at <= now


def is_recovered(case: Case) -> bool:
    """Tell whether everything up to the trouble was read again."""
    if case.trouble_at is None or case.recovered_at is None:
        return False
    return case.recovered_at >= case.trouble_at


def is_over(case: Case) -> bool:
    """Tell whether the trouble of one that is active has ended.

    What its status told has; any other ends with our own re-activation.
    """
    if case.trouble is None or case.trouble_at is None or not is_recovered(case):
        return False
    asked = case.memory.reactivated_at
    return case.trouble in {"error", "off"} or (
        asked is not None and asked >= case.trouble_at
    )
