"""Plans: the values that a PlanDefinition (type eca-rule) is read into.

Reading lives in :mod:`mappings.content`; evaluating in ``middleware.decisions``.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mappings.resource import Coding

NS = "https://carecue.example.org/fhir"
TOPIC = f"{NS}/CodeSystem/topic"


@dataclass(frozen=True)
class Condition:
    """A FHIRPath condition.

    ``reason`` (Expression.name) is the code given when an applicability condition is
    false, or when a stop condition is true.
    """

    expression: str
    reason: str
    sentence: str


@dataclass(frozen=True)
class Timing:
    """When an action is due.

    ``anchor``: event (the instant that the focus tells of: a stay's end, a visit's
    start), change (the instant at which it changed), focus-start (Appointment.start),
    activity-due (10 in the morning of the CarePlan activity's day) or business-day
    (the end of the n-th business day after the event, n being the offset in days; part
    of a day is counted back from that end). ``offset_hours`` is added (negative =
    before). ``window_hours``: after due + this it is never sent.
    """

    anchor: str
    offset_hours: float
    window_hours: float


@dataclass(frozen=True)
class StepWords:
    """What people read of a step, in one language: its title and two sentences."""

    title: str
    why: str
    stops_if: str

    @property
    def whole(self) -> bool:
        """Tell whether nothing is missing; a step is never said in two languages."""
        return bool(self.title and self.why and self.stops_if)


@dataclass(frozen=True)
class PlanAction:
    """One step of a plan. ``kind`` message or task (a staff Task).

    ``other_channel``: it goes by none of the channels that the steps before it used.
    A task's ``priority`` is a FHIR request priority, ``text`` what staff are asked and
    ``owner`` the role that is asked (ActivityDefinition.participant.role). It is
    ``asked`` at-once, to be done by when it is due, or when-due, if by then it still
    holds, to be done by the next close of business. ``translated`` are its title and
    sentences in other languages, by language tag in lower case.
    """

    id: str
    title: str
    kind: str
    timing: Timing
    conditions: tuple[Condition, ...]
    stops: tuple[Condition, ...]
    definition: str
    why: str
    stops_if: str
    priority: str = "routine"
    text: str = ""
    owner: str = ""
    other_channel: bool = False
    asked: str = "at-once"
    translated: Mapping[str, StepWords] = field(default_factory=dict)

    @property
    def waits(self) -> bool:
        """Tell whether staff are asked later, when it is due."""
        return self.kind == "task" and self.asked == "when-due"


@dataclass(frozen=True)
class Plan:
    """A versioned plan.

    ``url`` and ``version`` identify it; lower ``priority`` is more urgent; ``data`` are
    the resource types it needs, as search queries with ``{patient}``; ``counts`` False
    exempts it from the weekly limit.

    ``occasion`` says what tells two messages of one plan apart: focus (one per focus),
    start (one per start of a visit), activity (one per care plan step and day), goal
    (one per goal and target day), supply (one per prescription and day on which its
    supply ends), month (one per focus and month) or, of the whole patient: year,
    interval (one per ``interval_days``,
    counted from the last message), birthday or patient (once). ``trigger_conditions``
    hold for one trigger only.

    Plans of one ``bundle`` whose steps fall together go out as one message.
    ``default_on`` False leaves the plan off until the site switches it on. ``sensitive``
    says what a sensitive matter turns a message into: staff (a person decides) or
    generic (the wording that reveals nothing). ``about`` are the codes of what it is
    about (useContext of the kind focus), such as a pregnancy. ``language`` is that of
    its title and sentences; ``titles`` are the title in others.
    """

    url: str
    version: str
    id: str
    title: str
    topic: str
    triggers: tuple[str, ...]
    actions: tuple[PlanAction, ...]
    data: tuple[str, ...]
    priority: int
    counts: bool = True
    effective_start: str | None = None
    effective_end: str | None = None
    occasion: str = "focus"
    interval_days: float = 365
    trigger_conditions: dict[str, Condition] = field(default_factory=dict)
    bundle: str = ""
    default_on: bool = True
    sensitive: str = "staff"
    about: tuple[Coding, ...] = ()
    language: str = "en"
    titles: Mapping[str, str] = field(default_factory=dict)
    resource: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Wording:
    """The text of one message on one channel in one language, with who approved it.

    ``reviewed`` is the day of that as YYYY-MM-DD, empty where it was not recorded.
    """

    definition: str
    channel: str
    language: str
    subject: str
    text: str
    reviewer: str | None
    reviewed: str = ""


@dataclass(frozen=True)
class Library:
    """All active content of a site; plans most urgent first.

    ``without`` are resource types that the site's EHR does not have: nobody asks for them.
    """

    plans: tuple[Plan, ...]
    wordings: tuple[Wording, ...]
    value_sets: dict[str, frozenset[tuple[str, str]]]
    dispositions: dict[tuple[str, str], str]
    without: frozenset[str] = frozenset()

    @functools.cached_property
    def triggered(self) -> Mapping[str, tuple[Plan, ...]]:
        """Return the plans by the kind of event that starts them, in their order."""
        found: dict[str, list[Plan]] = {}
        for plan in self.plans:
            for kind in plan.triggers:
                found.setdefault(kind, []).append(plan)
        return {kind: tuple(plans) for kind, plans in found.items()}

    @functools.cached_property
    def timings(self) -> Mapping[str, frozenset[Timing]]:
        """Return when steps are due, by the event's kind; under "" those of all plans."""
        return {
            kind: frozenset(action.timing for plan in plans for action in plan.actions)
            for kind, plans in (("", self.plans), *self.triggered.items())
        }

    @functools.cached_property
    def needed(self) -> tuple[str, ...]:
        """Return the searches that the plans need, each once, in the plans' order."""
        return tuple(dict.fromkeys(item for plan in self.plans for item in plan.data))

    @functools.cached_property
    def steps(self) -> Mapping[tuple[str, str], tuple[Plan, PlanAction]]:
        """Return the steps by (url or id of the plan, id of the action)."""
        return {
            (name, action.id): (plan, action)
            for plan in reversed(self.plans)
            for name in (plan.id, plan.url)
            for action in plan.actions
        }

    @functools.cached_property
    def worded(self) -> Mapping[tuple[str, str, str], Wording]:
        """Return the wordings by (definition, channel, language in lower case)."""
        return {
            (item.definition, item.channel, item.language.lower()): item
            for item in reversed(self.wordings)
        }

    @functools.cached_property
    def bundles(self) -> Mapping[str, tuple[Plan, ...]]:
        """Return the plans whose steps may go out together, by bundle."""
        found: dict[str, list[Plan]] = {}
        for plan in self.plans:
            if plan.bundle:
                found.setdefault(plan.bundle, []).append(plan)
        return {name: tuple(plans) for name, plans in found.items()}
