"""What the controller remembers of one Subscription between two looks at it.

Pure. All of it is kept in one JSON object; instants are aware.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from mappings.instants import read_instant, write_instant

NO_WAY = 1000
_INSTANTS = ("asked_at", "granted_at", "reactivated_at", "next_at", "drop_old_at")


@dataclass(frozen=True)
class Memory:
    """One Subscription's past, as far as the next action needs it.

    ``way`` is the position in the list of ways (NO_WAY: none is tried); ``heartbeat`` False once it was
    refused. ``begun``: a create may have gone out. ``was_active`` since that create.
    ``accepted`` are the differences that were accepted (None: not compared yet).
    ``asked_at``: when activation was last asked for; ``tries`` how often in vain;
    ``granted_at``: when its present life began.
    ``rotating``: a new secret is to be written; ``drop_old_at`` when the old one ends.
    ``abandoned`` are ids that the server lets nobody change or delete. ``action``,
    ``reason``, ``alert`` and ``next_at`` are the last decision.
    """

    way: int = 0
    heartbeat: bool = True
    begun: bool = False
    was_active: bool = False
    accepted: tuple[str, ...] | None = None
    asked_at: datetime | None = None
    granted_at: datetime | None = None
    reactivated_at: datetime | None = None
    tries: int = 0
    rotating: bool = False
    drop_old_at: datetime | None = None
    abandoned: tuple[str, ...] = ()
    action: str = ""
    reason: str = ""
    alert: bool = False
    next_at: datetime | None = None


def dump_memory(memory: Memory) -> dict[str, Any]:
    """Return a JSON object that ``load_memory`` reads."""
    stored = asdict(memory)
    for name in _INSTANTS:
        instant = getattr(memory, name)
        stored[name] = write_instant(instant) if instant else None
    return stored


def load_memory(stored: Mapping[str, Any]) -> Memory:
    """Read what ``dump_memory`` wrote; an empty object is a fresh memory."""
    values = dict(stored)
    for name in _INSTANTS:
        if values.get(name):
            values[name] = read_instant(values[name])
    for name in ("accepted", "abandoned"):
        if values.get(name) is not None:
            values[name] = tuple(values[name])
    return Memory(**values)
