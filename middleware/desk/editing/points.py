"""The patient's numbers and addresses as they are shown: each with its use and its source.

Pure. What is used no more, or is not the patient's, stays in sight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from mappings.preference import Sourced, Who
from mappings.telecom import (
    CURRENT,
    OUT,
    WRONG,
    Point,
    list_points,
    name_point,
    read_point_name,
)
from middleware.desk.editing.kept import write_kept
from middleware.desk.formats import write_address, write_date
from middleware.desk.reaching import REFUSED, permissions, topics_of, write_source
from middleware.desk.stating import USES
from middleware.desk.values import Tag
from middleware.desk.versions import find_point
from middleware.desk.views import View


@dataclass(frozen=True)
class PointRow:
    """One number or address: what it is, whether it is used, who said so, where kept."""

    place: str
    detail: str
    tag: Tag
    source: str
    kept: str
    used: bool


def list_names(view: View) -> tuple[str, ...]:
    """Return the record names of every number and address, those of the chart first."""
    points = view.profile.points
    charted = [name_point(point) for point in list_points(points.chart)]
    return tuple(dict.fromkeys((*charted, *points.said)))


def write_points(view: View) -> tuple[PointRow, ...]:
    """Return the rows, those in use first; what was undone at once is left out."""
    found = [(name, find_point(view.profile, name)) for name in list_names(view)]
    rows = [
        _row(view, name, said)
        for name, said in found
        if said is not None and not said.value.get("undone")
    ]
    return tuple(sorted(rows, key=lambda row: not row.used))


def _row(view: View, name: str, said: Sourced[dict[str, Any]]) -> PointRow:
    point, value = read_point_name(name), said.value
    used = value["state"] == CURRENT
    mine = said.who is not Who.CHART
    return PointRow(
        place=write_address(point[1]),
        detail=_detail(view, value) if used else "",
        tag=_tag(view, point, value) if used else _out(view, value),
        source=write_source(view, said.who, said.how, said.by, said.when),
        kept=write_kept(view, name) if mine else "",
        used=used,
    )


def _detail(view: View, value: Mapping[str, Any]) -> str:
    use = value.get("use") or ""
    parts = [view.say(USES[use])] if use in USES else []
    if value.get("rank"):
        parts.append(view.say("number %(rank)s in order", rank=value["rank"]))
    start, end = read_day(value.get("start")), read_day(value.get("end"))
    if start is not None:
        day = write_date(view.viewer, start)
        parts.append(view.say("since %(day)s", day=day))
    if end is not None:
        day = write_date(view.viewer, end)
        parts.append(view.say("until %(day)s", day=day))
    if value.get("shared"):
        parts.append(view.say("shared: messages there name nothing"))
    return ", ".join(parts)


def _out(view: View, value: Mapping[str, Any]) -> Tag:
    if value["state"] == WRONG:
        return Tag("off", "x", view.say("Not %(given)s’s", given=view.given))
    return Tag("off", "x", view.say("Used no more"))


def _tag(view: View, point: Point, value: Mapping[str, Any]) -> Tag:
    """Return whether messages may go there, and what stands in the way."""
    usable = [i for i in view.profile.addresses if (i.channel, i.value) == point]
    if not usable:
        calls = point[0] == "sms" and value.get("use") in ("home", "work")
        word = view.say("For calls only") if calls else view.say("Not in use now")
        return Tag("quiet", "off", word)
    place = view.profile.confidential
    if place is not None and (place.value.channel, place.value.value) != point:
        return Tag("warn", "hold", view.say("Not used: confidential contact"))
    if point in view.own.bad_addresses:
        return Tag("warn", "warn", view.say("Does not work"))
    found = permissions(view, topics_of(view), usable[:1])
    if any(item.allowed for item in found):
        return Tag("ok", "check", view.say("Agreed"))
    if any(item.reason == REFUSED for item in found):
        return Tag("off", "x", view.say("Said no"))
    return Tag("off", "ask", view.say("No permission recorded"))


def read_day(text: object) -> date | None:
    """Return the day of a FHIR date or dateTime; None where it names none."""
    try:
        return date.fromisoformat(str(text or "")[:10])
    except ValueError:
        return None


def is_out(value: Mapping[str, Any]) -> bool:
    """Tell whether a statement takes a number out of use."""
    return value.get("state") in OUT
