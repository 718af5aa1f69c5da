"""The variables that conditions see, narrowed so that each condition stays cheap.

``%focus`` (``%resource``), ``%patient`` and, on its event, ``%trigger`` are resources;
``%eventKind`` is then its kind.
``%encounters`` are those that ended after the day before the event, or go on;
``%appointments`` those that start within seven months before it or later; the other
lists are whole. ``%now``, ``%eventInstant`` and ``%today`` are text; ``%status``,
``%class``, ``%disposition`` and ``%activityStatus`` words, ``%activityDay`` a date;
``%age`` whole years; ``%sex`` female or male where the chart is clear; ``%inpatient``
class codes; ``%sent`` what we sent (``topic``, ``sentAt``, ``plan``, ``bundle``,
``answered``); ``%staff`` what staff were asked (``reason``, ``focus``, ``done``);
``%sameDay`` the other booked visits on the day of the visit that this is about;
``%video`` whether it is by video, ``%joinLink`` the link that joins it, or empty text;
``%schedule`` the site's source of the vaccine schedule; ``%optedIn`` topics that the
patient asked for by name; ``%confirmedDays`` whole days since the patient last said or
confirmed a preference, empty where the patient never did. ``%allEncounters`` and
``%allAppointments`` are whole lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from mappings.chart import Chart
from mappings.clinical_sex import clinical_sex
from mappings.codes import (
    ADMITTED,
    DISCHARGED,
    INPATIENT_CLASSES,
    encounter_class,
    encounter_period,
    status_word,
)
from mappings.endpoint import Endpoint
from mappings.instants import age_on, find_instant, write_instant
from mappings.plan import Library
from mappings.preference import OwnRecord, Who
from mappings.reference import reference_of
from mappings.resource import Resource, first_at
from mappings.visit import is_video, join_link
from middleware.decisions.conditions import Environment
from middleware.decisions.focus import Activity, same_day_visits
from middleware.decisions.preference import read_confirmed
from middleware.decisions.safety import read_disposition
from middleware.decisions.series import bundle_of

VISITS_BACK = timedelta(days=215)
STAYS_BACK = timedelta(days=1)
LISTS: dict[str, str] = {
    "encounters": "Encounter",
    "appointments": "Appointment",
    "carePlans": "CarePlan",
    "procedures": "Procedure",
    "observations": "Observation",
    "diagnosticReports": "DiagnosticReport",
    "conditions": "Condition",
    "serviceRequests": "ServiceRequest",
    "immunizations": "Immunization",
    "goals": "Goal",
    "medicationRequests": "MedicationRequest",
    "medicationDispenses": "MedicationDispense",
    "allEncounters": "Encounter",
    "allAppointments": "Appointment",
    "tasks": "Task",
    "riskAssessments": "RiskAssessment",
}
WORDS = (
    "focus resource patient trigger now today eventKind eventInstant status class "
    "disposition age sex inpatient activityStatus activityDay sent schedule optedIn "
    "confirmedDays staff sameDay video joinLink"
)
VARIABLES = frozenset(LISTS) | frozenset(WORDS.split())


@dataclass(frozen=True)
class Circumstances:
    """What a condition is evaluated about; ``trigger`` and ``kind`` are the event's."""

    focus: Resource
    event: datetime
    now: datetime
    zone: str
    activity: Activity | None = None
    trigger: Resource | None = None
    kind: str = ""


def make_environment(
    chart: Chart,
    own: OwnRecord,
    library: Library,
    endpoint: Endpoint,
    about: Circumstances,
) -> Environment:
    """Bind the variables of the conditions for one focus at one instant."""
    lacking = {str(name) for name in endpoint.profile.get("unsupported", ())}
    unread = {*chart.incomplete, *lacking}
    variables: dict[str, Any] = {
        **{name: list(chart.of(kind)) for name, kind in LISTS.items()},
        **_narrowed(chart, about),
        **_words(chart, library, endpoint, about),
        **_told(own, library),
        "confirmedDays": _confirmed_days(chart, own, about.now),
        "staff": [vars(item) for item in own.asked],
        "sameDay": list(same_day_visits(chart, about.focus, about.zone)),
    }
    incomplete = {name for name, kind in LISTS.items() if kind in unread}
    if "appointments" in incomplete:
        incomplete.add("sameDay")
    return Environment(
        focus=about.focus,
        variables=variables,
        value_sets=library.value_sets,
        now=about.now,
        find=chart.find,
        incomplete=frozenset(incomplete),
        unsupported=frozenset(
            name for name in incomplete if LISTS.get(name, "Appointment") in lacking
        ),
        codes=chart.codes,
    )


def _confirmed_days(chart: Chart, own: OwnRecord, now: datetime) -> int | list[int]:
    confirmed = read_confirmed(own, reference_of(chart.patient))
    last = max(confirmed.values(), default=None)
    return [] if last is None else max(0, (now - last).days)


def _told(own: OwnRecord, library: Library) -> Mapping[str, Any]:
    """Return what went out before, and what the patient asked for by name."""
    answers = [item for item in own.consents if item.who is Who.PATIENT]
    newest = {
        item.topic: item.permit
        for item in sorted(answers, key=lambda item: item.recorded_at)
    }
    return {
        "sent": [
            {
                "topic": item.topic,
                "sentAt": write_instant(item.sent_at),
                "plan": item.plan,
                "bundle": bundle_of(library, item.plan),
                "answered": item.answered,
            }
            for item in own.sent
        ],
        "optedIn": [topic for topic, yes in newest.items() if yes and topic != "*"],
    }


def _words(
    chart: Chart, library: Library, endpoint: Endpoint, about: Circumstances
) -> Mapping[str, Any]:
    today = about.now.astimezone(ZoneInfo(about.zone)).date()
    focus = about.focus
    stay = focus.get("resourceType") == "Encounter"
    disposition = read_disposition(focus, library, endpoint) if stay else None
    age = age_on(chart.patient.get("birthDate"), today)
    return {
        "focus": focus,
        "resource": focus,
        "patient": chart.patient,
        "trigger": about.trigger if about.trigger is not None else [],
        "now": write_instant(about.now),
        "today": today.isoformat(),
        "eventKind": about.kind or [],
        "eventInstant": write_instant(about.event),
        "status": status_word(focus) if stay else str(focus.get("status") or ""),
        "class": encounter_class(focus) if stay else "",
        "disposition": disposition or "unknown",
        "age": [] if age is None else age,
        "sex": clinical_sex(chart.patient) or [],
        "schedule": endpoint.site.vaccine_schedule,
        "video": is_video(focus),
        "joinLink": join_link(focus),
        "inpatient": sorted(INPATIENT_CLASSES),
        "activityStatus": about.activity.status if about.activity else [],
        "activityDay": about.activity.day.isoformat() if about.activity else [],
    }


def _narrowed(chart: Chart, about: Circumstances) -> Mapping[str, list[Resource]]:
    return {
        "encounters": list(_recent_stays(chart.of("Encounter"), about)),
        "appointments": [
            item
            for item in chart.of("Appointment")
            if _since(first_at(item, "start"), about.event - VISITS_BACK)
        ],
    }


def _recent_stays(
    encounters: Iterable[Resource], about: Circumstances
) -> Iterable[Resource]:
    for item in encounters:
        status = status_word(item)
        period = encounter_period(item)
        end = period.get("end")
        if (status == ADMITTED and end is None) or (
            status in (ADMITTED, DISCHARGED)
            and _since(end or period.get("start"), about.event - STAYS_BACK)
        ):
            yield item


def _since(text: object, earliest: datetime) -> bool:
    """Tell whether a date is late enough; one that cannot be read is kept."""
    moment = find_instant(text)
    return moment is None or moment >= earliest
