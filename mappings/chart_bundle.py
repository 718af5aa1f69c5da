"""One patient's chart out of a FHIR Bundle of any type, as it lies in a file.

References by ``fullUrl`` (``urn:uuid`` in transactions and documents, R4
bundle.html#references), and those under the base of one, are read as ``Type/id``; of
several versions the newest counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from mappings.bases import read_base_keys
from mappings.chart import Chart
from mappings.errors import BadInputError
from mappings.instants import find_instant
from mappings.reference import (
    bring_references_home,
    focus_patient,
    of_another,
    reference_of,
)
from mappings.resource import Resource, dict_of, list_of

DELETED = "_deleted"


def read_bundle_chart(bundle: Any, focus: str, now: datetime) -> Chart:
    """Return the chart of the patient that ``focus`` (``Type/id``) is about.

    Raises BadInputError when it is no Bundle, lacks the focus or lacks its patient, or
    says itself that it is not all: a page of many, or a search that failed in part.
    """
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise BadInputError("The file is not a FHIR Bundle.")
    if "/" not in focus.strip("/"):
        raise BadInputError(f"{focus!r} is no reference like Encounter/123.")
    if fault := _lack(bundle):
        raise BadInputError(fault)
    named = {reference_of(item): item for item in _newest(_resources(bundle))}
    if focus not in named:
        raise BadInputError(f"The Bundle has no {focus}.")
    if named[focus].get(DELETED):
        raise BadInputError(f"{focus} was deleted: nothing follows from it.")
    patient = focus_patient(named[focus])
    if patient is None:
        raise BadInputError(f"{focus} does not say which patient it is about.")
    if patient not in named or named[patient].get(DELETED):
        raise BadInputError(f"The Bundle has no {patient}, whom {focus} is about.")
    others = (item for name, item in named.items() if name != patient)
    return Chart(
        patient=named[patient],
        resources=tuple(
            item
            for item in others
            if not of_another(item, patient)
            and (not item.get(DELETED) or reference_of(item) == focus)
        ),
        read_at=now,
    )


def _lack(bundle: Resource) -> str:
    """Return why the Bundle is not the whole chart, as far as it says so itself."""
    links = {dict_of(item).get("relation") for item in list_of(bundle.get("link"))}
    if "next" in links:
        return "The Bundle is one page of several: a link leads to the next."
    for entry in map(dict_of, list_of(bundle.get("entry"))):
        outcome = dict_of(entry.get("resource"))
        if outcome.get("resourceType") != "OperationOutcome":
            continue
        issues = map(dict_of, list_of(outcome.get("issue")))
        if any(item.get("severity") in ("error", "fatal") for item in issues):
            return (
                "The Bundle is incomplete: an OperationOutcome in it tells of an error."
            )
    return ""


def _resources(bundle: Resource) -> Iterator[Resource]:
    """Yield what the entries carry, with references made relative."""
    entries = [item for item in list_of(bundle.get("entry")) if isinstance(item, dict)]
    names = dict(_full_urls(entries))
    homes = read_base_keys(
        url.removesuffix(f"/{name}")
        for url, name in names.items()
        if url.endswith(f"/{name}")
    )
    for entry in entries:
        resource = entry.get("resource")
        url = str(entry.get("fullUrl") or "")
        request = dict_of(entry.get("request"))
        if isinstance(resource, dict) and resource.get("resourceType"):
            if resource["resourceType"] == "Bundle":
                yield from _resources(resource)
                continue
            identified = {**resource, "id": resource.get("id") or _tail(url)}
            found = dict_of(_relative(identified, names))
            bring_references_home(found, homes)
            yield found
        elif request.get("method") == "DELETE":
            yield from _deleted(entry, url or str(request.get("url") or ""))


def _deleted(entry: Resource, url: str) -> Iterator[Resource]:
    """Yield what stands for a resource that was deleted, with when if that is said."""
    parts = url.split("?", 1)[0].strip("/").split("/_history", 1)[0].rsplit("/", 2)
    if len(parts) > 1:
        at = dict_of(entry.get("response")).get("lastModified")
        kind, identifier = parts[-2:]
        meta = {"lastUpdated": at}
        yield {"resourceType": kind, "id": identifier, "meta": meta, DELETED: True}


def _full_urls(entries: Iterable[Resource]) -> Iterator[tuple[str, str]]:
    for entry in entries:
        url, resource = entry.get("fullUrl"), entry.get("resource")
        if isinstance(url, str) and isinstance(resource, dict):
            identifier = resource.get("id") or _tail(url)
            yield url, f"{resource.get('resourceType')}/{identifier}"


def _tail(url: str) -> str:
    return url.replace(":", "/").rsplit("/", 1)[-1]


def _relative(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_relative(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    found = {name: _relative(item, names) for name, item in value.items()}
    target = found.get("reference")
    if isinstance(target, str) and target in names:
        found["reference"] = names[target]
    return found


def _newest(resources: Iterable[Resource]) -> Iterator[Resource]:
    """Yield one version of each resource: the newest, else the first that stands.

    What was deleted is gone, unless it is known to have come back since.
    """
    found: dict[str, Resource] = {}
    deleted: dict[str, Resource] = {}
    for resource in resources:
        if resource.get(DELETED):
            deleted[reference_of(resource)] = resource
            continue
        known = found.setdefault(reference_of(resource), resource)
        if _age(resource) > _age(known):
            found[reference_of(resource)] = resource
    for name, gone in deleted.items():
        since, at = _updated(found.get(name, {})), _updated(gone)
        if since is None or at is None or since <= at:
            found[name] = gone
    yield from found.values()


def _updated(resource: Resource) -> datetime | None:
    return find_instant(dict_of(resource.get("meta")).get("lastUpdated"))


def _age(resource: Resource) -> tuple[int, float]:
    meta = dict_of(resource.get("meta"))
    version = str(meta.get("versionId") or "")
    updated = find_instant(meta.get("lastUpdated"))
    return (
        int(version) if version.isdecimal() and len(version) < 19 else -1,
        updated.timestamp() if updated is not None else 0.0,
    )
