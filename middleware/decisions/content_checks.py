"""Checking content as FHIR resources: is it current, are its codes and references whole.

Each fault is one sentence that names the resource and the element.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from mappings.instants import read_bounds
from mappings.resource import Resource, dict_of, list_of

REVIEWED_WITHIN = timedelta(days=731)
CPT = "http://www.ama-assn.org/go/cpt"
LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
_OID = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9]\d*))+")
_LOINC = re.compile(r"(\d{1,7})-(\d)")
_SNOMED = re.compile(r"[1-9]\d{5,17}")
# The tables of Verhoeff's check digit (SNOMED CT Release File Specification 5.4).
_FOLLOWED = (
    "0123456789",
    "1234067895",
    "2340178956",
    "3401289567",
    "4012395678",
    "5987604321",
    "6598710432",
    "7659821043",
    "8765932104",
    "9876543210",
)
_PLACED = ("0123456789", "1576283094")


def check_content(content: Sequence[Resource], now: datetime) -> tuple[str, ...]:
    """Return what is past its date, badly coded or points to nothing."""
    known = {str(item.get("url")) for item in content}
    return tuple(
        fault
        for item in content
        for fault in (
            *_lapsed(item, now),
            *_code_faults(item),
            *_lost_references(item, known),
        )
    )


def _name(item: Resource) -> str:
    return f"{item.get('resourceType')}/{item.get('id')}"


def _lapsed(item: Resource, now: datetime) -> Iterator[str]:
    if item.get("status") != "active":
        return
    end = dict_of(item.get("effectivePeriod")).get("end")
    if isinstance(end, str) and read_bounds(end)[1] <= now:
        yield f"{_name(item)}: effectivePeriod.end: {end} has passed"
    reviewed = item.get("lastReviewDate")
    if isinstance(reviewed, str) and read_bounds(reviewed)[1] + REVIEWED_WITHIN <= now:
        yield f"{_name(item)}: lastReviewDate: {reviewed} is over 24 months ago"


# --- codes ------------------------------------------------------------------------


def _code_faults(item: Resource) -> Iterator[str]:
    for index, identifier in enumerate(list_of(item.get("identifier"))):
        value = str(identifier.get("value") or "")
        oid = value.startswith("urn:oid") or identifier.get("system") == (
            "urn:ietf:rfc:3986"
        )
        if oid and not _OID.fullmatch(value) and not value.startswith("urn:uuid:"):
            yield f"{_name(item)}: identifier[{index}].value: {value!r} is no OID"
    if item.get("resourceType") != "ValueSet":
        return
    include = list_of(dict_of(item.get("compose")).get("include"))
    for index, part in enumerate(include):
        for concept in list_of(part.get("concept")):
            fault = code_fault(str(part.get("system")), str(concept.get("code")))
            if fault:
                yield f"{_name(item)}: compose.include[{index}].concept: {fault}"


def code_fault(system: str, code: str) -> str | None:
    """Return what is wrong with a code by itself, or None."""
    if system == CPT:
        return f"{code} is a CPT code, which is not ours to distribute"
    if system == LOINC and not is_loinc(code):
        return f"{code} is no LOINC code: its check digit is wrong"
    if system == SNOMED and not is_snomed(code):
        return f"{code} is no SNOMED CT identifier: its check digit is wrong"
    return None


def is_loinc(code: str) -> bool:
    """Tell whether a LOINC code has its check digit (mod 10, LOINC Users' Guide D)."""
    found = _LOINC.fullmatch(code)
    if found is None:
        return code.startswith(("LP", "LA", "LL", "LG"))
    digits = [int(digit) for digit in reversed(found[1])]
    doubled = int("".join(str(digit) for digit in digits[::2][::-1])) * 2
    others = "".join(str(digit) for digit in digits[1::2][::-1])
    total = sum(int(digit) for digit in f"{others}{doubled}")
    return (-total) % 10 == int(found[2])


def is_snomed(code: str) -> bool:
    """Tell whether a SNOMED CT identifier has its check digit (Verhoeff)."""
    if not _SNOMED.fullmatch(code):
        return False
    check = 0
    for place, digit in enumerate(reversed(code)):
        moved = int(digit)
        for _ in range(place % 8):
            moved = int(_PLACED[1][moved])
        check = int(_FOLLOWED[check][moved])
    return check == 0


# --- references -------------------------------------------------------------------


def _lost_references(item: Resource, known: set[str]) -> Iterator[str]:
    for path, canonical in _canonicals(item, ""):
        if canonical.partition("|")[0] not in known:
            yield f"{_name(item)}: {path}: there is no {canonical}"
    steps = list(_every_step(item))
    ids = {str(step.get("id")) for step in steps}
    for step in steps:
        for related in list_of(step.get("relatedAction")):
            if str(related.get("actionId")) not in ids:
                lost = related.get("actionId")
                yield f"{_name(item)}: action {step.get('id')}: there is no {lost!r}"


def _every_step(item: Resource) -> Iterator[Resource]:
    for step in list_of(item.get("action")):
        if isinstance(step, dict):
            yield step
            yield from _every_step(step)


def _canonicals(item: Resource, path: str) -> Iterator[tuple[str, str]]:
    """Yield what an action points to: its definition and the value sets of its data."""
    for index, step in enumerate(list_of(item.get("action"))):
        here = f"{path}action[{index}]."
        definition = step.get("definitionCanonical")
        if definition:
            yield f"{here}definitionCanonical", str(definition)
        for place, needed in enumerate(list_of(step.get("input"))):
            for item_filter in list_of(needed.get("codeFilter")):
                if item_filter.get("valueSet"):
                    name = f"{here}input[{place}].codeFilter.valueSet"
                    yield name, str(item_filter["valueSet"])
        yield from _canonicals(step, here)
