"""What the EHR did not give, or gave of somebody else: a sentence each. Pure."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from mappings.merge import replaced_records
from middleware.desk.completeness import asked_types, is_narrowed, name_kinds
from middleware.desk.formats import write_instant, zone_name
from middleware.desk.permitted import type_of
from middleware.desk.viewer import mark
from middleware.desk.views import View

TOOK_A_PLACE = mark(
    "This record took the place of another one. A no on that one counts before anything "
    "is sent, and may not be shown here."
)


def write_gaps(view: View) -> tuple[str, ...]:
    """Return what the EHR did not give, or gave of somebody else; none when all is well.

    A sentence each; whose the others are is not said.
    """
    chart, asked = view.chart, asked_types(view)
    sentences = []
    missing = sorted({*chart.incomplete, *view.withheld} & asked)
    if missing:
        sentences.append(
            view.say(
                "The EHR did not give this app: %(names)s. What rests on it is missing "
                "here or held.",
                names=name_kinds(view, missing),
            )
        )
    narrowed = sorted(kind for kind in asked if is_narrowed(view, kind))
    if narrowed:
        sentences.append(
            view.say(
                "The EHR gives this app a part only of: %(names)s.",
                names=name_kinds(view, narrowed),
            )
        )
    if chart.limited:
        sentences.append(
            view.say(
                "The EHR says that there may be more than it gave this app of: "
                "%(names)s.",
                names=name_kinds(view, chart.limited),
            )
        )
    if replaced_records(chart.patient) and not chart.replaced:
        sentences.append(view.say(TOOK_A_PLACE))
    if chart.strangers:
        sentences.append(_tell_of_strangers(view))
    if chart.refused and view.planned and view.checked_at is not None and sentences:
        sentences[0] += f" {_tell_when_checked(view, view.checked_at)}"
    return tuple(sentences)


def _tell_of_strangers(view: View) -> str:
    strangers = view.chart.strangers
    return view.say_many(
        "The EHR sent %(number)s entry of another patient along: %(names)s. It "
        "was left out. Tell the person who runs CareCue.",
        "The EHR sent %(number)s entries of other patients along: %(names)s. "
        "They were left out. Tell the person who runs CareCue.",
        len(strangers),
        names=name_kinds(view, [type_of(one) for one in strangers]),
    )


def _tell_when_checked(view: View, checked_at: datetime) -> str:
    """Say when the coming messages were decided: on all of the chart, and by us."""
    zone = ZoneInfo(view.endpoint.site.zone)
    when = write_instant(view.viewer, checked_at, zone)
    today = view.now.astimezone(zone).date()
    same = checked_at.astimezone(zone).date() == today
    return view.say(
        "CareCue checked the coming messages on the whole chart at %(time)s %(zone)s.",
        time=when.time if same else f"{when.day}, {when.time}",
        zone=zone_name(view.viewer, view.endpoint.site.zone, view.now),
    )
