"""CONTROL: bring each wanted Subscription to where it should be at its server.

The pure controller decides; here its steps are carried out. What is about to be asked
is committed before the server is asked, so that a handshake that comes before the
answer finds its row, and a stop between any two steps leads to the same end: a
Subscription that may have been created is looked for before another is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from mappings.endpoint import Endpoint
from mappings.errors import FhirError
from middleware.ports import FhirApi
from middleware.stages.attempting import attempt
from middleware.stages.context import StageContext
from middleware.stages.looking import look, read_heard
from middleware.storage import controls, endpoints, subscriptions
from middleware.storage.claims import claim
from middleware.storage.controls import Asked, ControlRow, Seen
from subscriptions.case import Action, Case, Found, Missing, Sight, Step
from subscriptions.comparing import read_terms, redact
from subscriptions.controller import decide
from subscriptions.memory import Memory, dump_memory, load_memory
from subscriptions.refusing import Refusal, read_refusal
from subscriptions.settling import Refused, settle_done, settle_refused, write_change
from subscriptions.wanting import Wanted, Way, load_wanted, write_way

WORK = "control"
LIFE = timedelta(days=90)
MOST_STEPS = 12
AFTER_FAULT = timedelta(minutes=1)
_UPDATES = frozenset(
    {
        Action.ACCEPT,
        Action.REACTIVATE,
        Action.RENEW,
        Action.ROTATE,
        Action.REPAIR,
    }
)
_WRITTEN = frozenset({Action.CREATE, Action.REPAIR})


@dataclass(frozen=True)
class ControlPorts:
    """What controlling needs beside the context; the newest secret comes first."""

    context: StageContext
    seal: Callable[[tuple[str, ...]], bytes]
    open_secrets: Callable[[bytes], tuple[str, ...]]


@dataclass(frozen=True)
class Subject:
    """One Subscription under control, with everything that its next step needs."""

    row: ControlRow
    wanted: Wanted
    way: Way | None
    memory: Memory
    url: str
    asked: dict[str, Any] | None
    secret: str
    heard: str | None


def control_subscriptions(ports: ControlPorts) -> None:
    """Look at every Subscription that is due; a fault of one stops no other."""
    with ports.context.database.tx() as tx:
        due = controls.list_due(tx, ports.context.clock.now())
    for endpoint_id, group in groupby(due, key=lambda pair: pair[0]):
        with claim(ports.context.database, WORK, endpoint_id) as ours:
            if ours:
                for _, identifier in group:
                    _attempt(ports, endpoint_id, identifier)


def control_one(ports: ControlPorts, endpoint: Endpoint, identifier: str) -> Step:
    """Take one Subscription as far as it goes now; return the last step.

    The caller has claimed the endpoint's control. Raises CareCueError.
    """
    for _ in range(MOST_STEPS):
        now = ports.context.clock.now()
        subject = _load(ports, identifier, now)
        base = f"{endpoint.fhir_base}{subject.wanted.suffix}"
        api = ports.context.fhir(replace(endpoint, fhir_base=base))
        step = _take_step(ports, api, subject, now)
        if step.memory.next_at is None or step.memory.next_at > now:
            return step
    return step


def _attempt(ports: ControlPorts, endpoint_id: str, identifier: str) -> None:
    context = ports.context

    def run() -> None:
        with context.database.tx() as tx:
            endpoint = endpoints.get_endpoint(tx, endpoint_id)
        if endpoint is not None:
            control_one(ports, endpoint, identifier)

    def postpone(error: Exception) -> None:
        now = context.clock.now()
        with context.database.tx() as tx:
            row = controls.get_control(tx, identifier)
            if row is not None:
                later = now + AFTER_FAULT
                kept = replace(
                    load_memory(row.memory),
                    reason=str(error),
                    alert=True,
                    next_at=later,
                )
                controls.save_memory(tx, identifier, dump_memory(kept), later)

    attempt(WORK, run, postpone)


def _load(ports: ControlPorts, identifier: str, now: datetime) -> Subject:
    """Read what is wanted and known, and drop an old secret whose time is over."""
    with ports.context.database.tx() as tx:
        row = controls.get_control(tx, identifier)
        if row is None:
            raise LookupError("a subscription without a control row")
        memory = load_memory(row.memory)
        secrets = ports.open_secrets(row.secrets)
        lost = memory.begun and row.server_id is None
        heard = controls.find_heard(tx, identifier) if lost else None
        if memory.drop_old_at is not None and memory.drop_old_at <= now:
            memory = replace(memory, drop_old_at=None)
            sealed = ports.seal(secrets[:1])
            subscriptions.update_subscription(tx, identifier, secrets=sealed)
            controls.save_memory(tx, identifier, dump_memory(memory), row.next_at)
    wanted = load_wanted(row.wanted)
    way = wanted.ways[memory.way] if memory.way < len(wanted.ways) else None
    if way is not None and not memory.heartbeat:
        way = replace(way, heartbeat=None)
    url = f"{ports.context.status_base}/hooks/{row.hook_key}"
    asked = (
        write_way(way, row.resource_type, url, secrets[0], now + LIFE) if way else None
    )
    named = read_heard(*heard) if heard else None
    return Subject(row, wanted, way, memory, url, asked, secrets[0], named or None)


def _take_step(
    ports: ControlPorts, api: FhirApi, subject: Subject, now: datetime
) -> Step:
    """Look, decide, commit, ask the server, and commit what came of it."""
    row = subject.row
    case = _read_case(api, subject)
    sight = case.sight
    step = decide(case, now)
    held = sight.resource if isinstance(sight, Found) else None
    _commit_decision(ports, subject, step, held, now)
    settled, server_id = _carry_out(api, subject, step, held, now)
    done = row.retired and step.action is Action.DONE
    final = replace(settled, next_at=None if done else settled.next_at)
    with ports.context.database.tx() as tx:
        controls.save_server_id(tx, row.id, server_id)
        controls.save_memory(tx, row.id, dump_memory(final), final.next_at)
    return replace(step, memory=final, action=Action(final.action))


def _read_case(api: FhirApi, subject: Subject) -> Case:
    """Look at the server, unless only polling is left, and put everything together."""
    row, memory, wanted = subject.row, subject.memory, subject.wanted
    sight: Sight = Missing()
    if subject.asked is not None or row.server_id is not None or row.retired:
        sight = look(
            api,
            row.server_id,
            subject.url,
            skipped=memory.abandoned,
            thorough=memory.begun,
            heard=subject.heard,
        )
    return Case(
        asked=subject.asked,
        ways=len(wanted.ways),
        memory=memory,
        sight=sight,
        server_id=row.server_id,
        retired=row.retired,
        note=wanted.note,
        patience=timedelta(seconds=wanted.patience),
        trouble=row.trouble,
        trouble_at=row.trouble_at,
        recovered_at=row.recovered_at,
    )


def _commit_decision(
    ports: ControlPorts,
    subject: Subject,
    step: Step,
    held: dict[str, Any] | None,
    now: datetime,
) -> None:
    row, way = subject.row, subject.way
    with ports.context.database.tx() as tx:
        controls.save_memory(tx, row.id, dump_memory(step.memory), now)
        if step.action in _WRITTEN and way and subject.asked:
            about = way.topic or row.resource_type
            shown = redact(subject.asked)
            asked = Asked(way.form, about, way.channel, shown)
            controls.save_asked(tx, row.id, asked)
        if step.action is Action.CREATE:
            subscriptions.update_subscription(tx, row.id, status="requested")
        if held is not None:
            controls.save_seen(tx, row.id, _seen(held, step))
        if step.trouble:
            controls.note_trouble(tx, row.id, step.trouble, now)
        if step.clear_trouble:
            controls.clear_trouble(tx, row.id, row.trouble_at)


def _seen(held: dict[str, Any], step: Step) -> Seen:
    return Seen(
        status=str(held.get("status")),
        accepted=redact(held),
        differences=tuple(item.sentence for item in step.differences),
        heartbeat=read_terms(held).numbers.get("heartbeat"),
    )


def _carry_out(
    api: FhirApi,
    subject: Subject,
    step: Step,
    held: dict[str, Any] | None,
    now: datetime,
) -> tuple[Memory, str | None]:
    """Ask the server; return the memory afterwards and its id of the Subscription."""
    row, asked = subject.row, subject.asked
    held_id = str(held["id"]) if held is not None else None
    try:
        if step.action is Action.CREATE and asked is not None:
            stored = api.send_create(asked, headers=_headers(subject))
            return settle_done(step, now), str(stored["id"])
        if step.action in _UPDATES and asked is not None and held is not None:
            version = (held.get("meta") or {}).get("versionId")
            api.send_update(write_change(step.action, asked, held), if_match=version)
            return settle_done(step, now), held_id
        if step.action is Action.DELETE:
            api.send_delete(f"Subscription/{held_id}")
            return settle_done(step, now), None
    except FhirError as error:
        refused = _refused(subject, step, error)
        memory = settle_refused(step, refused, now, held_id)
        deleted = step.action is Action.DELETE and refused.refusal is Refusal.GONE
        gone = held_id is None or held_id in memory.abandoned or deleted
        return memory, None if gone else held_id
    if step.action is Action.ADOPT:
        return step.memory, held_id
    return (
        step.memory,
        None if row.server_id in step.memory.abandoned else row.server_id,
    )


def _headers(subject: Subject) -> dict[str, str]:
    name = subject.wanted.secret_header
    return {name: subject.secret} if name else {}


def _refused(subject: Subject, step: Step, error: FhirError) -> Refused:
    refusal = read_refusal(
        error.status,
        error.outcome,
        writing=step.action is not Action.CREATE,
        heartbeat=subject.way is not None and subject.way.heartbeat is not None,
    )
    return Refused(refusal, error.message)
