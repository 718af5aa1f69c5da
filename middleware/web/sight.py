"""What the overview has read, and what is wrong in it: the values that pages show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from middleware.storage.circuits import CircuitRow
from middleware.web.endpoint_row import EndpointRow

SILENT = timedelta(minutes=2)


@dataclass(frozen=True)
class Act:
    """A link that leads to what mends it."""

    label: str
    href: str


@dataclass(frozen=True)
class Problem:
    """One sentence, a short name, the effect on patients and what to do."""

    tone: str
    short: str
    sentence: str
    effect: str
    act: Act | None = None


@dataclass(frozen=True)
class Sight:
    """What is judged; ``holds`` in words, ``periodic`` fault by name of the work.

    ``passed_over`` counts resources of the last week that led to no event, by
    (endpoint id, note). ``left_alone`` are the channels and EHRs that failed in a row,
    ``ending`` the plans that retire soon, or have, with the days left; ``content`` why
    the content cannot be used, or "".
    """

    now: datetime
    endpoints: tuple[EndpointRow, ...]
    last_tick: datetime | None
    restore_unchecked: bool
    holds: tuple[str, ...]
    all_held: bool
    replies: int
    tasks: int
    dead: int
    failed: int
    waiting: int
    periodic: Mapping[str, str]
    passed_over: Mapping[tuple[str, str], int]
    left_alone: tuple[CircuitRow, ...]
    ending: Mapping[str, int] = field(default_factory=dict)
    content: str = ""

    @property
    def worker_silent(self) -> bool:
        """Tell whether no worker has ticked for two minutes."""
        return self.last_tick is None or self.now - self.last_tick > SILENT
