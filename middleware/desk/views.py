"""One patient as read for one request: chart, own record, plans looked at again.

Reading is network first, then one transaction; deciding is pure. Nothing is changed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from mappings.chart import Chart
from mappings.endpoint import Endpoint
from mappings.errors import FhirError
from mappings.nudge import Nudge, Outcome
from mappings.plan import Library
from mappings.preference import EngagementProfile, OwnRecord, Who
from mappings.reference import of_another, reference_of
from middleware.decisions.deciding import Candidate, decide_nudge
from middleware.decisions.preference import compile_profile
from middleware.desk.versions import preference_version
from middleware.desk.viewer import Viewer, viewer_of
from middleware.ports import FhirApi
from middleware.stages.charts import fetch_chart, find_limited, find_refused
from middleware.stages.context import StageContext
from middleware.stages.people import own_record
from middleware.storage import nudges
from middleware.storage.history import SentRow, list_sent_rows
from middleware.storage.written import Written, list_written

_log = structlog.get_logger(__name__)

WEEKS = 12
HISTORY = timedelta(weeks=WEEKS)


@dataclass(frozen=True)
class View:
    """What one request knows of one patient.

    ``planned`` are the open nudges with what a fresh decision says of each, soonest
    first, and ``steps`` those of staff; ``sent`` is what went out in 12 weeks, newest
    first. ``withheld`` are FHIR types that this launch was not given.
    """

    endpoint: Endpoint
    patient: str
    chart: Chart
    own: OwnRecord
    profile: EngagementProfile
    library: Library
    planned: tuple[tuple[Nudge, Candidate], ...]
    sent: tuple[SentRow, ...]
    now: datetime
    steps: tuple[tuple[Nudge, Candidate], ...] = ()
    withheld: frozenset[str] = frozenset()
    viewer: Viewer = field(default_factory=lambda: viewer_of("en-US"))
    written: Mapping[str, Written] = field(default_factory=dict)

    def say(self, sentence: str, **values: object) -> str:
        """Return a sentence in the viewer's language, with its values put in."""
        return self.viewer.say(sentence, **values)

    def say_many(self, one: str, many: str, number: int, **values: object) -> str:
        """Return the form of a sentence that goes with ``number``."""
        return self.viewer.say_many(one, many, number, **values)

    @property
    def given(self) -> str:
        """Return the name to call the patient by."""
        return self.profile.given or self.profile.name or self.say("the patient")

    @property
    def zone_id(self) -> str | None:
        """Return the patient's first zone, None when it is not known."""
        zones = self.profile.zones
        return zones.value[0] if zones and zones.value else None

    @property
    def zone(self) -> tzinfo:
        """Return the patient's zone, else the site's, for showing times."""
        return ZoneInfo(self.zone_id or self.endpoint.site.zone)

    @property
    def today(self) -> date:
        """Return the day it is where the patient is."""
        return self.now.astimezone(self.zone).date()

    @property
    def order(self) -> tuple[str, ...]:
        """Return the channels in the patient's order."""
        return self.profile.channels.value

    def may_order(self, who: str) -> bool:
        """Tell whether an order said by ``who`` would count against what stands."""
        standing = self.profile.channels.who
        return standing is not Who.PATIENT or who == Who.PATIENT.value

    def version(self, name: str) -> str:
        """Return a mark of the newest record of a preference; it changes with it."""
        return preference_version(self.own, name)


def read_view(
    context: StageContext,
    endpoint: Endpoint,
    api: FhirApi,
    patient: str,
    viewer: Viewer,
    withheld: Collection[str] = (),
) -> View:
    """Read everything that the page of one patient needs.

    FhirError when the patient cannot be read; ``incomplete`` names what else failed.
    """
    now, library = context.clock.now(), context.library(endpoint)
    chart = _read_chart(api, library, patient, now)
    with context.database.tx() as tx:
        foci = [one.focus for one in nudges.list_open_nudges(tx, endpoint.id, patient)]
    chart = _complete(api, chart, foci, patient)
    _tell_of_strangers(chart, endpoint)
    with context.database.tx() as tx:
        own = own_record(tx, endpoint.id, patient, chart, now)
        waiting = nudges.list_open_nudges(tx, endpoint.id, patient)
        sent = list_sent_rows(tx, endpoint.id, patient, now - HISTORY)
        written = list_written(tx, endpoint.id, patient)
    looked = [(one, _look(one, chart, own, library, endpoint, now)) for one in waiting]
    looked.sort(key=lambda pair: pair[1].due_at)
    return View(
        endpoint=endpoint,
        patient=patient,
        chart=chart,
        own=own,
        profile=compile_profile(chart, own, endpoint, now),
        library=library,
        planned=tuple(pair for pair in looked if not pair[0].is_task),
        steps=tuple(pair for pair in looked if pair[0].is_task),
        sent=sent,
        now=now,
        withheld=frozenset(withheld),
        viewer=viewer,
        written=written,
    )


def refresh_view(context: StageContext, view: View) -> View:
    """Return the view after a save: what is ours is read again, the chart is not."""
    now = context.clock.now()
    with context.database.tx() as tx:
        own = own_record(tx, view.endpoint.id, view.patient, view.chart, now)
        written = list_written(tx, view.endpoint.id, view.patient)
    profile = compile_profile(view.chart, own, view.endpoint, now)
    return replace(view, own=own, profile=profile, now=now, written=written)


def _read_chart(api: FhirApi, library: Library, patient: str, now: datetime) -> Chart:
    try:
        return fetch_chart(api, library, patient, now)
    except FhirError:
        # A part of a batch does not tell an ended session from a fault; a read does.
        api.fetch(patient)
        raise


def _tell_of_strangers(chart: Chart, endpoint: Endpoint) -> None:
    if chart.strangers:
        _log.warning(
            "the EHR sent along what is another patient's; it was left out",
            endpoint_id=endpoint.id,
            count=len(chart.strangers),
        )


def _look(
    nudge: Nudge,
    chart: Chart,
    own: OwnRecord,
    library: Library,
    endpoint: Endpoint,
    now: datetime,
) -> Candidate:
    """Decide on an open message, and foresee a limit that will hold it when due."""
    planned = decide_nudge(nudge, chart, own, library, endpoint, now)
    then = max(now, planned.due_at)
    foreseen = decide_nudge(
        nudge,
        replace(chart, read_at=then),
        own,
        library,
        endpoint,
        then,
        at_send=True,
    )
    sends = planned.verdict.outcome is Outcome.SEND
    limited = foreseen.verdict.reason in ("limit-reached", "same-topic")
    return foreseen if sends and limited else planned


PERSONAL = (
    "Goal?patient={patient}",
    "Observation?patient={patient}&code=http://loinc.org%7C95541-9,http://loinc.org%7C75773-2",
)


def personal_queries(patient: str) -> tuple[str, ...]:
    """Return what a page reads beside what deciding needs: goals and preferences."""
    return tuple(query.replace("{patient}", patient) for query in PERSONAL)


def _complete(api: FhirApi, chart: Chart, foci: Sequence[str], patient: str) -> Chart:
    """Add the messages' foci and what is personal to a chart."""
    missing = [name for name in dict.fromkeys(foci) if chart.find(name) is None]
    queries = (*missing, *personal_queries(patient))
    found: dict[str, dict[str, Any]] = {}
    incomplete, strangers = set(chart.incomplete), set(chart.strangers)
    answers = dict(zip(queries, api.fetch_many(queries), strict=True))
    for query, answer in answers.items():
        if not answer.complete:
            incomplete.add(query.partition("?")[0].partition("/")[0])
        for resource in answer.resources:
            name = reference_of(resource)
            if query not in missing and of_another(resource, patient):
                strangers.add(name)
            elif chart.find(name) is None:
                found[name] = resource
    return replace(
        chart,
        resources=(*chart.resources, *found.values()),
        incomplete=tuple(sorted(incomplete)),
        strangers=tuple(sorted(strangers)),
        limited=tuple(sorted({*chart.limited, *find_limited(answers, queries)})),
        refused=tuple(sorted({*chart.refused, *find_refused(answers, queries)})),
    )
