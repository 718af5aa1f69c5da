"""What a preference changes in the Patient itself: language, contact points, ranks (R4).

An amendment is made of the version that the answer was given upon: where the elements
have changed since, somebody else has spoken and nothing is overwritten.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from mappings.codes import LANGUAGE
from mappings.recipient import read_address_value
from mappings.resource import Resource, codings_of, dict_of, list_of
from mappings.speech import INTERPRETER, INTERPRETER_BASE
from mappings.telecom import (
    amend_telecom,
    is_point,
    list_entries,
    read_point_name,
)

SNOMED = "http://snomed.info/sct"
NEEDED = {True: ("373066001", "Yes"), False: ("373067005", "No")}


def mark_elements(patient: Resource, name: str) -> str | None:
    """Return a mark of the elements that a preference would change; None for others."""
    if is_point(name):
        telecom = list_of(patient.get("telecom"))
        found: list[Any] = list_entries(telecom, read_point_name(name))
    elif name in _ELEMENTS:
        found = [patient.get(item) for item in _ELEMENTS[name]]
    else:
        return None
    text = json.dumps(found, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def keep_elements(patient: Resource, name: str) -> Resource:
    """Return the elements that a preference would change, as they are; None for absent."""
    return {item: patient.get(item) for item in _ELEMENTS.get(name, ())}


def amend_patient(patient: Resource, name: str, value: Any) -> Resource | None:
    """Return the Patient with a preference in it; None where it has no place there."""
    if is_point(name):
        return amend_telecom(patient, name, value)
    amend = _AMEND.get(name)
    return None if amend is None or value is None else amend(patient, value)


def _language(patient: Resource, tag: Any) -> Resource | None:
    """Prefer one language; the others stay, and with them what is said of each."""
    if not isinstance(tag, str):
        return None
    entries = [dict_of(item) for item in list_of(patient.get("communication"))]
    same = [entry for entry in entries if _speaks(entry, tag)]
    if not same:
        coding = {"system": LANGUAGE, "code": tag}
        same = [{"language": {"coding": [coding]}}]
        entries = [*entries, *same]
    changed = [
        {**entry, "preferred": True}
        if entry is same[0]
        else {key: part for key, part in entry.items() if key != "preferred"}
        for entry in entries
    ]
    return {**patient, "communication": changed}


def _speaks(entry: Resource, tag: str) -> bool:
    codes = {code.replace("_", "-") for _, code in codings_of(entry.get("language"))}
    return tag in codes


def _interpreter(patient: Resource, needed: Any) -> Resource | None:
    if not isinstance(needed, bool):
        return None
    code, display = NEEDED[needed]
    coding = {"system": SNOMED, "code": code, "display": display}
    kept = [
        item
        for item in list_of(patient.get("extension"))
        if dict_of(item).get("url") not in (INTERPRETER, INTERPRETER_BASE)
    ]
    stated = {"url": INTERPRETER, "valueCoding": coding}
    return {**patient, "extension": [*kept, stated]}


def _channels(patient: Resource, order: Any) -> Resource | None:
    """Rank the contact points by the order of channels; others keep what they have."""
    points = [dict_of(item) for item in list_of(patient.get("telecom"))]
    places = {
        id(point): list_of(order).index(found[0])
        for point in points
        for found in [read_address_value(point.get("system"), point.get("value"))]
        if found is not None and found[0] in list_of(order)
        if point.get("use") != "old"
    }
    if not places:
        return None
    ranked = sorted(
        (point for point in points if id(point) in places),
        key=lambda point: (places[id(point)], int(point.get("rank") or 99)),
    )
    ranks = {id(point): rank for rank, point in enumerate(ranked, 1)}
    changed = [
        {**point, "rank": ranks[id(point)]} if id(point) in ranks else point
        for point in points
    ]
    return {**patient, "telecom": changed}


_ELEMENTS: dict[str, tuple[str, ...]] = {
    "language": ("communication",),
    "interpreter": ("extension",),
    "channels": ("telecom",),
}
_AMEND: dict[str, Callable[[Resource, Any], Resource | None]] = {
    "language": _language,
    "interpreter": _interpreter,
    "channels": _channels,
}
