"""The Subscriptions that an endpoint should have: chosen, wanted, rotated, retired.

What is wanted is a row; the controller brings the server there, whoever runs it: the
worker in its turn, or a command that waits for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from mappings.endpoint import Endpoint
from mappings.errors import CareCueError
from mappings.event import FOCUS_TYPES
from middleware.stages.context import StageContext
from middleware.stages.control import WORK, ControlPorts, control_one
from middleware.storage import controls, subscriptions
from middleware.storage.claims import claim
from middleware.storage.connecting import Tx
from middleware.storage.controls import ControlRow
from middleware.wiring.pipeline import stage_context
from middleware.wiring.runtime import Runtime
from subscriptions.case import PAUSE, Action
from subscriptions.memory import Memory, dump_memory, load_memory
from subscriptions.wanting import Wanted, dump_wanted, load_wanted

LOOK_SECONDS = 0.3
TURN_SECONDS = 60.0
STEADY = (Action.KEEP.value, Action.POLL.value, Action.DONE.value)


@dataclass(frozen=True)
class _Fresh:
    identifier: str
    hook_key: str
    sealed: bytes


def control_ports(
    runtime: Runtime, context: StageContext | None = None
) -> ControlPorts:
    """Make what the controller is given, with a context of its own where none is."""

    def seal(secrets: tuple[str, ...]) -> bytes:
        return runtime.sealer.seal("\n".join(secrets).encode())

    def open_secrets(sealed: bytes) -> tuple[str, ...]:
        return tuple(runtime.sealer.open(sealed).decode().split("\n"))

    return ControlPorts(context or stage_context(runtime), seal, open_secrets)


def want(
    runtime: Runtime,
    endpoint: Endpoint,
    wanted: Sequence[Wanted],
    types: Sequence[str] = FOCUS_TYPES,
) -> None:
    """Store what is wanted for some types; what was wanted before is retired."""
    now, ids = runtime.clock.now(), runtime.ids
    fresh = [
        _Fresh(ids.new(), ids.secret()[:32], runtime.sealer.seal(ids.secret().encode()))
        for _ in wanted
    ]
    with _alone(runtime, endpoint), runtime.database.tx() as tx:
        rows = controls.list_controls(tx, endpoint.id)
        known = {(r.resource_type, r.slot): r for r in rows if not r.retired}
        older = controls.list_uncontrolled(tx, endpoint.id)
        for item, new in zip(wanted, fresh, strict=True):
            row = known.pop((item.resource_type, item.slot), None)
            if row is not None:
                _change(tx, row, item, now)
                continue
            identifier = older.pop(item.resource_type, None)
            if identifier is None:
                _insert(tx, endpoint, item, new, now)
            _control(tx, identifier, new, item, now)
        for (kind, _), row in known.items():
            if kind in types:
                controls.retire_control(tx, row.id, now)


def settle(
    runtime: Runtime,
    endpoint: Endpoint,
    seconds: float,
    tell: Callable[[ControlRow], None],
) -> list[ControlRow]:
    """Run the controller until all is steady or the time is over; tell what changes.

    Returns the rows as they then are. The worker goes on with what is not steady.
    """
    ports, pause = control_ports(runtime), threading.Event()
    told: dict[str, str] = {}
    deadline = time.monotonic() + seconds
    while True:
        with claim(runtime.database, WORK, endpoint.id) as ours:
            for row in _rows(runtime, endpoint) if ours else ():
                if not _is_settled(row, runtime.clock.now()):
                    control_one(ports, endpoint, row.id)
        rows, now = _rows(runtime, endpoint), runtime.clock.now()
        for row in rows:
            reason = load_memory(row.memory).reason
            if told.get(row.id) != reason:
                told[row.id] = reason
                tell(row)
        if all(_is_settled(row, now) for row in rows) or time.monotonic() >= deadline:
            return rows
        pause.wait(LOOK_SECONDS)


def is_steady(row: ControlRow) -> bool:
    """Tell whether nothing is to be waited for: it works, or polling alone remains."""
    return not row.retired and load_memory(row.memory).action in STEADY


def _is_settled(row: ControlRow, now: datetime) -> bool:
    """Tell whether waiting longer would show nothing new."""
    memory = load_memory(row.memory)
    far = memory.next_at is not None and memory.next_at > now + PAUSE
    return is_steady(row) or (far and memory.action == Action.WAIT)


def rotate_secrets(runtime: Runtime, endpoint: Endpoint) -> int:
    """Make a new secret for each Subscription; the old one is accepted for a while.

    Returns for how many; one whose last rotation has not ended is left alone.
    """
    with _alone(runtime, endpoint):
        return sum(_rotate(runtime, row) for row in _rows(runtime, endpoint))


def _rotate(runtime: Runtime, row: ControlRow) -> bool:
    ports, now = control_ports(runtime), runtime.clock.now()
    memory = load_memory(row.memory)
    secrets = ports.open_secrets(row.secrets)
    if row.retired or row.server_id is None or len(secrets) > 1:
        return False
    sealed = ports.seal((runtime.ids.secret(), *secrets))
    kept = replace(memory, rotating=True, action="", next_at=now)
    with runtime.database.tx() as tx:
        subscriptions.update_subscription(tx, row.id, secrets=sealed)
        controls.save_memory(tx, row.id, dump_memory(kept), now)
    return True


def retire_all(runtime: Runtime, endpoint: Endpoint) -> None:
    """Want no Subscription of an endpoint any more."""
    now = runtime.clock.now()
    with _alone(runtime, endpoint), runtime.database.tx() as tx:
        for identifier in controls.list_uncontrolled(tx, endpoint.id).values():
            controls.insert_control(
                tx, identifier, identifier, dump_wanted(Wanted("", ())), {}, now
            )
        for row in controls.list_controls(tx, endpoint.id):
            controls.retire_control(tx, row.id, now)


@contextmanager
def _alone(runtime: Runtime, endpoint: Endpoint) -> Iterator[None]:
    """Change what is wanted while no controller is in the middle of a step."""
    pause, deadline = threading.Event(), time.monotonic() + TURN_SECONDS
    while time.monotonic() < deadline:
        with claim(runtime.database, WORK, endpoint.id) as ours:
            if ours:
                yield
                return
        pause.wait(LOOK_SECONDS)
    raise CareCueError(
        f"A worker is at work on the Subscriptions of {endpoint.id} for more than "
        f"{TURN_SECONDS:.0f} s. Nothing was changed; try again in a minute."
    )


def _rows(runtime: Runtime, endpoint: Endpoint) -> list[ControlRow]:
    with runtime.database.tx() as tx:
        return controls.list_controls(tx, endpoint.id)


def _change(tx: Tx, row: ControlRow, wanted: Wanted, now: datetime) -> None:
    """Look again at once; what is wanted otherwise than before begins anew."""
    memory = load_memory(row.memory)
    if load_wanted(row.wanted) != wanted:
        memory = Memory(
            begun=memory.begun,
            was_active=memory.was_active,
            accepted=(),
            asked_at=memory.asked_at,
            granted_at=memory.granted_at,
            rotating=memory.rotating,
            drop_old_at=memory.drop_old_at,
            abandoned=memory.abandoned,
        )
    elif memory.action == Action.POLL:
        memory = Memory(abandoned=memory.abandoned)
    kept = replace(memory, action="")
    stored = dump_wanted(wanted)
    controls.change_wanted(tx, row.id, stored, dump_memory(kept), now)


def _insert(
    tx: Tx, endpoint: Endpoint, wanted: Wanted, new: _Fresh, now: datetime
) -> None:
    way = wanted.ways[0] if wanted.ways else None
    row = subscriptions.SubscriptionRow(
        id=new.identifier,
        endpoint_id=endpoint.id,
        hook_key=new.hook_key,
        secrets=new.sealed,
        resource_type=wanted.resource_type,
        form=way.form if way else "none",
        criteria=(way.topic if way else None) or wanted.resource_type,
        server_id=None,
        status="requested",
        last_number=None,
        last_seen_at=None,
        created_at=now,
        channel=way.channel if way else "rest-hook",
        proof=wanted.proof.value,
    )
    subscriptions.insert_subscription(tx, row)


def _control(
    tx: Tx, identifier: str | None, new: _Fresh, wanted: Wanted, now: datetime
) -> None:
    """Put a subscription under control; one that was there before is compared."""
    memory = Memory() if identifier is None else Memory(begun=True, accepted=())
    controls.insert_control(
        tx,
        identifier or new.identifier,
        wanted.slot,
        dump_wanted(wanted),
        dump_memory(memory),
        now,
    )
