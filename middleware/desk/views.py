"""One patient as read for one request: chart, own record, plans looked at again.

Reading is network first, then one transaction; deciding is pure. Nothing is changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from mappings.chart import Chart
from mappings.endpoint import Endpoint
from mappings.nudge import Nudge, Outcome
from mappings.plan import Library
from mappings.preference import EngagementProfile, OwnRecord
from mappings.resource import Resource
from middleware.decisions.deciding import Candidate, decide_nudge
from middleware.decisions.preference import compile_profile
from middleware.decisions.unread import settle_unread
from middleware.desk.charting import Within, page_queries, read_charts
from middleware.desk.opened import NOTHING, Opened, find_linked
from middleware.desk.permitted import Permitted, withheld_types
from middleware.desk.replacing import ANSWERS, list_old, may_ask, read_old
from middleware.desk.versions import preference_version
from middleware.desk.viewer import Viewer, viewer_of
from middleware.ports import FhirApi
from middleware.stages.context import StageContext
from middleware.stages.people import list_places, own_record
from middleware.storage import merging, nudges
from middleware.storage.decision_log import read_last_checked
from middleware.storage.history import SentRow, list_sent_rows
from middleware.storage.last_answers import Standing, read_standing
from middleware.storage.written import Written, list_written

_log = structlog.get_logger(__name__)

WEEKS = 12
HISTORY = timedelta(weeks=WEEKS)


@dataclass(frozen=True)
class View:
    """What one request knows of one patient.

    ``planned`` are the open nudges with what a fresh decision says of each, soonest
    first, and ``steps`` those of staff; ``sent`` is what went out in 12 weeks, newest
    first. ``permitted`` is what may be asked of the EHR, None for all of it, and
    ``withheld`` are the FHIR types that may not; what rests on those stands as the
    pipeline decided it at ``checked_at``. ``unread`` are types that are still being
    read, ``users`` who is signed in. ``opened`` is what the launch named. ``standing``
    changes with our own record.
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
    permitted: Permitted | None = None
    withheld: frozenset[str] = frozenset()
    viewer: Viewer = field(default_factory=lambda: viewer_of("en-US"))
    written: Mapping[str, Written] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()
    users: tuple[Resource, ...] = ()
    checked_at: datetime | None = None
    opened: Opened = NOTHING
    standing: Standing = field(default_factory=Standing)

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
    def is_over(self) -> bool:
        """Tell whether the record is closed: its patient died, or it is another's now."""
        one = self.profile
        return one.deceased or not one.active or one.merged_into is not None

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

    @property
    def linked(self) -> frozenset[str]:
        """Return what messages that follow from what the launch named are about."""
        return find_linked(self.opened, self.chart, self.patient)

    def version(self, name: str) -> str:
        """Return a mark of the newest record of a preference; it changes with it."""
        return preference_version(self.own, name)


def read_views(
    context: StageContext,
    endpoint: Endpoint,
    api: FhirApi,
    patient: str,
    viewer: Viewer,
    permitted: Permitted | None = None,
    within: Within | None = None,
    opened: Opened = NOTHING,
) -> Iterator[View]:
    """Yield the patient as the chart comes: what can be read ``within``, then whole.

    FhirError when the patient cannot be read; ``incomplete`` names what else failed.
    """
    now, library = context.clock.now(), context.library(endpoint)
    with context.database.tx() as tx:
        foci = [one.focus for one in nudges.list_open_nudges(tx, endpoint.id, patient)]
        known = merging.list_replaced(tx, endpoint.id, [patient]).get(patient, [])
    asked = page_queries(library, patient, foci, now)
    told = {
        "patient": patient,
        "viewer": viewer,
        "permitted": permitted,
        "withheld": withheld_types(permitted, asked),
        "opened": opened,
    }
    how: Any = {"within": within, "permitted": permitted, "beside": opened.references}
    for found in read_charts(api, library, patient, foci, now, **how):
        more = {**told, "users": found.users}
        asks = may_ask(permitted, list_old(api, found.chart, known))
        chart, unread = found.chart, found.unread
        if asks:
            # A no on a record that this one took the place of turns the verdict too.
            yield _fill(
                context, endpoint, library, chart, {**more, "unread": unread | ANSWERS}
            )
        if asks and not unread:
            chart = read_old(api, library, chart, known)
        if not asks or not unread:
            yield _fill(context, endpoint, library, chart, {**more, "unread": unread})


def _fill(
    context: StageContext,
    endpoint: Endpoint,
    library: Library,
    chart: Chart,
    told: Mapping[str, Any],
) -> View:
    """Return a view of a chart: with what is ours beside it, and decided on both."""
    now = chart.read_at
    if not told["unread"]:
        _tell_of_strangers(chart, endpoint)
    waiting, ours = _read_ours(context, endpoint, told["patient"], chart, now)
    own: OwnRecord = ours["own"]
    parts = (chart, own, library, endpoint, now)
    looked = _look_all(waiting, *parts, settle=bool(chart.refused))
    return View(
        endpoint=endpoint,
        chart=chart,
        profile=compile_profile(chart, own, endpoint, now),
        library=library,
        planned=tuple(pair for pair in looked if not pair[0].is_task),
        steps=tuple(pair for pair in looked if pair[0].is_task),
        now=now,
        **ours,
        **told,
    )


def _read_ours(
    context: StageContext, endpoint: Endpoint, patient: str, chart: Chart, now: datetime
) -> tuple[list[Nudge], dict[str, Any]]:
    """Return the open nudges, and what our own store adds to a view."""
    with context.database.tx() as tx:
        waiting = nudges.list_open_nudges(tx, endpoint.id, patient)
        return waiting, {
            "standing": read_standing(
                tx, endpoint.id, patient, list_places(tx, endpoint.id, patient, chart)
            ),
            "own": own_record(tx, endpoint.id, patient, chart, now),
            "sent": list_sent_rows(tx, endpoint.id, patient, now - HISTORY),
            "written": list_written(tx, endpoint.id, patient),
            "checked_at": read_last_checked(tx, [one.id for one in waiting]),
        }


def refresh_view(context: StageContext, view: View) -> View:
    """Return the view after a save: what is ours is read again, the chart is not."""
    now = context.clock.now()
    with context.database.tx() as tx:
        own = own_record(tx, view.endpoint.id, view.patient, view.chart, now)
        waiting = nudges.list_open_nudges(tx, view.endpoint.id, view.patient)
        written = list_written(tx, view.endpoint.id, view.patient)
    parts = (view.chart, own, view.library, view.endpoint, now)
    looked = _look_all(waiting, *parts, settle=bool(view.chart.refused))
    return replace(
        view,
        own=own,
        profile=compile_profile(view.chart, own, view.endpoint, now),
        planned=tuple(pair for pair in looked if not pair[0].is_task),
        steps=tuple(pair for pair in looked if pair[0].is_task),
        now=now,
        written=written,
    )


def _tell_of_strangers(chart: Chart, endpoint: Endpoint) -> None:
    if chart.strangers:
        _log.warning(
            "the EHR sent along what is another patient's; it was left out",
            endpoint_id=endpoint.id,
            count=len(chart.strangers),
        )


def _look_all(
    waiting: Sequence[Nudge],
    chart: Chart,
    own: OwnRecord,
    library: Library,
    endpoint: Endpoint,
    now: datetime,
    *,
    settle: bool,
) -> list[tuple[Nudge, Candidate]]:
    """Decide on the open messages, the soonest first; of an unread part, ``settle``."""
    parts = (chart, own, library, endpoint, now)
    looked = [(one, _look(one, *parts)) for one in waiting]
    if settle:
        looked = [(one, settle_unread(one, found, *parts)) for one, found in looked]
    return sorted(looked, key=lambda pair: pair[1].due_at)


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
