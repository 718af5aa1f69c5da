"""A change of a resource as a patch that an EHR declares to take, instead of the whole.

Sources: RFC 6902 (JSON Patch); FHIR R4 http.html#patch and fhirpatch.html. A patch leaves
alone what an EHR holds and did not show us; what is replaced is tested first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mappings.capabilities import find_declared, read_interactions
from mappings.resource import Resource, dict_of, list_of, values_at

JSON_PATCH = "application/json-patch+json"
FHIR_JSON = "application/fhir+json"
JSON, FHIRPATH, WHOLE = "json-patch", "fhirpath-patch", "update"


def list_ways(statement: Mapping[str, Any] | None, kind: str) -> list[str]:
    """Return the ways in which a type may be changed by id, the one to try first first.

    A server that declares patch and no format takes JSON Patch, which all of them know.
    """
    declared = find_declared(statement, kind)
    if declared is None:
        return []
    known = read_interactions(declared)
    formats = {str(item) for item in values_at(statement or {}, "patchFormat")}
    ways = {
        JSON: "patch" in known and (not formats or JSON_PATCH in formats),
        FHIRPATH: "patch" in known and FHIR_JSON in formats,
        WHOLE: "update" in known,
    }
    return [way for way, open_ in ways.items() if open_]


def write_json_patch(before: Resource, after: Resource) -> list[dict[str, Any]]:
    """Return the operations that make one resource of the other."""
    return list(_differ("", before, after))


def write_fhirpath_patch(before: Resource, after: Resource) -> Resource | None:
    """Return the same as a Parameters resource; None where more than telecom differs."""
    same = {**before, "telecom": None} == {**after, "telecom": None}
    old, new = list_of(before.get("telecom")), list_of(after.get("telecom"))
    if not same or len(new) < len(old):
        return None
    changed = [
        _operation("replace", f"Patient.telecom[{index}]", entry)
        for index, entry in enumerate(new[: len(old)])
        if entry != old[index]
    ]
    added = [
        _operation("add", "Patient", entry, "telecom") for entry in new[len(old) :]
    ]
    return {"resourceType": "Parameters", "parameter": [*changed, *added]}


def _operation(kind: str, path: str, entry: Any, name: str = "") -> dict[str, Any]:
    parts: list[dict[str, Any]] = [
        {"name": "type", "valueCode": kind},
        {"name": "path", "valueString": path},
    ]
    if name:
        parts.append({"name": "name", "valueString": name})
    parts.append({"name": "value", "valueContactPoint": entry})
    return {"name": "operation", "part": parts}


def _differ(path: str, before: Any, after: Any) -> Iterator[dict[str, Any]]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _differ_in(path, before, after)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _differ_along(path, before, after)
    else:
        yield {"op": "test", "path": path, "value": before}
        yield {"op": "replace", "path": path, "value": after}


def _differ_in(
    path: str, before: Resource, after: Resource
) -> Iterator[dict[str, Any]]:
    """Compare two objects; an element's id says which one is meant (Oracle asks for it)."""
    if path and "id" in before:
        yield {"op": "test", "path": f"{path}/id", "value": before["id"]}
    for key in sorted({*before, *after}):
        where = f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
        if key not in after:
            yield {"op": "remove", "path": where}
        elif key not in before:
            yield {"op": "add", "path": where, "value": after[key]}
        else:
            yield from _differ(where, before[key], after[key])


def _differ_along(
    path: str, before: list[Any], after: list[Any]
) -> Iterator[dict[str, Any]]:
    if len(after) < len(before):
        yield {"op": "test", "path": path, "value": before}
        yield {"op": "replace", "path": path, "value": after}
        return
    for index, entry in enumerate(before):
        value = dict_of(entry).get("value")
        if entry != after[index] and value is not None and "id" not in dict_of(entry):
            yield {"op": "test", "path": f"{path}/{index}/value", "value": value}
        yield from _differ(f"{path}/{index}", entry, after[index])
    for entry in after[len(before) :]:
        yield {"op": "add", "path": f"{path}/-", "value": entry}
