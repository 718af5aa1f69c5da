"""What one decision is about: the case of a patient and the step of a plan in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar, cast

from mappings.chart import Chart
from mappings.endpoint import Endpoint
from mappings.plan import Library, Plan, PlanAction
from mappings.preference import EngagementProfile, OwnRecord
from mappings.resource import Resource
from middleware.decisions.focus import Activity
from middleware.decisions.preference import compile_profile

Found = TypeVar("Found")


@dataclass(frozen=True)
class Case:
    """One patient at one instant. ``zones`` falls back to the site's for planning.

    ``known`` is what :meth:`once` remembers.
    """

    chart: Chart
    own: OwnRecord
    library: Library
    endpoint: Endpoint
    now: datetime
    profile: EngagementProfile
    zones: tuple[str, ...]
    known: dict[tuple[object, ...], Any] = field(
        default_factory=dict, compare=False, repr=False
    )

    def once(self, key: tuple[object, ...], find: Callable[[], Found]) -> Found:
        """Return what ``find`` finds, looked for once for all plans that ask the same.

        ``key`` names all that the answer depends on beside the case itself.
        """
        if key not in self.known:
            self.known[key] = find()
        return cast("Found", self.known[key])

    @property
    def zone(self) -> str:
        """Return the zone in which days are counted and times are written."""
        return self.zones[0]


@dataclass(frozen=True)
class Step:
    """One step of a plan for one focus and occasion.

    ``event`` is when the thing happened by its own dates; ``trigger`` and ``kind`` are
    the event's own resource and kind and ``changed`` when that changed, known only while
    an event is decided on. ``moved`` is when a person wants it to go.
    """

    case: Case
    plan: Plan
    action: PlanAction
    reference: str
    focus: Resource | None
    occasion: str
    recipient: str
    event: datetime
    activity: Activity | None = None
    trigger: Resource | None = None
    kind: str = ""
    changed: datetime | None = None
    moved: datetime | None = None

    @property
    def key(self) -> str:
        """Return what makes this message one and only one at its endpoint.

        The plan's version is left out: an update of the content sends nothing twice.
        So is whoever gets it: it is one message, though another may come to get it.
        """
        parts = (self.plan.id, self.action.id, self.reference, self.occasion)
        return "|".join((*parts, self.case.profile.patient))


def open_case(
    chart: Chart, own: OwnRecord, library: Library, endpoint: Endpoint, now: datetime
) -> Case:
    """Compile the profile and find the zones.

    Where the patient may be in several, days and times are the site's if that is one.
    """
    profile = compile_profile(chart, own, endpoint, now)
    here = endpoint.site.zone
    zones = profile.zones.value if profile.zones else (here,)
    if here in zones:
        zones = (here, *(zone for zone in zones if zone != here))
    return Case(chart, own, library, endpoint, now, profile, zones)
