"""The forecast: what a patient will be sent when nothing else happens.

Each message is looked at when its time comes, as DELIVER would; the days on which the
whole chart is looked at, and the care plan steps that are due, bring new ones, as DECIDE
would. With a chart that stays as it is, this is what then happens.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from mappings.chart import Chart
from mappings.endpoint import Endpoint
from mappings.event import Event, EventKind, suppose_event
from mappings.nudge import WAITING, Nudge, NudgeState, Outcome, Verdict
from mappings.plan import Library
from mappings.preference import ComingMessage, OwnRecord
from mappings.reference import reference_of
from middleware.decisions.candidate import Candidate
from middleware.decisions.deciding import decide_event, decide_nudge
from middleware.decisions.foresight import with_sent
from middleware.decisions.matching import find_action
from middleware.decisions.planned import nudge_of
from middleware.decisions.retries import LOOK_AGAIN

SOON = timedelta(seconds=1)


@dataclass(frozen=True)
class World:
    """What stays as it is while the forecast is made."""

    chart: Chart
    library: Library
    endpoint: Endpoint


@dataclass(frozen=True)
class Coming:
    """One message at its time: sent then, or ended for the reason of its verdict."""

    at: datetime
    nudge: Nudge
    candidate: Candidate


@dataclass
class _Line:
    """What waits for its time, and whatever was planned or sent so far."""

    world: World
    own: OwnRecord
    keys: set[str]
    heap: list[tuple[datetime, int, int, Nudge | Event]] = field(default_factory=list)
    count: Iterator[int] = field(default_factory=itertools.count)

    def wait(self, at: datetime, rank: int, item: Nudge | Event) -> None:
        heapq.heappush(self.heap, (at, rank, next(self.count), item))

    def beside(self) -> OwnRecord:
        """Return the record with what waits for its time as the messages to come."""
        nudges = [item for *_, item in self.heap if isinstance(item, Nudge)]
        coming = tuple(
            ComingMessage(item.key, item.due_at, item.topic, item.priority)
            for item in nudges
            if item.state is NudgeState.PLANNED or item.reason in WAITING
        )
        return replace(self.own, coming=coming)


def forecast(
    world: World,
    own: OwnRecord,
    planned: Iterable[Nudge],
    now: datetime,
    until: datetime,
    *,
    reviews: Sequence[datetime] = (),
) -> Iterator[Coming]:
    """Yield what is sent or ends between ``now`` and ``until``, in its order.

    ``planned`` are the open nudges of the patient, ``reviews`` the instants at which
    the whole chart is looked at.
    """
    known = list(planned)
    line = _Line(world, own, {nudge.key for nudge in known})
    for nudge in known:
        line.wait(max(nudge.due_at, now), nudge.priority, nudge)
    for at in reviews:
        line.wait(max(at, now), -1, _event(world, EventKind.PATIENT_REVIEW, at))
    while line.heap and line.heap[0][0] < until:
        at, _, _, item = heapq.heappop(line.heap)
        if isinstance(item, Event):
            _plan(line, item, at)
        else:
            yield from _look(line, item, at)


def _look(line: _Line, nudge: Nudge, at: datetime) -> Iterator[Coming]:
    """Look at one message in its turn; what is held waits for its next."""
    world = line.world
    _announce(line, nudge, at)
    chart = replace(world.chart, read_at=at)
    parts = (chart, line.beside(), world.library, world.endpoint, at)
    found = decide_nudge(nudge, *parts, at_send=True)
    verdict = found.verdict
    if verdict.outcome is Outcome.HOLD:
        if at < nudge.expires_at:
            again = max(verdict.until or at + LOOK_AGAIN, at + SOON)
            due = min(again, nudge.expires_at)
            line.wait(due, nudge.priority, _held(nudge, verdict, due))
            return
        late = Verdict(
            Outcome.CANCEL, "window-passed", verdict.facts, detail=verdict.reason
        )
        found = found.with_verdict(late)
    if verdict.outcome is Outcome.SEND and found.kind == "message":
        line.own = with_sent(line.own, found, at)
    yield Coming(at, nudge, found)


def _held(nudge: Nudge, verdict: Verdict, due: datetime) -> Nudge:
    if verdict.reason == "not-yet":
        return replace(nudge, due_at=due)
    return replace(nudge, state=NudgeState.HELD, reason=verdict.reason, due_at=due)


def _plan(line: _Line, event: Event, at: datetime) -> None:
    """Plan what an event asks for, as far as it is not planned already."""
    world = line.world
    chart = replace(world.chart, read_at=at)
    parts = (chart, line.own, world.library, world.endpoint, at)
    for item in decide_event(event, *parts):
        nudge = nudge_of(item.key, event, item, at)
        if item.is_planned and nudge.key not in line.keys:
            line.keys.add(nudge.key)
            line.wait(max(nudge.due_at, at), nudge.priority, nudge)


def _announce(line: _Line, nudge: Nudge, at: datetime) -> None:
    """Look at the whole care plan again when one of its steps is due."""
    found = find_action(line.world.library, nudge.plan, nudge.action)
    if found is not None and found[0].occasion == "activity":
        kind = EventKind.CAREPLAN_ACTIVITY_DUE
        _plan(line, _event(line.world, kind, at, focus=nudge.focus), at)


def _event(world: World, kind: EventKind, at: datetime, *, focus: str = "") -> Event:
    return suppose_event(
        kind, reference_of(world.chart.patient), world.endpoint.id, at, focus=focus
    )
