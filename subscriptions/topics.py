"""The topics that a server publishes, wherever it says so.

Pure. Sources: Subscriptions R5 Backport IG 1.1 (capabilitystatement-
subscriptiontopic-canonical; SubscriptionTopic in R4 as Basic); FHIR R4B and R5
SubscriptionTopic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mappings.dialects.dialect import TopicRule
from mappings.dialects.registry import KNOWN_TOPICS

CANONICAL = (
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
    "capabilitystatement-subscriptiontopic-canonical"
)
QUERIES = (
    "SubscriptionTopic?_count=100",
    "Basic?code=http://hl7.org/fhir/fhir-types|SubscriptionTopic&_count=100",
)
_ELEMENT = "/extension-SubscriptionTopic."


def read_topics(
    statement: Mapping[str, Any], resources: Iterable[Mapping[str, Any]]
) -> tuple[TopicRule, ...]:
    """Return the topics whose types are known, each once.

    ``resources`` are SubscriptionTopics and the Basics that stand for them. A canonical
    that nothing describes is left out: what it tells of can only be guessed.
    """
    found: dict[str, TopicRule] = {}
    for resource in resources:
        rule = _read_basic(resource) or _read_topic(resource)
        if rule is not None:
            found.setdefault(rule.canonical, rule)
    for canonical in list_canonicals(statement):
        known = KNOWN_TOPICS.get(canonical)
        if known is not None:
            found[canonical] = known
    return tuple(found.values())


def list_canonicals(statement: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the canonicals that a CapabilityStatement names, without versions."""
    named = [str(url) for url in _list(statement.get("instantiates"))]
    for rest in _list(statement.get("rest")):
        for resource in _list(_map(rest).get("resource")):
            if _map(resource).get("type") != "Subscription":
                continue
            for extension in _list(_map(resource).get("extension")):
                named += _canonical(_map(extension))
    plain = (url.partition("|")[0] for url in named)
    return tuple(dict.fromkeys(url for url in plain if url))


def _canonical(extension: Mapping[str, Any]) -> list[str]:
    named = extension.get("url") == CANONICAL
    return [str(extension.get("valueCanonical") or "")] if named else []


def _read_topic(resource: Mapping[str, Any]) -> TopicRule | None:
    if resource.get("resourceType") != "SubscriptionTopic" or not resource.get("url"):
        return None
    triggers = [_map(item) for item in _list(resource.get("resourceTrigger"))]
    types = {
        _tail(trigger.get("resource")): set(
            _list(trigger.get("supportedInteraction"))
            or _list(trigger.get("methodCriteria"))
        )
        for trigger in triggers
        if not trigger.get("queryCriteria") and not trigger.get("fhirPathCriteria")
    }
    return _rule(str(resource["url"]), types)


def _read_basic(resource: Mapping[str, Any]) -> TopicRule | None:
    if resource.get("resourceType") != "Basic":
        return None
    url, types = "", {}
    for extension in map(_map, _list(resource.get("extension"))):
        name = str(extension.get("url") or "").partition(_ELEMENT)[2]
        if name == "url":
            url = str(extension.get("valueUri") or "")
        elif name == "resourceTrigger":
            parts = [_map(part) for part in _list(extension.get("extension"))]
            named = {str(part.get("url")) for part in parts}
            if named & {"queryCriteria", "fhirPathCriteria"}:
                continue
            kind = next(
                (p.get("valueUri") for p in parts if p.get("url") == "resource"), ""
            )
            types[_tail(kind)] = {
                p.get("valueCode")
                for p in parts
                if p.get("url") == "supportedInteraction"
            }
    return _rule(url, types) if url else None


def _rule(url: str, types: Mapping[str, set[Any]]) -> TopicRule | None:
    """Keep the types of which every create and update is told."""
    whole = [
        kind
        for kind, interactions in types.items()
        if kind and (not interactions or {"create", "update"} <= interactions)
    ]
    canonical = url.partition("|")[0]
    if canonical in KNOWN_TOPICS:
        return KNOWN_TOPICS[canonical]
    return TopicRule(canonical, tuple(whole)) if whole else None


def _tail(url: Any) -> str:
    return str(url or "").rpartition("/")[2]


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
