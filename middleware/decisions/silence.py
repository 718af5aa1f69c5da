"""Long silence: nobody is sure any more that a patient is there to be written to.

Of 11,698 seriously ill patients of one health system 676 were dead and alive in the
record; 221 of them got 920 letters on preventive care (Wenger et al., JAMA Intern Med
2023, PMC10696508). A person confirms before preventive messages go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from mappings.chart import Chart
from mappings.codes import has_member
from mappings.instants import age_on, find_instant
from mappings.nudge import Fact, Outcome, Verdict
from mappings.plan import Library, Plan
from mappings.preference import OwnRecord
from mappings.resource import codings_of, values_at
from middleware.decisions.evidence import fact

OLD = 80
SILENT = timedelta(days=180)
TOPICS = frozenset({"preventive", "immunization"})
SERIOUS_SETS = ("palliative", "advanced-illness")
SIGNS = {
    "Encounter": (
        "period.end",
        "period.start",
        "actualPeriod.end",
        "actualPeriod.start",
    ),
    "Appointment": ("start",),
}


def check_silence(
    plan: Plan,
    chart: Chart,
    own: OwnRecord,
    library: Library,
    now: datetime,
    zone: str,
) -> Verdict | None:
    """Return the hold on a preventive message to a frail patient who went silent.

    Frail is 80 years or older, or seriously ill by a Condition; silent is no stay, visit
    or answer within 180 days.
    """
    if plan.topic not in TOPICS:
        return None
    frail = _frail(chart, library, now, zone)
    if frail is None or _stirred(chart, own, now):
        return None
    return Verdict(Outcome.HOLD, "long-silent", (frail,))


def _frail(chart: Chart, library: Library, now: datetime, zone: str) -> Fact | None:
    birth = chart.patient.get("birthDate")
    age = age_on(birth, now.astimezone(ZoneInfo(zone)).date())
    if age is not None and age >= OLD:
        return fact(chart.patient, "birthDate")
    for condition in chart.of("Condition"):
        codings = codings_of(condition.get("code"))
        for name in SERIOUS_SETS:
            if has_member(library.value_sets.get(name, frozenset()), codings):
                return fact(condition, "code")
    return None


def _stirred(chart: Chart, own: OwnRecord, now: datetime) -> bool:
    return any(moment >= now - SILENT for moment in _signs(chart, own))


def _signs(chart: Chart, own: OwnRecord) -> Iterator[datetime]:
    for kind, paths in SIGNS.items():
        for resource in chart.of(kind):
            for path in paths:
                for text in values_at(resource, path):
                    moment = find_instant(text)
                    if moment is not None:
                        yield moment
    yield from (item.recorded_at for item in own.preferences)
    yield from (item.recorded_at for item in own.consents)
    yield from (item.sent_at for item in own.sent if item.answered)
