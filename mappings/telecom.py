"""What was said of one number or address of a patient, and the Patient as it then is (R4).

A statement is a preference record named after the point, so that each point has voices of
its own. ContactPoint.use ``old`` is FHIR's word for what is used no more and for what was
never right: an entry is never taken out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mappings.recipient import read_address_value
from mappings.resource import Resource, dict_of, list_of

PREFIX = "telecom:"
CURRENT, OLD, WRONG = "current", "old", "wrong"
OUT = frozenset({OLD, WRONG})
Point = tuple[str, str]


def name_point(point: Point) -> str:
    """Return the name of the records about one (channel, value)."""
    return f"{PREFIX}{point[0]}:{point[1]}"


def is_point(name: str) -> bool:
    """Tell whether a preference is about one number or address."""
    return name.startswith(PREFIX)


def read_point_name(name: str) -> Point:
    """Return the (channel, value) that a record is named after."""
    channel, _, value = name.removeprefix(PREFIX).partition(":")
    return channel, value


def list_points(telecom: Iterable[Any]) -> list[Point]:
    """Return each number and address once, in the order of Patient.telecom."""
    found = [point_of(dict_of(item)) for item in telecom]
    return list(dict.fromkeys(item for item in found if item is not None))


def point_of(entry: Resource) -> Point | None:
    """Return the (channel, value) of a ContactPoint; None for fax, pager and the like."""
    return read_address_value(entry.get("system"), entry.get("value"))


def list_entries(telecom: Iterable[Any], point: Point) -> list[Resource]:
    """Return the entries of Patient.telecom that are about one point."""
    return [entry for entry in map(dict_of, telecom) if point_of(entry) == point]


def read_statement(telecom: Iterable[Any], point: Point) -> dict[str, Any] | None:
    """Return what Patient.telecom says of a point, as a statement; None for nothing.

    Of several entries one that is in use counts.
    """
    entries = list_entries(telecom, point)
    used = [entry for entry in entries if entry.get("use") != OLD]
    for entry in used or entries:
        period = dict_of(entry.get("period"))
        return {
            "system": str(entry.get("system")),
            "value": point[1],
            "state": CURRENT if used else OLD,
            "use": _text(entry.get("use")) if used else "",
            "rank": entry["rank"] if isinstance(entry.get("rank"), int) else None,
            "start": _text(period.get("start")),
            "end": _text(period.get("end")),
        }
    return None


def alike(told: Mapping[str, Any], said: Mapping[str, Any]) -> bool:
    """Tell whether both statements use a point, and as the same; or both do not."""
    if told["state"] in OUT or said.get("state") in OUT:
        return bool(told["state"] in OUT and said.get("state") in OUT)
    return bool(told["use"] == (said.get("use") or ""))


def says(telecom: Iterable[Any], name: str, said: Any) -> bool:
    """Tell whether Patient.telecom says what a statement does.

    A place in the order and an end are asked for where the statement changed them: who
    corrects a chart by hand fills in less than we would, and may take out an entry.
    """
    statement = dict_of(said)
    told = read_statement(telecom, read_point_name(name))
    if told is None:
        return statement.get("state") in OUT
    if not alike(told, statement) or told["state"] in OUT:
        return alike(told, statement)
    before = dict_of(statement.get("before"))
    changed = [
        key
        for key in ("rank", "end")
        if before and (before.get(key) or None) != (statement.get(key) or None)
    ]
    return all((told[key] or None) == (statement.get(key) or None) for key in changed)


def amend_telecom(patient: Resource, name: str, said: Any) -> Resource | None:
    """Return the Patient with one statement in it; the same where it says so already.

    None where it is no statement.
    """
    statement = dict_of(said)
    if statement.get("state") not in {CURRENT, *OUT}:
        return None
    point, telecom = read_point_name(name), list_of(patient.get("telecom"))
    write = _end if statement["state"] in OUT else _use
    changed = [
        write(item, statement)
        if isinstance(item, dict) and point_of(item) == point
        else item
        for item in telecom
    ]
    if statement["state"] == CURRENT and not list_entries(telecom, point):
        entry = {"system": statement.get("system"), "value": statement.get("value")}
        changed.append(_use(entry, statement))
    return patient if changed == telecom else {**patient, "telecom": changed}


def _end(entry: Resource, said: Mapping[str, Any]) -> Resource:
    """Return an entry that is used no more; one that is old already stays as it is."""
    if entry.get("use") == OLD:
        return entry
    period = dict_of(entry.get("period"))
    end = max(str(said.get("end") or ""), _text(period.get("start"))[:10])
    kept = {key: part for key, part in entry.items() if key != "rank"}
    changed = {**kept, "use": OLD}
    return {**changed, "period": {**period, "end": end}} if end else changed


def _use(entry: Resource, said: Mapping[str, Any]) -> Resource:
    """Return an entry that is in use as it was said to be."""
    period = {key: said[key] for key in ("start", "end") if said.get(key)}
    told = {
        "use": said.get("use") or None,
        "rank": said.get("rank"),
        "period": period or None,
    }
    kept = {key: part for key, part in entry.items() if key not in told}
    return {**kept, **{key: part for key, part in told.items() if part is not None}}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
