"""RESOLVE: read the focus and its versions from the EHR and name what happened.

A notification is only a hint: the resource's own history says which transitions there
were, so that nothing between two notifications is missed and an old version never
undoes a newer one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from mappings.chart import Chart
from mappings.endpoint import Endpoint
from mappings.errors import CareCueError, FhirError
from mappings.event import FOCUS_TYPES, Event, FocusState, Transition
from mappings.reference import focus_patient
from middleware.decisions.retries import next_attempt
from middleware.decisions.transitions import match_transitions
from middleware.ports import FhirApi, SearchResult
from middleware.stages.attempting import attempt
from middleware.stages.charts import fetch_chart, is_passing
from middleware.stages.context import StageContext
from middleware.stages.reconcile import fetch_changed
from middleware.storage import blind, endpoints, events, inbox, people
from middleware.storage.connecting import Tx
from middleware.storage.ids import shard_of
from middleware.storage.rows import end_rows
from middleware.storage.shards import check_epoch

BATCH = 40
# After so many failures the present version alone is better than nothing.
HISTORY_TRIES = 5
NAMES_NOBODY = "the resource names no patient, so there is nobody to decide for"


@dataclass(frozen=True)
class Resolved:
    """What one focus came to: its transitions, the new state and the chart."""

    items: tuple[inbox.InboxItem, ...]
    patient: str | None
    transitions: tuple[Transition, ...]
    state: FocusState | None
    chart: Chart | None


def step(context: StageContext, shard: int, epoch: int, now: datetime) -> int:
    """Resolve what is due in this shard; return how many inbox rows were handled."""
    with context.database.tx() as tx:
        items = inbox.list_inbox(tx, shard, now, BATCH)
        if any(item.focus is None for item in items):
            check_epoch(tx, "resolve", shard, epoch)
            blind.merge_blind(tx, shard, now)
            items = inbox.list_inbox(tx, shard, now, BATCH)
        known = {row.id: row for row in endpoints.list_endpoints(tx)}
    for endpoint_id in dict.fromkeys(item.endpoint_id for item in items):
        mine = [item for item in items if item.endpoint_id == endpoint_id]
        endpoint = known[endpoint_id]
        run = partial(_resolve_endpoint, context, endpoint, mine, shard, epoch, now)
        attempt("resolve", run, partial(_postpone, context, mine, shard, epoch, now))
    return len(items)


def _resolve_endpoint(
    context: StageContext,
    endpoint: Endpoint,
    items: Sequence[inbox.InboxItem],
    shard: int,
    epoch: int,
    now: datetime,
) -> None:
    api = context.fhir(endpoint)
    searches = [item for item in items if item.focus is None]
    foci: dict[str, list[inbox.InboxItem]] = {}
    for item in items:
        if item.focus is not None:
            foci.setdefault(item.focus, []).append(item)
    for resource_type in dict.fromkeys(item.resource_type for item in searches):
        group = [item for item in searches if item.resource_type == resource_type]
        work = _Expand(api, endpoint, resource_type, group)
        _guard(context, group, shard, epoch, now, work)
    wanted = [name for name in foci if name.partition("/")[0] in FOCUS_TYPES]
    histories = api.fetch_many([f"{name}/_history" for name in wanted])
    answers = dict(zip(wanted, histories, strict=True))
    for name, group in foci.items():
        focus = _Focus(api, endpoint, name, group, answers.get(name))
        _guard(context, group, shard, epoch, now, focus)


def _guard(
    context: StageContext,
    items: Sequence[inbox.InboxItem],
    shard: int,
    epoch: int,
    now: datetime,
    work: _Expand | _Focus,
) -> None:
    """Run one piece of work; a fault postpones its rows and nobody else's."""
    run = partial(work.run, context, shard, epoch, now)
    attempt("resolve", run, partial(_postpone, context, items, shard, epoch, now))


@dataclass(frozen=True)
class _Expand:
    """Notifications without a focus: one search for what changed answers them all."""

    api: FhirApi
    endpoint: Endpoint
    resource_type: str | None
    items: Sequence[inbox.InboxItem]

    def run(self, context: StageContext, shard: int, epoch: int, now: datetime) -> None:
        """Turn them into one inbox row per changed resource."""
        types = [self.resource_type] if self.resource_type else FOCUS_TYPES
        fresh: list[inbox.NewItem] = []
        for resource_type in types:
            found = fetch_changed(
                context, self.api, self.endpoint, resource_type, "empty", now
            )
            fresh.extend(found.items)
        with context.database.tx() as tx:
            check_epoch(tx, "resolve", shard, epoch)
            inbox.insert_inbox(tx, fresh)
            inbox.finish_inbox(tx, [item.id for item in self.items], now)
        for woken in {item.shard for item in fresh}:
            context.wake("resolve", woken)


@dataclass(frozen=True)
class _Focus:
    """One focus with all the rows that mention it."""

    api: FhirApi
    endpoint: Endpoint
    name: str
    items: Sequence[inbox.InboxItem]
    history: SearchResult | None

    def run(self, context: StageContext, shard: int, epoch: int, now: datetime) -> None:
        """Name the transitions of this focus and store them as events."""
        if self.history is None:
            with context.database.tx() as tx:
                check_epoch(tx, "resolve", shard, epoch)
                inbox.finish_inbox(tx, [item.id for item in self.items], now)
            return
        with context.database.tx() as tx:
            before = events.get_focus_state(tx, self.endpoint.id, self.name)
            known = people.get_focus_patient(tx, self.endpoint.id, self.name)
        versions = self._versions()
        transitions, after = match_transitions(before, versions)
        patient = _patient_of(versions, self.endpoint.fhir_base) or known
        chart = None
        if transitions and patient is not None:
            chart = fetch_chart(
                self.api, context.library(self.endpoint), patient, now, focus=self.name
            )
        found = Resolved(tuple(self.items), patient, tuple(transitions), after, chart)
        with context.database.tx() as tx:
            check_epoch(tx, "resolve", shard, epoch)
            woken = _store(context, tx, self.endpoint, found, now)
        for number in woken:
            context.wake("decide", number)

    def _versions(self) -> tuple[dict[str, Any], ...]:
        """Return the versions, oldest first; the current one alone if need be."""
        history = self.history
        if history is not None and history.complete:
            return history.resources
        if history is not None and is_passing(history) and not self._patience_ends():
            raise FhirError(
                "the history of this resource could not be read; nothing was passed "
                "over; it is tried again"
            )
        try:
            return (self.api.fetch(self.name),)
        except FhirError as error:
            if error.status == 410:
                kind, _, identifier = self.name.partition("/")
                return ({"resourceType": kind, "id": identifier, "_deleted": True},)
            raise

    def _patience_ends(self) -> bool:
        return max(item.attempts for item in self.items) >= HISTORY_TRIES


def _patient_of(versions: Sequence[dict[str, Any]], base: str) -> str | None:
    """Return whom the newest version names; a patient of another server is nobody."""
    for version in reversed(versions):
        patient = focus_patient(version, base)
        if patient:
            return patient
    return None


def _store(
    context: StageContext, tx: Tx, endpoint: Endpoint, found: Resolved, now: datetime
) -> set[int]:
    woken: set[int] = set()
    first = found.items[0]
    for transition in found.transitions:
        if found.patient is None or found.chart is None:
            continue
        event = Event(
            id=context.ids.new(),
            key=f"{endpoint.id}|{transition.reference}|{transition.version}|"
            f"{transition.kind.value}",
            endpoint_id=endpoint.id,
            kind=transition.kind,
            patient=found.patient,
            shard=shard_of(endpoint.id, found.patient),
            focus=transition.reference,
            focus_version=transition.version,
            occurred_at=transition.occurred_at,
            received_at=first.received_at,
        )
        events.insert_event(
            tx,
            event,
            source=first.source,
            inbox_id=first.id,
            chart=found.chart,
            due_at=now,
        )
        woken.add(event.shard)
    if found.state is not None:
        events.put_focus_state(tx, endpoint.id, found.state, found.patient)
    ids = [item.id for item in found.items]
    nobody = bool(found.transitions) and found.patient is None
    end_rows(tx, "inbox", ids, "done", now, error=NAMES_NOBODY if nobody else None)
    return woken


def _postpone(
    context: StageContext,
    items: Sequence[inbox.InboxItem],
    shard: int,
    epoch: int,
    now: datetime,
    error: CareCueError,
) -> None:
    with context.database.tx() as tx:
        check_epoch(tx, "resolve", shard, epoch)
        for item in items:
            due = None if error.permanent else next_attempt(item.attempts, now)
            if due is None:
                inbox.kill_inbox(tx, item.id, error.message, now)
            else:
                inbox.retry_inbox(tx, item.id, due, error.message)
