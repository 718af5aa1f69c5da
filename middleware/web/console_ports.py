"""What the console is given by wiring: the only thing its pages are made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mappings.plan import Plan
from middleware.ports import Clock, Ids
from middleware.storage.database import Database

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class ConsolePorts:
    """The console's parts.

    ``clock`` is the product's time, ``wall`` the system's: a session ends by the
    latter, for the former may be moved. ``host`` is the configured name beside the
    loopback ones; ``plans``, ``topics`` and ``channels`` can be held; ``content_fault``
    says why content cannot be used, or ""; ``ready`` why the database cannot, or None;
    ``forward`` moves the simulated clock
    (next, hour, day) and says what happened, or is None where time is real.
    """

    database: Database
    clock: Clock
    wall: Clock
    ids: Ids
    wake: Callable[[str, int], None]
    host: str
    read_plans: Callable[[], tuple[Plan, ...]]
    content_fault: Callable[[], str]
    channels: tuple[str, ...]
    ready: Callable[[], str | None]
    forward: Callable[[str], str] | None = None

    @property
    def plans(self) -> tuple[Plan, ...]:
        """Return the plans in force at present."""
        return self.read_plans()

    @property
    def topics(self) -> tuple[str, ...]:
        """Return the topics of the plans, by name."""
        return tuple(sorted({plan.topic for plan in self.plans}))

    @property
    def hosts(self) -> frozenset[str]:
        """Return the host names that a request may ask for."""
        return LOOPBACK_NAMES | {self.host.lower()}
