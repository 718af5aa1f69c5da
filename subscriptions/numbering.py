"""How one server numbers the events of one subscription: learned, never configured.

Pure. Numbers say that something may be missing, never that something is known already:
that is what keys are for. Whatever cannot be told apart counts as a reason to read
again. Sources: Subscriptions R5 Backport IG 1.1, error handling and notification types;
FHIR R5 Subscription, event numbering.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

# How long an event that was overtaken by others may be on its way.
WINDOW = timedelta(seconds=10)
# The event's digest is not known: it was found by reading again.
READ = "*"
_KEPT = 64
_MOST_HOLES = 50
_RESTARTS = 3
_ANNOUNCING = {"event-notification", "resource", "ping"}


class Mode(StrEnum):
    """What this server's event numbers are."""

    UNKNOWN = "unknown"
    MONOTONIC = "monotonic"
    RELATIVE = "bundle-relative"
    ZERO = "zero"
    ABSENT = "absent"


@dataclass(frozen=True)
class Told:
    """What one delivery, or one answer of the server, told.

    ``count`` is eventsSinceSubscriptionStart, ``numbers`` its events' own, ``digests``
    one for each of them: the same number need not be the same event.
    """

    at: datetime
    type: str
    count: int | None = None
    numbers: tuple[int, ...] = ()
    digests: tuple[str, ...] = ()

    @property
    def known_by(self) -> dict[int, str]:
        """Return each number's digest, as far as there are any."""
        return dict(zip(self.numbers, self.digests, strict=False))


@dataclass(frozen=True)
class Hole:
    """Numbers ``first`` to ``last`` that were not heard; ``tail`` when a count told."""

    first: int
    last: int
    since: datetime
    tail: bool = False


@dataclass(frozen=True)
class Numbering:
    """What is known of a subscription's numbers.

    ``highest`` is the highest that the server told of, ``recent`` the last numbers with
    their events' digests, ``restarts`` how many deliveries in a row began at one,
    ``reset_at`` when the numbers began anew and nothing was read again since.
    """

    mode: Mode = Mode.UNKNOWN
    highest: int | None = None
    highest_at: datetime | None = None
    holes: tuple[Hole, ...] = ()
    recent: tuple[tuple[int, str], ...] = ()
    restarts: int = 0
    reset_at: datetime | None = None

    @property
    def numbered(self) -> bool:
        """Tell whether a number names one event of the subscription."""
        return self.mode in {Mode.MONOTONIC, Mode.UNKNOWN}


def count_delivery(known: Numbering, told: Told) -> Numbering:
    """Return what is known after one more delivery.

    Handshakes, heartbeats and answers to queries bring events but count none; a
    handshake's count is never by itself a return to zero.
    """
    if told.type in _ANNOUNCING:
        counted = _count_events(known, told)
    elif known.numbered and any(told.numbers):
        read = replace(told, digests=(READ,) * len(told.numbers))
        counted = _hear(replace(known, mode=Mode.MONOTONIC), read)
    else:
        counted = known
    return _count_total(counted, told)


def list_due_holes(known: Numbering, now: datetime) -> tuple[Hole, ...]:
    """List the holes whose events can no longer be on their way."""
    return tuple(hole for hole in known.holes if now - hole.since >= WINDOW)


def close_holes(
    known: Numbering, until: datetime, within: tuple[int, int] | None = None
) -> Numbering:
    """Return what is known when all that was missing by ``until`` was read again.

    With ``within`` only those numbers were, both ends included, and a reset stays.
    """
    closed = [hole for hole in known.holes if _is_read(hole, until, within)]
    kept = tuple(hole for hole in known.holes if hole not in closed)
    recent = dict(known.recent)
    for hole in closed:
        first = max(hole.first, hole.last - _KEPT + 1)
        recent.update(dict.fromkeys(range(first, hole.last + 1), READ))
    reset = known.reset_at
    read = within is None and reset is not None and reset <= until
    return replace(
        known,
        holes=kept,
        recent=_keep(recent),
        reset_at=None if read else reset,
    )


def _is_read(hole: Hole, until: datetime, within: tuple[int, int] | None) -> bool:
    if hole.since > until:
        return False
    return within is None or (within[0] <= hole.first and hole.last <= within[1])


def _count_events(known: Numbering, told: Told) -> Numbering:
    highest = known.highest or 0
    if highest and told.numbers == (highest + 1,) and known.mode is Mode.MONOTONIC:
        return _go_on(known, told)
    numbers = sorted(set(told.numbers))
    if not numbers:
        unknown = known.mode is Mode.UNKNOWN
        return replace(known, mode=Mode.ABSENT) if unknown else known
    if numbers[-1] == 0:
        turned = known.mode is Mode.MONOTONIC
        reset = told.at if turned else known.reset_at
        holes = () if turned else known.holes
        return replace(known, mode=Mode.ZERO, holes=holes, reset_at=reset)
    if known.mode is Mode.RELATIVE:
        if numbers[0] == 1:
            return known
        known = replace(known, highest=numbers[-1], recent=(), reset_at=told.at)
    elif known.mode in {Mode.ABSENT, Mode.ZERO} and known.highest is None:
        known = replace(known, highest=numbers[0] - 1)
    known = replace(known, mode=Mode.MONOTONIC)
    if _repeats(known, told):
        return known
    restarts = known.restarts + 1 if numbers[0] == 1 else 0
    if restarts >= _RESTARTS:
        return Numbering(
            Mode.RELATIVE, told.count, told.at, reset_at=known.reset_at or told.at
        )
    return replace(_judge(known, told, numbers), restarts=restarts)


def _go_on(known: Numbering, told: Told) -> Numbering:
    """Take in the next number: what nearly every delivery brings, so it is short."""
    number, digest = told.numbers[0], told.digests[0] if told.digests else ""
    recent = (*known.recent[1 - _KEPT :], (number, digest))
    return replace(known, highest=number, highest_at=told.at, recent=recent, restarts=0)


def _repeats(known: Numbering, told: Told) -> bool:
    """Tell whether these very events were counted already."""
    recent, digests = dict(known.recent), told.known_by
    return all(
        number in digests and recent.get(number) == digests[number]
        for number in told.numbers
    )


def _judge(known: Numbering, told: Told, numbers: list[int]) -> Numbering:
    """Count the numbers, or begin anew where they cannot be those of before."""
    highest, recent, digests = known.highest or 0, dict(known.recent), told.known_by
    strange = [
        number
        for number in numbers
        if number <= highest
        and recent.get(number, "") not in {digests.get(number), READ}
        and not any(hole.first <= number <= hole.last for hole in known.holes)
    ]
    if not strange:
        return _hear(known, told)
    if numbers[-1] > highest:
        return replace(_hear(known, told), reset_at=told.at)
    anew = Numbering(Mode.MONOTONIC, 0, told.at, reset_at=told.at)
    return _hear(anew, told)


def _hear(known: Numbering, told: Told) -> Numbering:
    """Take in numbers: fill holes, open new ones, go on from the highest."""
    highest, holes, recent = known.highest or 0, known.holes, dict(known.recent)
    digests = told.known_by
    for number in sorted(set(told.numbers) - {0}):
        if number > highest:
            if number > highest + 1:
                holes = (*holes, Hole(highest + 1, number - 1, told.at))
            highest = number
        holes = tuple(part for hole in holes for part in _without(hole, number))
        digest = digests.get(number, "")
        recent[number] = recent.get(number, READ) if digest == READ else digest
    moved = highest != known.highest
    return replace(
        known,
        highest=highest,
        highest_at=told.at if moved else known.highest_at,
        holes=_merge(holes),
        recent=_keep(recent),
    )


def _without(hole: Hole, number: int) -> tuple[Hole, ...]:
    if not hole.first <= number <= hole.last:
        return (hole,)
    parts = (replace(hole, last=number - 1), replace(hole, first=number + 1))
    return tuple(part for part in parts if part.first <= part.last)


def _merge(holes: tuple[Hole, ...]) -> tuple[Hole, ...]:
    """Make one of the oldest where there are too many: asking for more is harmless."""
    while len(holes) > _MOST_HOLES:
        one, two = holes[0], holes[1]
        first, last = min(one.first, two.first), max(one.last, two.last)
        since = max(one.since, two.since)
        holes = (Hole(first, last, since, one.tail and two.tail), *holes[2:])
    return holes


def _keep(recent: dict[int, str]) -> tuple[tuple[int, str], ...]:
    return tuple(sorted(recent.items())[-_KEPT:])


def _count_total(known: Numbering, told: Told) -> Numbering:
    """Compare the server's own count with what was heard."""
    count, highest = told.count, known.highest
    if count is None:
        return known
    if highest is None and not known.numbered:
        return replace(known, highest=count, highest_at=told.at)
    highest = highest or 0
    unnumbered = told.type in _ANNOUNCING and not known.numbered
    if unnumbered and count <= highest:
        holes = tuple(part for hole in known.holes for part in _without(hole, count))
        return replace(known, holes=holes)
    if count > highest:
        counted = replace(known, highest=count, highest_at=told.at)
        if unnumbered:
            return counted
        hole = Hole(highest + 1, count, told.at, tail=True)
        return replace(counted, holes=_merge((*known.holes, hole)))
    if count == 0 or told.type == "handshake" or told.type in _ANNOUNCING:
        return known
    late = known.highest_at is not None and told.at - known.highest_at < WINDOW
    if count == highest or late or not known.numbered:
        return known
    return Numbering(known.mode, count, told.at, reset_at=told.at)
