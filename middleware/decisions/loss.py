"""The loss of a pregnancy: nothing cheerful, and nothing about a birth, for a year.

What counts is a code of loss in the chart, a due date that passed without a delivery, or
what somebody at the patient's number wrote. What has no date counts as of late. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from mappings.chart import Chart
from mappings.codes import has_member
from mappings.instants import find_instant, read_bounds
from mappings.nudge import Fact, Outcome, Verdict
from mappings.plan import Library, Plan
from mappings.preference import OwnRecord
from mappings.resource import Resource, codings_of, first_at, values_at
from middleware.decisions.done import DONE_PATHS, is_done
from middleware.decisions.evidence import fact

REASON = "pregnancy-loss"
# The preference that keeps what was told in a reply.
TOLD = "pregnancy-loss"
MUTE = timedelta(days=366)
# A delivery so long before the due date was one of this pregnancy.
TERM = timedelta(days=140)
CHEERFUL = frozenset({"social"})
ABOUT_BIRTH = ("pregnancy", "newborn", "delivery")
_SAID = {
    "Condition": ("code",),
    "Encounter": ("reasonCode", "reason", "reason.value", "type"),
    "Procedure": ("code", "reasonCode"),
    "Observation": ("code", "valueCodeableConcept"),
}
_DATES = ("onsetDateTime", "onsetPeriod.start", "period.start", *DONE_PATHS)
_WRONG = frozenset({"entered-in-error", "refuted"})


def check_loss(
    plan: Plan, chart: Chart, own: OwnRecord, library: Library, now: datetime
) -> Verdict | None:
    """Return the end of a cheerful message, or one about a birth, after a loss."""
    if plan.topic not in CHEERFUL and not _is_about_birth(plan, library):
        return None
    for known in _losses(chart, own, library, now):
        return Verdict(Outcome.CANCEL, REASON, (known,))
    return None


def _is_about_birth(plan: Plan, library: Library) -> bool:
    sets = (library.value_sets.get(name, frozenset()) for name in ABOUT_BIRTH)
    return any(has_member(members, plan.about) for members in sets)


def _losses(
    chart: Chart, own: OwnRecord, library: Library, now: datetime
) -> Iterator[Fact]:
    members = library.value_sets.get("sensitive-pregnancy-loss", frozenset())
    for resource, path in _coded(chart, members):
        moments = _dates(resource)
        if not moments or any(now - MUTE <= moment for moment in moments):
            yield fact(resource, path, "loss")
    told = [item for item in own.preferences if item.name == TOLD]
    last = max(told, key=lambda item: item.recorded_at, default=None)
    if last is not None and last.value is not None and last.recorded_at >= now - MUTE:
        yield Fact("Preference/pregnancy-loss", None, last.how, last.who.value)
    yield from _overdue(chart, library, now)


def _overdue(chart: Chart, library: Library, now: datetime) -> Iterator[Fact]:
    """Yield due dates that passed, and no delivery is known since the pregnancy."""
    wanted = library.value_sets.get("due-date", frozenset())
    delivered = library.value_sets.get("delivery", frozenset())
    births = [
        moment
        for resource, _ in _coded(chart, delivered)
        for moment in _dates(resource)
    ]
    for resource in chart.of("Observation"):
        text = first_at(resource, "valueDateTime")
        named = has_member(wanted, codings_of(resource.get("code")))
        if not named or not isinstance(text, str) or find_instant(text) is None:
            continue
        due = read_bounds(text)[1]
        passed = now - MUTE <= due <= now and is_done(resource)
        if passed and not any(moment >= due - TERM for moment in births):
            yield fact(resource, "valueDateTime")


def _coded(
    chart: Chart, members: frozenset[tuple[str, str]]
) -> Iterator[tuple[Resource, str]]:
    for kind, paths in _SAID.items():
        for resource in chart.of(kind):
            for path in paths:
                codings = codings_of(values_at(resource, path))
                if has_member(members, codings) and _is_true(resource):
                    yield resource, path


def _is_true(resource: Resource) -> bool:
    doubts = {code for _, code in codings_of(resource.get("verificationStatus"))}
    return is_done(resource) and not doubts & _WRONG


def _dates(resource: Resource) -> list[datetime]:
    texts = (first_at(resource, path) for path in _DATES)
    return [
        read_bounds(text)[1]
        for text in texts
        if isinstance(text, str) and find_instant(text) is not None
    ]
