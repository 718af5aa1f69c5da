"""Setting and releasing a hold from the console, audited, with what was done said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from middleware.ports import Clock, Ids
from middleware.storage import audit, settling, switches
from middleware.storage.database import Database

SCOPES = ("plan", "topic", "endpoint", "channel", "all")


class Holding(Protocol):
    """What holding needs of the console's ports."""

    @property
    def database(self) -> Database:
        """Return the database."""
        ...

    @property
    def clock(self) -> Clock:
        """Return the clock."""
        ...

    @property
    def ids(self) -> Ids:
        """Return what makes identifiers."""
        ...

    @property
    def wake(self) -> Callable[[str, int], None]:
        """Return what wakes a shard."""
        ...


def hold_target(
    ports: Holding, scope: str, target: str, reason: str, person: str
) -> str:
    """Hold a plan, topic, endpoint, channel or all; return what to tell the person."""
    if scope not in SCOPES or not target or not reason:
        return "Nothing was held: choose what to hold and say why."
    now = ports.clock.now()
    with ports.database.tx() as tx:
        fresh = switches.set_switch(
            tx,
            id=ports.ids.new(),
            scope=scope,
            target=target,
            reason=reason,
            set_by=person,
            now=now,
        )
        if fresh:
            audit.insert_audit(
                tx,
                person,
                "hold",
                now,
                subject=f"{scope}:{target}",
                detail={"reason": reason},
            )
    return f"Held: {scope} {target}." if fresh else f"{scope} {target} was held already."


def release_target(ports: Holding, scope: str, target: str, person: str) -> str:
    """Release a hold and let what waited be looked at again."""
    now = ports.clock.now()
    with ports.database.tx() as tx:
        released = switches.release_switch(
            tx, scope=scope, target=target, released_by=person, now=now
        )
        shards = settling.look_again(tx, "switched-off", now) if released else []
        if released:
            audit.insert_audit(
                tx, person, "release", now, subject=f"{scope}:{target}"
            )
    for shard in shards:
        ports.wake("deliver", shard)
    return f"Released: {scope} {target}." if released else "There was no such hold."
