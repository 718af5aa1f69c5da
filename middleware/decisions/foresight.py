"""What becomes of planned messages when nothing changes: each is looked at in its turn.

A message that goes counts against the limits of those after it, as it would in fact.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from mappings.chart import Chart
from mappings.endpoint import Endpoint
from mappings.event import EventKind, suppose_event
from mappings.nudge import Nudge, Outcome
from mappings.plan import Library
from mappings.preference import ComingMessage, OwnRecord, SentMessage
from middleware.decisions.candidate import Candidate
from middleware.decisions.deciding import decide_nudge
from middleware.decisions.planned import nudge_of


def foresee(
    candidates: Iterable[Candidate],
    chart: Chart,
    own: OwnRecord,
    library: Library,
    endpoint: Endpoint,
) -> Iterator[Candidate]:
    """Yield each candidate as it will stand at its own time, the earliest first.

    The chart stays as it is. What is not to be sent is handed on as it is; a message
    that the limits hold at its time comes out as HOLD with the next time to look.
    """
    waiting = [item for item in candidates if _goes(item)]
    yield from (item for item in candidates if not _goes(item))
    waiting.sort(key=lambda one: (one.due_at, one.plan.priority))
    for place, item in enumerate(waiting, start=1):
        coming = tuple(_coming(later, endpoint) for later in waiting[place:])
        beside = replace(own, coming=coming)
        found = look_ahead(item, chart, beside, library, endpoint)
        if _goes(found):
            own = with_sent(own, found, item.due_at)
        yield found


def look_ahead(
    item: Candidate,
    chart: Chart,
    own: OwnRecord,
    library: Library,
    endpoint: Endpoint,
) -> Candidate:
    """Return the candidate as the gate will see it at its own time."""
    later = replace(chart, read_at=item.due_at)
    found = decide_nudge(
        _nudge(item, endpoint), later, own, library, endpoint, item.due_at, at_send=True
    )
    until = found.verdict.until
    due = item.due_at if _goes(found) else until or found.due_at
    return replace(found, due_at=due, occasion=item.occasion)


def with_sent(own: OwnRecord, item: Candidate, at: datetime) -> OwnRecord:
    """Return the record in which this message was sent too."""
    about = (item.plan.url, item.focus, item.occasion)
    message = SentMessage(at, item.plan.topic, item.channel or "", about=about)
    return replace(own, sent=(*own.sent, message))


def _coming(item: Candidate, endpoint: Endpoint) -> ComingMessage:
    key = f"{endpoint.id}|{item.key}"
    return ComingMessage(key, item.due_at, item.plan.topic, item.plan.priority)


def _goes(item: Candidate) -> bool:
    return item.kind == "message" and item.verdict.outcome is Outcome.SEND


def _nudge(item: Candidate, endpoint: Endpoint) -> Nudge:
    event = suppose_event(
        EventKind.PATIENT_REVIEW,
        item.recipient,
        endpoint.id,
        item.due_at,
        focus=item.focus,
    )
    return nudge_of(item.key, event, item, item.due_at)
