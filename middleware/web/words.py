"""How the console says times, counts, codes and plans: pure, and in plain words.

A time is always shown in a site's zone with the zone's name beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel.core import Locale, UnknownLocaleError
from markupsafe import Markup, escape

from mappings.event import EventKind
from mappings.nudge import REASONS
from mappings.plan import Plan
from middleware.decisions.matching import days_left, is_ending

EVENTS: Mapping[EventKind, str] = {
    EventKind.ENCOUNTER_ADMITTED: "Admitted",
    EventKind.ENCOUNTER_DISCHARGED: "Discharged",
    EventKind.ENCOUNTER_CANCELLED: "Stay cancelled",
    EventKind.ENCOUNTER_CORRECTED: "Stay corrected",
    EventKind.ENCOUNTER_UNDONE: "Stay entered in error",
    EventKind.APPOINTMENT_BOOKED: "Visit booked",
    EventKind.APPOINTMENT_RESCHEDULED: "Visit moved",
    EventKind.APPOINTMENT_UNBOOKED: "Visit no longer booked",
    EventKind.APPOINTMENT_WAITLISTED: "Put on the waiting list",
    EventKind.APPOINTMENT_CANCELLED: "Visit cancelled",
    EventKind.APPOINTMENT_NOSHOW: "Visit missed",
    EventKind.APPOINTMENT_ARRIVED: "Arrived for the visit",
    EventKind.APPOINTMENT_FULFILLED: "Visit took place",
    EventKind.APPOINTMENT_UNDONE: "Visit entered in error",
    EventKind.CAREPLAN_ACTIVATED: "Care plan started",
    EventKind.CAREPLAN_CHANGED: "Care plan changed",
    EventKind.CAREPLAN_ACTIVITY_DUE: "Care plan step due",
    EventKind.CAREPLAN_ENDED: "Care plan ended",
    EventKind.CAREPLAN_UNDONE: "Care plan entered in error",
    EventKind.RESOURCE_DELETED: "Deleted in the chart",
    EventKind.RESOURCE_MOVED: "Moved to another chart",
    EventKind.PATIENT_CLOSED: "Record closed",
    EventKind.PATIENT_ADDED: "New patient",
    EventKind.PATIENT_REVIEW: "Whole chart looked at again",
}
CHANNELS = {"sms": "text", "email": "email", "screen": "screen"}
ARRIVALS = {
    "push": "The EHR's notification",
    "poll": "Found by the regular read of the chart",
    "recovery": "Found by reading again what a subscription had missed",
    "empty": "The EHR's notification without a focus, and a search",
    "r4-backport": "The EHR's notification (R4 backport)",
    "r4b": "The EHR's notification (R4B)",
    "r5": "The EHR's notification (R5)",
    "r4-criteria": "The EHR's notification (R4 criteria, whole resource)",
    "r4-id-only": "The EHR's notification (R4 criteria, id only)",
    "r4-empty": "The EHR's notification (R4 criteria, empty)",
}
FORMS = {
    "criteria": "R4 criteria",
    "backport": "R4 with topic (backport)",
    "r5": "R5",
}
SCOPES = {
    "all": "Everything",
    "plan": "Plan",
    "topic": "Topic",
    "channel": "Channel",
    "endpoint": "Endpoint",
}
MINUTE, HOUR, DAY = 60, 3600, 86400
# What staff are asked beside what holds a message.
TASKS = {
    "chart-differs": "The chart says something else of a number or address.",
    "medicines-answer": "The patient needs help with their medicines.",
    "quarantined": "A notification came from its sender and could not be read.",
}


def read_zone(name: str) -> ZoneInfo:
    """Return a zone by its IANA name, UTC where there is none such."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def write_time(moment: datetime, zone: ZoneInfo, *, seconds: bool = True) -> str:
    """Return such as ``Nov 22, 2026, 5:13:18 PM PST``, in that zone."""
    local = moment.astimezone(zone)
    hour = local.hour % 12 or 12
    clock = f"{hour}:{local:%M:%S}" if seconds else f"{hour}:{local:%M}"
    return (
        f"{local:%b} {local.day}, {local.year}, {clock} {local:%p} {zone_name(local)}"
    )


def zone_name(local: datetime) -> str:
    """Return the zone's short name; an offset such as ``-03`` gets UTC before it."""
    name = local.tzname() or ""
    return f"UTC{name}" if name[:1] in "+-" else name


def time_tag(moment: datetime, zone: ZoneInfo, *, seconds: bool = True) -> Markup:
    """Return a time element: words in the zone, and the instant for machines."""
    text = write_time(moment, zone, seconds=seconds)
    return Markup('<time datetime="{}">{}</time>').format(
        escape(moment.isoformat(timespec="seconds")), escape(text)
    )


def ago(moment: datetime | None, now: datetime) -> str:
    """Return how long ago, such as ``3 min ago``; ``never`` for None."""
    if moment is None:
        return "never"
    gone = int((now - moment) / timedelta(seconds=1))
    if gone < 0:
        return "just now"
    if gone < MINUTE:
        return f"{gone} s ago"
    if gone < HOUR:
        return f"{gone // MINUTE} min ago"
    if gone < 2 * DAY:
        return f"{gone // HOUR} h ago"
    return f"{gone // DAY} days ago"


def count(number: int, noun: str, nouns: str | None = None) -> str:
    """Return the number with its noun, such as ``1 task`` or ``2 tasks``."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def language_name(tag: str) -> str:
    """Return a language's English name, or the tag itself."""
    try:
        found = Locale.parse(tag, sep="-").get_display_name("en")
    except (ValueError, UnknownLocaleError):
        found = None
    return found or tag


class PlanWords:
    """Titles of the plans in force and of their actions, by id."""

    def __init__(self, read: Callable[[], tuple[Plan, ...]]) -> None:
        self._read = read
        self._known: tuple[Plan, ...] = ()
        self._titles: dict[tuple[str, str], str] = {}

    @property
    def titles(self) -> dict[str, str]:
        """Return the titles of the plans, by id."""
        return {plan.id: plan.title for plan in self._read()}

    def _actions(self) -> dict[tuple[str, str], str]:
        plans = self._read()
        if plans is not self._known:
            self._titles = {
                (plan.id, action.id): action.title
                for plan in plans
                for action in plan.actions
            }
            self._known = plans
        return self._titles

    def ending(self, now: datetime) -> dict[str, int]:
        """Return the plans that retire within 60 days, or have: title and days left."""
        return {
            plan.title: days_left(plan, "UTC", now) or 0
            for plan in self._read()
            if is_ending(plan, "UTC", now)
        }

    def title(self, canonical: str) -> str:
        """Return a plan's title by its canonical URL."""
        plan_id = canonical.rpartition("/")[2]
        return self.titles.get(plan_id, plan_id)

    def action(self, canonical: str, action: str) -> str:
        """Return an action's title."""
        return self._actions().get((canonical.rpartition("/")[2], action), action)

    def reason(self, code: str) -> str:
        """Return a reason's sentence; a plan's own task is named by its action."""
        known = REASONS.get(code)
        if known is not None:
            return known.sentence
        tasks = TASKS | {
            f"{plan}-{step}": text for (plan, step), text in self._actions().items()
        }
        return tasks.get(code, code)

    def target(self, scope: str, target: str) -> str:
        """Return what a hold covers, such as ``Plan: After a hospital stay``."""
        if scope == "all":
            return SCOPES["all"]
        named = self.titles.get(target, target) if scope == "plan" else target
        return f"{SCOPES.get(scope, scope)}: {named}"
