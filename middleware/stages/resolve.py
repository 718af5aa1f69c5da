"""RESOLVE: read the focus and its versions from the EHR and name what happened.

A notification is only a hint: the resource's own history says which transitions there
were, so that nothing between two notifications is missed and an old version never
undoes a newer one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from mappings.endpoint import Endpoint
from mappings.errors import CareCueError
from mappings.event import FOCUS_TYPES
from middleware.decisions.retries import next_attempt
from middleware.ports import FhirApi
from middleware.stages.attempting import attempt
from middleware.stages.closing import PersonWork
from middleware.stages.context import StageContext
from middleware.stages.foci import FociWork
from middleware.stages.news import Focus
from middleware.stages.reconcile import Look, fetch_changed
from middleware.storage import blind, endpoints, inbox
from middleware.storage.shards import Held, check_epochs

BATCH = 40
# Between two searches for what notifications did not name.
BLIND_PAUSE = timedelta(seconds=2)


def step(context: StageContext, held: Held, now: datetime) -> int:
    """Resolve what is due in the shards; return how many inbox rows were handled."""
    with context.database.tx() as tx:
        items = inbox.list_inbox(tx, held, now, BATCH)
        if any(item.focus is None for item in items):
            check_epochs(tx, "resolve", held)
            blind.merge_blind(tx, held, now)
            blind.hold_blind(tx, held, now, BLIND_PAUSE)
            items = inbox.list_inbox(tx, held, now, BATCH)
        known = {row.id: row for row in endpoints.list_endpoints(tx)} if items else {}
    for endpoint_id in dict.fromkeys(item.endpoint_id for item in items):
        mine = [item for item in items if item.endpoint_id == endpoint_id]
        endpoint = known[endpoint_id]
        run = partial(_resolve_endpoint, context, endpoint, mine, held, now)
        attempt("resolve", run, partial(_postpone, context, held, now, mine))
    return len(items)


def _resolve_endpoint(
    context: StageContext,
    endpoint: Endpoint,
    items: Sequence[inbox.InboxItem],
    held: Held,
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
        expand = _Expand(api, endpoint, resource_type, group)
        _guard(context, group, held, now, expand)
    wanted = [name for name in foci if name.partition("/")[0] in FOCUS_TYPES]
    histories = api.fetch_many([f"{name}/_history" for name in wanted])
    read = [
        Focus(name, foci[name], history)
        for name, history in zip(wanted, histories, strict=True)
    ]
    postpone = partial(_postpone, context, held, now)
    work = FociWork(api, endpoint, read, lambda one, error: postpone(one.items, error))
    work.run(context, held, now)
    for name, group in foci.items():
        if name.startswith("Patient/"):
            person = PersonWork(api, endpoint, name, group)
            _guard(context, group, held, now, person)
        elif name not in wanted:
            _guard(context, group, held, now, _Foreign(group))


def _guard(
    context: StageContext,
    items: Sequence[inbox.InboxItem],
    held: Held,
    now: datetime,
    work: _Expand | PersonWork | _Foreign,
) -> None:
    """Run one piece of work; a fault postpones its rows and nobody else's."""
    run = partial(work.run, context, held, now)
    attempt("resolve", run, partial(_postpone, context, held, now, items))


@dataclass(frozen=True)
class _Expand:
    """Notifications without a focus: one search for what changed answers them all."""

    api: FhirApi
    endpoint: Endpoint
    resource_type: str | None
    items: Sequence[inbox.InboxItem]

    def run(self, context: StageContext, held: Held, now: datetime) -> None:
        """Turn them into one inbox row per changed resource."""
        types = [self.resource_type] if self.resource_type else FOCUS_TYPES
        fresh: list[inbox.NewItem] = []
        for resource_type in types:
            look = Look(context, self.api, self.endpoint, resource_type, "empty", now)
            found = fetch_changed(look, look.read_cursor())
            fresh.extend(look.write_items(found.resources))
        with context.database.tx() as tx:
            check_epochs(tx, "resolve", held)
            inbox.insert_inbox(tx, fresh)
            inbox.finish_inbox(tx, [item.id for item in self.items], now)
            blind.note_search(tx, self.endpoint.id, types, now)
        for woken in {item.shard for item in fresh}:
            context.wake("resolve", woken)


@dataclass(frozen=True)
class _Foreign:
    """A resource of a type that starts nothing here."""

    items: Sequence[inbox.InboxItem]

    def run(self, context: StageContext, held: Held, now: datetime) -> None:
        """Finish its rows without a look at it."""
        with context.database.tx() as tx:
            check_epochs(tx, "resolve", held)
            inbox.finish_inbox(tx, [item.id for item in self.items], now)


def _postpone(
    context: StageContext,
    held: Held,
    now: datetime,
    items: Sequence[inbox.InboxItem],
    error: CareCueError,
) -> None:
    with context.database.tx() as tx:
        check_epochs(tx, "resolve", held)
        for item in items:
            due = None if error.permanent else next_attempt(item.attempts, now)
            if due is None:
                inbox.kill_inbox(tx, item.id, error.message, now)
            else:
                inbox.retry_inbox(tx, item.id, due, error.message)
