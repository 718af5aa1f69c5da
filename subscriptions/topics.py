"""The topics that a server publishes, wherever it says so.

Pure. Sources: Subscriptions R5 Backport IG 1.1 (capabilitystatement-
subscriptiontopic-canonical; SubscriptionTopic in R4 as Basic); FHIR R4B and R5
SubscriptionTopic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mappings.capabilities import list_declared
from mappings.dialects.dialect import TopicRule
from mappings.dialects.registry import KNOWN_TOPICS
from mappings.resource import dict_of, list_of

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
        rule = _read_rule(resource)
        if rule is not None:
            found.setdefault(rule.canonical, rule)
    for canonical in list_canonicals(statement):
        known = KNOWN_TOPICS.get(canonical)
        if known is not None:
            found[canonical] = known
    return tuple(found.values())


def list_canonicals(statement: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the canonicals that a CapabilityStatement names, without versions.

    Those that it instantiates are among them: some servers name a topic only there.
    """
    named = [str(url) for url in list_of(statement.get("instantiates"))]
    return _plain([*named, *list_declared_topics(statement)])


def list_declared_topics(statement: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the topics that a CapabilityStatement declares, without versions."""
    extensions = [
        dict_of(extension)
        for declared in list_declared(statement, "Subscription")
        for extension in list_of(declared.get("extension"))
    ]
    named = (item for item in extensions if item.get("url") == CANONICAL)
    return _plain(str(item.get("valueCanonical") or "") for item in named)


def read_canonical(resource: Mapping[str, Any]) -> str | None:
    """Return the canonical of a SubscriptionTopic, or of the Basic that stands for it."""
    if resource.get("resourceType") == "SubscriptionTopic":
        return str(resource.get("url") or "") or None
    if resource.get("resourceType") != "Basic":
        return None
    named = [
        str(extension.get("valueUri") or "")
        for extension in map(dict_of, list_of(resource.get("extension")))
        if str(extension.get("url") or "").partition(_ELEMENT)[2] == "url"
    ]
    return named[-1] or None if named else None


def _plain(urls: Iterable[str]) -> tuple[str, ...]:
    plain = (url.partition("|")[0] for url in urls)
    return tuple(dict.fromkeys(url for url in plain if url))


def _read_rule(resource: Mapping[str, Any]) -> TopicRule | None:
    url = read_canonical(resource)
    if url is None:
        return None
    basic = resource.get("resourceType") == "Basic"
    return _rule(url, _read_basic(resource) if basic else _read_topic(resource))


def _read_topic(resource: Mapping[str, Any]) -> dict[str, set[Any]]:
    triggers = [dict_of(item) for item in list_of(resource.get("resourceTrigger"))]
    return {
        _tail(trigger.get("resource")): set(
            list_of(trigger.get("supportedInteraction"))
            or list_of(trigger.get("methodCriteria"))
        )
        for trigger in triggers
        if not trigger.get("queryCriteria") and not trigger.get("fhirPathCriteria")
    }


def _read_basic(resource: Mapping[str, Any]) -> dict[str, set[Any]]:
    types: dict[str, set[Any]] = {}
    for extension in map(dict_of, list_of(resource.get("extension"))):
        name = str(extension.get("url") or "").partition(_ELEMENT)[2]
        parts = [dict_of(part) for part in list_of(extension.get("extension"))]
        named = {str(part.get("url")) for part in parts}
        if name != "resourceTrigger" or named & {"queryCriteria", "fhirPathCriteria"}:
            continue
        kind = next(
            (p.get("valueUri") for p in parts if p.get("url") == "resource"), ""
        )
        types[_tail(kind)] = {
            p.get("valueCode") for p in parts if p.get("url") == "supportedInteraction"
        }
    return types


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
