"""How often: one budget across all plans and channels, the most valuable first.

Safety and visit messages are counted and never held by it; a visit plan says a thing at
most once a day. What is less urgent leaves room for what is more urgent and planned, so
that the ceiling holds whatever comes first. (Steiner 2021, JAMA Netw Open 4:e213479: ten
texts a year and more drive people to opt out.)
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from mappings.preference import ComingMessage, SentMessage
from middleware.decisions.timing import start_of_next_day

WEEK = timedelta(days=7)
YEAR = timedelta(days=365)
UNCOUNTED = frozenset({"reply"})
UNBLOCKED = frozenset({"safety", "appointment"})
CALLS = frozenset({"voice", "phone"})
# The most valuable first; what stands in one line is ranked by the plans themselves.
ORDER = (
    ("safety",),
    ("appointment",),
    ("post-discharge", "ed-followup"),
    ("results-available",),
    ("chronic-care", "medication", "care-plan"),
    ("preventive", "immunization"),
    ("survey",),
    ("education", "welcome"),
    ("social",),
    ("billing", "marketing"),
)
RANKS = {topic: rank for rank, line in enumerate(ORDER) for topic in line}
UNRANKED = RANKS["education"]
# Details that say something else than their reason does.
COMING = "a more urgent message is planned"
TODAY = "this was told about today"


@dataclass(frozen=True)
class Budget:
    """How many messages in a local day of ``zone``, in 7 and in 365 days.

    ``per_year`` limits discretionary written messages, ``calls_per_year`` automated
    calls.
    """

    zone: str
    per_day: int = 1
    per_week: int = 3
    per_year: int = 9
    calls_per_year: int = 1


@dataclass(frozen=True)
class Wait:
    """Until when a message waits, why, and the message that it waits for.

    ``coming`` tells that this one is planned and not sent yet.
    """

    until: datetime
    reason: str
    because: datetime
    coming: bool
    detail: str


def is_discretionary(topic: str) -> bool:
    """Tell whether the budget may hold messages of a topic."""
    return topic not in UNBLOCKED | UNCOUNTED


def rank_of(topic: str, priority: int) -> tuple[int, int]:
    """Return how valuable a message is, the least number first."""
    return RANKS.get(topic, UNRANKED), priority


def next_allowed(
    sent: Iterable[SentMessage],
    coming: Iterable[ComingMessage] = (),
    *,
    topic: str,
    priority: int,
    journey: tuple[str, str],
    budget: Budget,
    now: datetime,
    channel: str = "",
    counts: bool = True,
    beside: Collection[str] = (),
) -> Wait | None:
    """Return None when a message may go now, else what it waits for and until when.

    ``journey`` is its plan and focus, ``beside`` the ids of plans that share a bundle with
    it; ``counts`` False exempts a topic that may be.
    Answers to the patient are never counted.
    """
    if topic in UNCOUNTED:
        return None
    counted = [item for item in sent if item.topic not in UNCOUNTED]
    if topic in UNBLOCKED and not counts:
        return _said_today(counted, topic, journey, budget.zone, now)
    mine = rank_of(topic, priority)
    reserved = [item for item in coming if rank_of(item.topic, item.priority) < mine]
    room = _room(counted, reserved, budget, now, channel)
    alike = _same_topic(counted, topic, journey, beside)
    if not _is_recent(alike, now) and _has_room(room, now):
        return None
    until = _free(room, alike, now)
    if _is_recent(alike, now):
        detail = "a message about the same matter went out within a week"
        return Wait(until, "same-topic", max(alike), coming=False, detail=detail)
    if reserved and _has_room(_room(counted, (), budget, now, channel), now):
        first = min(item.due_at for item in reserved)
        return Wait(until, "limit-reached", first, coming=True, detail=COMING)
    return _spent(counted, until, now)


def _spent(sent: Iterable[SentMessage], until: datetime, now: datetime) -> Wait:
    last = max((item.sent_at for item in sent), default=now)
    detail = "as many messages as allowed went out"
    return Wait(until, "limit-reached", last, coming=False, detail=detail)


def _free(room: _Room, alike: Collection[datetime], now: datetime) -> datetime:
    """Return the first instant after ``now`` at which nothing stands in the way."""
    turns = {*_turns(room), *(item + WEEK for item in alike)}
    for item in sorted(turns):
        if item > now and not _is_recent(alike, item) and _has_room(room, item):
            return item
    return now + (YEAR if room.budget.per_week > 0 else WEEK)


def _said_today(
    sent: Iterable[SentMessage],
    topic: str,
    journey: tuple[str, str],
    zone: str,
    now: datetime,
) -> Wait | None:
    """Hold what a plan (or another system) said about visits on this local day."""
    said = [
        item.sent_at
        for item in sent
        if item.topic == topic
        and _day(item.sent_at, zone) == _day(now, zone)
        and (item.about is None or _plan(item.about[0]) == _plan(journey[0]))
    ]
    if topic == "safety" or not said:
        return None
    until = start_of_next_day(now, zone)
    return Wait(until, "limit-reached", max(said), coming=False, detail=TODAY)


def _plan(name: str) -> str:
    """Return a plan's id, given it or its url."""
    return name.rsplit("/", 1)[-1]


def _same_topic(
    sent: Iterable[SentMessage],
    topic: str,
    journey: tuple[str, str],
    beside: Collection[str],
) -> list[datetime]:
    """Return when this topic was spoken of, other than by a step of the same journey.

    What is about one stay, visit or care plan is one journey, whichever plan spoke; so is
    what one plan, or those of its bundle (``beside``), say about the whole patient.
    """
    plan, focus = _plan(journey[0]), journey[1]
    whole = focus.startswith("Patient/")

    def is_step(about: tuple[str, str, str] | None) -> bool:
        if about is None:
            return False
        return _plan(about[0]) in {plan, *beside} if whole else about[1] == focus

    return [
        item.sent_at for item in sent if item.topic == topic and not is_step(item.about)
    ]


def _is_recent(said: Collection[datetime], moment: datetime) -> bool:
    return any(timedelta(0) <= moment - item < WEEK for item in said)


@dataclass(frozen=True)
class _Room:
    """What is taken of the budget, sent or reserved: all, and what a year limits."""

    budget: Budget
    taken: tuple[datetime, ...]
    days: frozenset[date]
    year: tuple[datetime, ...]
    per_year: int


def _room(
    sent: Sequence[SentMessage],
    reserved: Sequence[ComingMessage],
    budget: Budget,
    now: datetime,
    channel: str,
) -> _Room:
    call = channel in CALLS
    ahead = [(max(item.due_at, now), item.topic) for item in reserved]
    taken = sorted([*(item.sent_at for item in sent), *(due for due, _ in ahead)])
    days = Counter(_day(item, budget.zone) for item in taken)
    year = [
        item.sent_at
        for item in sent
        if is_discretionary(item.topic) and (item.channel in CALLS) == call
    ]
    if not call:
        year += [due for due, topic in ahead if is_discretionary(topic)]
    return _Room(
        budget=budget,
        taken=tuple(taken),
        days=frozenset(day for day, many in days.items() if many >= budget.per_day),
        year=tuple(sorted(year)),
        per_year=budget.calls_per_year if call else budget.per_year,
    )


def _turns(room: _Room) -> Iterator[datetime]:
    """Yield the instants at which there may be room again."""
    for item in room.taken:
        yield item + WEEK
        midnight = start_of_next_day(item, room.budget.zone)
        yield from (midnight, midnight + WEEK)
    yield from (item + YEAR for item in room.year)


def _has_room(room: _Room, moment: datetime) -> bool:
    """Tell whether one more at ``moment`` breaks no limit, then or later."""
    budget = room.budget
    return (
        budget.per_day > 0
        and _day(moment, budget.zone) not in room.days
        and _fits(room.taken, moment, WEEK, budget.per_week)
        and _fits(room.year, moment, YEAR, room.per_year)
    )


def _fits(
    taken: Sequence[datetime], moment: datetime, span: timedelta, most: int
) -> bool:
    """Tell whether no stretch of this length around it has as many as allowed."""
    later = taken[bisect_right(taken, moment) :]
    ends = (moment, *(item for item in later if item < moment + span))
    return all(
        bisect_right(taken, end) - bisect_right(taken, end - span) < most
        for end in ends
    )


def _day(moment: datetime, zone: str) -> date:
    return moment.astimezone(ZoneInfo(zone)).date()
