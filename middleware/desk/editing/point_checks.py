"""A number or address before it is saved: whose else it is; and taking the save back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mappings.amending import mark_elements
from mappings.preference import Bearer, PreferenceRecord
from mappings.telecom import CURRENT, OLD, Point, is_point, read_point_name
from middleware.desk.editing.point_statements import STOOD
from middleware.desk.editing.saving import RefusedError, Said
from middleware.desk.stating import write_person
from middleware.desk.views import View
from middleware.stages.context import StageContext
from middleware.storage.bearers import list_bearers


def check_points(context: StageContext, view: View, values: Mapping[str, Any]) -> None:
    """Refuse a new number that somebody else has too, unless that was said.

    Raises RefusedError. Whose chart it is on is not told.
    """
    fresh = [
        read_point_name(name)
        for name, value in values.items()
        if is_point(name) and value["state"] == CURRENT and not value["shared"]
        if (value["before"] or {}).get("state") != CURRENT
    ]
    if not fresh:
        return
    for contact in view.profile.contacts:
        theirs = {(item.channel, item.value) for item in contact.addresses}
        if theirs & set(fresh):
            raise RefusedError(
                view.say(
                    "This is also where %(name)s is reached. If both use it, choose "
                    "that it is shared; if not, it is not %(given)s’s.",
                    name=write_person(view, contact.reference),
                    given=view.given,
                )
            )
    if _is_anothers(context, view, fresh):
        raise RefusedError(
            view.say(
                "Another patient’s chart has this too. Ask %(given)s; if both use it, "
                "choose that it is shared: messages there then name nothing.",
                given=view.given,
            )
        )


def _is_anothers(context: StageContext, view: View, fresh: list[Point]) -> bool:
    """Tell whether another adult bears one; who was born alike elsewhere may be the same."""
    mine = {view.patient, *view.own.replaced}
    with context.database.tx() as tx:
        bearers = list_bearers(tx, fresh)
    return any(
        _is_adult(view, item)
        and not (item.endpoint_id == view.endpoint.id and patient in mine)
        and not _is_same(view, item)
        for patient, item in bearers
    )


def _is_adult(view: View, item: Bearer) -> bool:
    return item.adult_from is None or item.adult_from <= view.today


def _is_same(view: View, item: Bearer) -> bool:
    grown = view.profile.adult_from
    elsewhere = item.endpoint_id != view.endpoint.id
    return elsewhere and item.adult_from is not None and item.adult_from == grown


def undo_point(view: View, last: PreferenceRecord) -> Said:
    """Return what stood of a number before its last record, as a statement again.

    What was new is out of use: in the chart it may stand by now.
    """
    value: dict[str, Any] = last.value
    before = value.get("before")
    stood = before or {
        "state": OLD,
        "use": value["use"],
        "rank": None,
        "start": value["start"],
        "end": view.today.isoformat(),
        "undone": True,
    }
    said = {
        "system": value["system"],
        "value": value["value"],
        **stood,
        "seen": mark_elements(view.chart.patient, last.name),
        "before": {key: value[key] for key in STOOD if key in value},
    }
    return Said(last.name, said, last.who, last.how)
