"""Clinical content: FHIR JSON in, one :class:`Library` of plain values out.

Plans, messages, value sets and the disposition map are data files. What cannot be read
raises ContentError naming the resource; nothing half-read is ever used.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import orjson

from mappings.content_plan import read_plan
from mappings.errors import ContentError
from mappings.plan import NS, Library, Plan, Wording
from mappings.resource import Resource, extensions_of, list_of

WORDING = f"{NS}/StructureDefinition/wording"
CHANNELS = ("sms", "email", "screen")
# The reviewer of wordings that come along: a site may send them, and adopts them.
SHIPPED = "CareCue content, site adoption required"


def read_library(
    content: Sequence[Resource], reviewers: Mapping[str, str] | None = None
) -> Library:
    """Read content resources into a library; raise ContentError naming the bad one.

    ``reviewers`` (language to person) approve the wordings that carry no reviewer of
    their own. Plans that are not ``active`` are left out.
    """
    by_type: dict[str, list[Resource]] = {}
    for resource in content:
        by_type.setdefault(str(resource.get("resourceType")), []).append(resource)
    value_sets = _value_sets(by_type.get("ValueSet", ()))
    definitions = {
        str(item.get("url")): item for item in by_type.get("ActivityDefinition", ())
    }
    plans = [
        read_plan(item, definitions, value_sets)
        for item in by_type.get("PlanDefinition", ())
        if item.get("status") == "active"
    ]
    wordings = [
        wording
        for definition in definitions.values()
        for wording in _wordings(definition, reviewers or {})
    ]
    return Library(
        plans=tuple(sorted(plans, key=_urgency)),
        wordings=tuple(wordings),
        value_sets=value_sets,
        dispositions=_dispositions(by_type.get("ConceptMap", ())),
    )


def load_shipped(reviewers: Mapping[str, str] | None = None) -> Library:
    """Read the library that is shipped in the package."""
    return read_library(shipped_resources(), reviewers)


@functools.cache
def shipped_resources() -> tuple[Resource, ...]:
    """Return the shipped content as FHIR resources, in a stable order."""
    files = sorted(_json_files(resources.files("mappings.library")), key=str)
    return tuple(orjson.loads(item.read_bytes()) for item in files)


def _json_files(folder: Traversable) -> Iterable[Traversable]:
    for item in folder.iterdir():
        if item.is_dir():
            yield from _json_files(item)
        elif item.name.endswith(".json"):
            yield item


def _urgency(plan: Plan) -> tuple[int, str]:
    return plan.priority, plan.id


def _wordings(definition: Resource, reviewers: Mapping[str, str]) -> Iterable[Wording]:
    url = str(definition.get("url"))
    for extension in extensions_of(definition, WORDING):
        parts = {
            str(part.get("url")): next(
                (value for name, value in part.items() if name.startswith("value")), ""
            )
            for part in list_of(extension.get("extension"))
        }
        channel, language = str(parts.get("channel")), str(parts.get("language"))
        text = str(parts.get("text") or "")
        if channel not in CHANNELS or not language or not text:
            raise ContentError(
                f"{url}: a wording lacks its channel, language or text; add them"
            )
        base = language.split("-", maxsplit=1)[0]
        review = parts.get("reviewer") or reviewers.get(language) or reviewers.get(base)
        reviewer, reviewed = split_review(str(review or ""))
        yield Wording(
            definition=url,
            channel=channel,
            language=language,
            subject=str(parts.get("subject") or ""),
            text=text,
            reviewer=reviewer or None,
            reviewed=reviewed,
        )


def split_review(text: str) -> tuple[str, str]:
    """Split ``Dr. Ferrer, 2026-08-20`` into who approved and when; the day may lack."""
    name, _, day = text.rpartition(", ")
    try:
        written = date.fromisoformat(day).isoformat() == day
    except ValueError:
        return text, ""
    return (name, day) if name and written else (text, "")


def _value_sets(
    content: Iterable[Resource],
) -> dict[str, frozenset[tuple[str, str]]]:
    found: dict[str, frozenset[tuple[str, str]]] = {}
    for resource in content:
        members = frozenset(_members(resource))
        if not members:
            raise ContentError(f"ValueSet {resource.get('id')} has no members")
        found[str(resource.get("id"))] = members
        found[str(resource.get("url"))] = members
    return found


def _members(resource: Resource) -> Iterable[tuple[str, str]]:
    compose: dict[str, Any] = resource.get("compose") or {}
    for include in list_of(compose.get("include")):
        system = str(include.get("system"))
        for concept in list_of(include.get("concept")):
            yield system, str(concept.get("code"))
        for item in list_of(include.get("filter")):
            branch = item.get("op") == "is-a" and "icd-10" in system
            if not branch:
                raise ContentError(
                    f"ValueSet {resource.get('id')}: only is-a on ICD-10 codes can be "
                    "read without a terminology server; list the codes instead"
                )
            yield system, f"{item.get('value')}*"


def _dispositions(content: Iterable[Resource]) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for resource in content:
        if not str(resource.get("url")).endswith("/ConceptMap/disposition"):
            continue
        for group in list_of(resource.get("group")):
            for element in list_of(group.get("element")):
                for target in list_of(element.get("target")):
                    key = (str(group.get("source")), str(element.get("code")))
                    found[key] = str(target.get("code"))
    return found
