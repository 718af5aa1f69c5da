"""Where the chart says something else than what was said here, and neither is on its way.

Pure.
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from mappings.instants import find_instant
from mappings.preference import Conflict, Who
from mappings.resource import dict_of
from middleware.desk.editing.clashes import write_moment
from middleware.desk.editing.groups import Group
from middleware.desk.underway import list_differing
from middleware.desk.views import View


def list_unsettled(view: View, group: Group) -> tuple[Conflict, ...]:
    """Return where one of the two voices is the chart's, and the other was said here.

    Of a number the chart is corrected, and one place alone is asked for anew.
    """
    names = () if group.rows else {*group.records(view)} - {"confidential"}
    return tuple(
        item
        for item in list_differing(view)
        if item.name in names
        and Who.CHART in _whos(item)
        and _whos(item) & {Who.PATIENT, Who.STAFF}
    )


def settle_version(view: View, group: Group, version: str) -> str:
    """Return a mark of both values; ``version`` is that of what holds in the group."""
    found = list_unsettled(view, group)
    both = [[item.name, item.first.value, item.second.value] for item in found]
    return hashlib.sha256(orjson.dumps([version, both])).hexdigest()[:16]


def offer_both(view: View, group: Group, version: str) -> dict[str, Any]:
    """Return what a group shows where both differ, by the names of its view's fields."""
    found = list_unsettled(view, group)
    if not found:
        return {}
    return {
        "settle": settle_version(view, group, version),
        "charted": _write_charted(view),
        "stated": any(Who.PATIENT in _whos(item) for item in found),
    }


def _write_charted(view: View) -> str:
    """Return when the chart's record of the patient was changed; empty where untold."""
    at = find_instant(dict_of(view.chart.patient.get("meta")).get("lastUpdated"))
    if at is None:
        return ""
    return view.say("Chart changed %(when)s.", when=write_moment(view, at))


def _whos(item: Conflict) -> set[Who]:
    return {item.first.who, item.second.who}
