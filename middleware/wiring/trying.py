"""The dry run of a plan: stored events decided on again, with nothing sent or planned.

What the patients permitted counts as it stands now, what was sent to them as it stood
then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from mappings.chart import Chart
from mappings.endpoint import Endpoint
from mappings.event import DECIDED_AS, Event, EventKind
from mappings.instants import age_on
from mappings.nudge import Outcome
from mappings.plan import Library, Plan
from mappings.preference import OwnRecord
from middleware.decisions.candidate import Candidate
from middleware.decisions.deciding import decide_event
from middleware.decisions.foresight import foresee
from middleware.stages.people import own_records
from middleware.storage.replaying import list_stored
from middleware.storage.rollouts import insert_trial
from middleware.wiring.runtime import Runtime

SAMPLES = 3
BANDS = ((18, "under 18"), (40, "18 to 39"), (65, "40 to 64"), (200, "65 and over"))
OVERLAP_DAYS = 7


@dataclass
class Trial:
    """What a plan would have done; counts and sample words, no patient is named."""

    events: int = 0
    messages: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    ages: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    channels: Counter[str] = field(default_factory=Counter)
    overlap: Counter[str] = field(default_factory=Counter)
    difference: Counter[str] = field(default_factory=Counter)
    samples: list[str] = field(default_factory=list)
    people: set[str] = field(default_factory=set)

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        counts = ("outcomes", "ages", "languages", "channels", "overlap", "difference")
        return {
            "events": self.events,
            "messages": self.messages,
            "patients": len(self.people),
            "limited": self.outcomes["hold: limit-reached"],
            **{name: dict(sorted(getattr(self, name).items())) for name in counts},
            "samples": self.samples,
        }


def try_plan(
    runtime: Runtime,
    endpoint: Endpoint,
    live: Library,
    draft: Library,
    plan: Plan,
    since: datetime,
    by: str,
) -> dict[str, Any]:
    """Decide stored events by ``plan`` of ``draft`` and keep that it was tried."""
    trial = Trial()
    everybody = replace(endpoint, rollout={plan.id: 100}, governed=True)
    for event, chart, own in _stored(runtime, endpoint, plan, since):
        trial.events += 1
        parts = (event, chart, own)
        found = _candidates(parts, draft, plan.id, everybody)
        for item in foresee(found, chart, own, draft, everybody):
            _count(trial, item, own, chart, event)
        _compare(trial, found, _candidates(parts, live, plan.id, endpoint))
    result = trial.as_json()
    with runtime.database.tx() as tx:
        insert_trial(
            tx,
            id=runtime.ids.new(),
            endpoint_id=endpoint.id,
            plan=plan.id,
            version=plan.version,
            tried_at=runtime.clock.now(),
            tried_by=by,
            result={**result, "samples": []},
        )
    return result


def _stored(
    runtime: Runtime, endpoint: Endpoint, plan: Plan, since: datetime
) -> Iterator[tuple[Event, Chart, OwnRecord]]:
    kinds = [
        kind.value for kind in EventKind if DECIDED_AS.get(kind, kind) in plan.triggers
    ]
    after = 0
    while True:
        with runtime.database.tx() as tx:
            batch, after = list_stored(tx, endpoint.id, kinds, since, after)
            charts = {event.patient: chart for event, chart in batch}
            own = own_records(tx, endpoint.id, charts, runtime.clock.now())
        if not batch:
            return
        for event, chart in batch:
            known = own[event.patient]
            sent = tuple(s for s in known.sent if s.sent_at < event.received_at)
            yield event, chart, replace(known, sent=sent)


def _candidates(
    parts: tuple[Event, Chart, OwnRecord], library: Library, plan: str, where: Endpoint
) -> list[Candidate]:
    event, chart, own = parts
    found = decide_event(event, chart, own, library, where, event.received_at)
    return [item for item in found if item.plan.id == plan]


def _count(
    trial: Trial, item: Candidate, own: OwnRecord, chart: Chart, event: Event
) -> None:
    verdict = item.verdict
    word = "task" if item.kind == "task" else verdict.outcome.value
    trial.outcomes[f"{word}: {verdict.reason}"] += 1
    if verdict.outcome is not Outcome.SEND or item.kind != "message":
        return
    trial.messages += 1
    trial.people.add(event.patient)
    age = age_on(chart.patient.get("birthDate"), event.received_at.date())
    band = next((name for most, name in BANDS if age is not None and age < most), None)
    trial.ages[band or "unknown"] += 1
    trial.languages[item.language or "unknown"] += 1
    trial.channels[item.channel or "unknown"] += 1
    near = {
        sent.topic
        for sent in own.sent
        if abs((item.due_at - sent.sent_at).days) < OVERLAP_DAYS
    }
    trial.overlap.update(near)
    if len(trial.samples) < SAMPLES and item.text not in trial.samples:
        trial.samples.append(item.text)


def _compare(trial: Trial, draft: list[Candidate], live: list[Candidate]) -> None:
    """Count the steps for which draft and live plan come to another verdict."""
    before = {item.key: item.verdict for item in live}
    for item in draft:
        known = before.pop(item.key, None)
        if known is None:
            trial.difference["new"] += 1
        elif (known.outcome, known.reason) != (
            item.verdict.outcome,
            item.verdict.reason,
        ):
            trial.difference[f"{known.reason} -> {item.verdict.reason}"] += 1
        else:
            trial.difference["same"] += 1
    if before:
        trial.difference["gone"] += len(before)
