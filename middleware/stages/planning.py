"""What was decided, put into rows: one nudge per key, and every verdict with its facts.

The rows of a group of events go in a few statements, however many events there are. A
step that does not apply is counted and leaves no row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mappings.event import Event
from mappings.nudge import Nudge, Outcome
from middleware.decisions.deciding import Candidate
from middleware.decisions.planned import nudge_of
from middleware.stages.context import StageContext
from middleware.storage.connecting import Tx
from middleware.storage.decision_log import DecisionRow, insert_decisions
from middleware.storage.ledger import count_candidates
from middleware.storage.nudges import upsert_nudges
from middleware.storage.tasks import TaskRow

Made = tuple[Event, Candidate, Nudge | None]


@dataclass(frozen=True)
class Decided:
    """What came of one event: new candidates, and what was planned before, again.

    ``tasks`` are the open tasks of plans' steps, weighed again too.
    """

    event: Event
    candidates: Sequence[Candidate]
    again: Sequence[tuple[Nudge, Candidate]]
    tasks: Sequence[tuple[TaskRow, Candidate]] = ()


def keep_times(
    event: Event, candidates: Sequence[Candidate], planned: Sequence[Nudge]
) -> list[Candidate]:
    """Return the candidates; a mere look at the chart moves nothing that is planned.

    It would put off, with each look, what is planned for some days after one. What a
    person moved stays where it was put as long as its window is the same.
    """
    known = {nudge.key: nudge for nudge in planned}
    whole = event.focus == event.patient
    return [
        replace(item, due_at=nudge.due_at, expires_at=nudge.expires_at)
        if (nudge := known.get(f"{event.endpoint_id}|{item.key}")) is not None
        and (whole or _is_moved(nudge, item))
        else item
        for item in candidates
    ]


def _is_moved(nudge: Nudge, candidate: Candidate) -> bool:
    return nudge.moved_to is not None and nudge.expires_at == candidate.expires_at


def store_candidates(
    context: StageContext, tx: Tx, decided: Sequence[Decided], now: datetime
) -> None:
    """Store the verdict on each new candidate and, where it is due, its nudge."""
    made: list[Made] = [
        (item.event, candidate, _nudge(context, item.event, candidate, now))
        for item in decided
        for candidate in item.candidates
    ]
    nudges = [nudge for _, _, nudge in made if nudge is not None]
    known = upsert_nudges(tx, nudges, now) if nudges else {}
    _count(tx, made, known, now)
    rows = [
        DecisionRow(
            id=context.ids.new(),
            endpoint_id=event.endpoint_id,
            patient=event.patient,
            event_id=event.id,
            nudge_id=known[nudge.key] if nudge is not None else None,
            stage="decide",
            plan=candidate.plan.url,
            plan_version=candidate.plan.version,
            action=candidate.action.id,
            verdict=candidate.verdict,
            decided_at=now,
        )
        for event, candidate, nudge in made
        if candidate.verdict.outcome is not Outcome.NOT_DUE
    ]
    insert_decisions(tx, rows)


def _count(
    tx: Tx, made: Sequence[Made], known: Mapping[str, str], now: datetime
) -> None:
    """Count the candidates; one that another event made before is none anew."""
    counts: dict[tuple[str, int, str], tuple[int, int]] = {}
    for event, candidate, nudge in made:
        if nudge is not None and known[nudge.key] != nudge.id:
            continue
        place = (event.endpoint_id, event.shard, candidate.plan.url)
        every, idle = counts.get(place, (0, 0))
        idle += candidate.verdict.outcome is Outcome.NOT_DUE
        counts[place] = (every + 1, idle)
    count_candidates(tx, counts, now)


def _nudge(
    context: StageContext, event: Event, candidate: Candidate, now: datetime
) -> Nudge | None:
    if not candidate.is_planned:
        return None
    return nudge_of(context.ids.new(), event, candidate, now)
