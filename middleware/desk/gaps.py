"""What the EHR did not give, and what that holds: a sentence or two for each. Pure.

What this page could not read is missing here; whether it holds a message is another
question, because CareCue decides on messages with its own access to the chart.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from mappings.merge import replaced_records
from middleware.desk.completeness import asked_types, is_narrowed, name_kinds
from middleware.desk.formats import write_instant, zone_name
from middleware.desk.permitted import type_of
from middleware.desk.viewer import mark
from middleware.desk.views import View
from middleware.desk.waiting import count_unread, list_missing

TOOK_A_PLACE = mark(
    "This record took the place of another one. A no on that one counts before anything "
    "is sent, and may not be shown here."
)
COUNTS_HERE = mark(
    "This record took the place of another one. What was answered there counts here too; "
    "what else is on that one may not be shown here."
)


def write_gaps(view: View) -> tuple[str, ...]:
    """Return what the EHR did not give, or gave of somebody else; none when all is well.

    A sentence or two each; whose the others are is not said.
    """
    chart = view.chart
    sentences = [*_tell_of_missing(view)]
    narrowed = sorted(kind for kind in asked_types(view) if is_narrowed(view, kind))
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
    if chart.replaced:
        sentences.append(view.say(COUNTS_HERE))
    elif replaced_records(chart.patient) or view.own.replaced:
        sentences.append(view.say(TOOK_A_PLACE))
    if chart.strangers:
        sentences.append(_tell_of_strangers(view))
    return tuple(sentences)


def _tell_of_missing(view: View) -> list[str]:
    """Say what was refused, and what failed, each with what it holds."""
    refused = {*view.withheld, *view.chart.refused}
    missing = list_missing(view)
    kinds = {
        told: [kind for kind in missing if (kind in refused) is told]
        for told in (True, False)
    }
    sentences = []
    if kinds[True]:
        names = name_kinds(view, kinds[True])
        said = view.say(
            "The EHR did not give this app: %(names)s. It is missing here.", names=names
        )
        sentences.append(f"{said} {_tell_of_messages(view)}".strip())
    if kinds[False]:
        names = name_kinds(view, kinds[False])
        said = view.say(
            "Could not be read just now: %(names)s. It is missing here, and a message "
            "that needs it is held until it can be read.",
            names=names,
        )
        sentences.append(said)
    return sentences


def _tell_of_messages(view: View) -> str:
    """Say whether anything waits for what this page alone was not given."""
    held = count_unread(view)
    if view.endpoint.is_app_alone:
        return ""  # there is no other access
    if not view.planned or view.checked_at is None:
        return view.say(
            "Which messages are due, CareCue decides with its own access to the chart."
        )
    when = _write_when(view, view.checked_at)
    if not held:
        return view.say(
            "No coming message is held for it: CareCue checked them with its own access "
            "to the chart at %(when)s.",
            when=when,
        )
    return view.say_many(
        "%(number)s coming message is held: with its own access, at %(when)s, CareCue "
        "did not find what it needs either.",
        "%(number)s coming messages are held: with its own access, at %(when)s, CareCue "
        "did not find what they need either.",
        held,
        when=when,
    )


def _write_when(view: View, checked_at: datetime) -> str:
    zone = ZoneInfo(view.endpoint.site.zone)
    when = write_instant(view.viewer, checked_at, zone)
    today = view.now.astimezone(zone).date()
    same = checked_at.astimezone(zone).date() == today
    name = zone_name(view.viewer, view.endpoint.site.zone, view.now)
    return f"{when.time if same else f'{when.day}, {when.time}'} {name}"


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
