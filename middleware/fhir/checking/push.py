"""Which forms of Subscription the server has, and whether it can reach our hook.

Sources: FHIR R4 Subscription; Subscriptions R5 Backport IG 1.1, conformance and topic
discovery.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mappings.event import FOCUS_TYPES
from middleware.fhir.addresses import host_of, leads_here
from middleware.fhir.bundles import list_entries
from middleware.fhir.checking.documents import find_resource
from middleware.fhir.checking.finding import Seen
from middleware.fhir.checking.talk import Talk
from subscriptions.definition import BACKPORT

PROFILE = f"{BACKPORT}backport-subscription"
CANONICAL = f"{BACKPORT}capabilitystatement-subscriptiontopic-canonical"
BASICS = "Basic?code=http://hl7.org/fhir/fhir-types|SubscriptionTopic&_count=50"


def check_forms(talk: Talk) -> Seen:
    """Say which Subscriptions can be asked for, and which topics there are."""
    if talk.statement is None:
        exchange = talk.get("metadata")
        if exchange.status == 200 and exchange.kind == "CapabilityStatement":
            talk.statement = exchange.body
    asked = f"GET {talk.base}/metadata"
    if talk.statement is None:
        return Seen("subscriptions-unknown", "no CapabilityStatement", asked)
    declared = find_resource(talk.statement, "Subscription")
    if declared is None:
        return Seen("subscriptions-none", "Subscription is not declared", asked)
    if "create" not in read_interactions(declared):
        told = "Subscription is declared without create"
        return Seen("subscriptions-read-only", told, asked)
    if not has_backport(declared):
        return Seen("ok", "form criteria (R4 rest-hook)")
    topics = list(dict.fromkeys([*read_topics(declared), *_fetch_topics(talk)]))
    if not topics:
        told = "the backport profile is declared, and no topic can be found"
        return Seen("topics-none", told, asked)
    return Seen("ok", f"forms criteria and backport; topics {', '.join(topics[:8])}")


def read_interactions(declared: dict[str, Any]) -> set[str]:
    """Return the interactions that a CapabilityStatement declares for a type."""
    listed = declared.get("interaction")
    items = listed if isinstance(listed, list) else []
    return {str(item.get("code")) for item in items if isinstance(item, dict)}


def has_backport(declared: dict[str, Any]) -> bool:
    """Tell whether the backport profile is among those supported."""
    profiles = declared.get("supportedProfile")
    listed = profiles if isinstance(profiles, list) else []
    return any(str(item).partition("|")[0] == PROFILE for item in listed)


def read_topics(declared: dict[str, Any]) -> Iterator[str]:
    """Yield the topic canonicals that the CapabilityStatement lists."""
    extensions = declared.get("extension")
    for extension in extensions if isinstance(extensions, list) else []:
        if isinstance(extension, dict) and extension.get("url") == CANONICAL:
            yield str(extension.get("valueCanonical"))


def find_topic(talk: Talk) -> tuple[str, str] | None:
    """Return a focus type with a topic whose name speaks of it, for a handshake."""
    declared = find_resource(talk.statement, "Subscription") or {}
    if not has_backport(declared):
        return None
    topics = [*read_topics(declared), *_fetch_topics(talk)]
    for name in FOCUS_TYPES:
        for topic in topics:
            if name.lower() in topic.rpartition("/")[2].lower():
                return name, topic
    return ("Encounter", topics[0]) if topics else None


def _fetch_topics(talk: Talk) -> Iterator[str]:
    """Look where servers keep topics besides: SubscriptionTopic, and Basic in R4."""
    for path in ("SubscriptionTopic?_count=50", BASICS):
        exchange = talk.get(path)
        if exchange.status != 200 or exchange.kind != "Bundle":
            continue
        for entry in list_entries(exchange.body or {}):
            resource = entry.get("resource") if isinstance(entry, dict) else None
            yield from _canonicals(resource if isinstance(resource, dict) else {})


def _canonicals(resource: dict[str, Any]) -> Iterator[str]:
    if isinstance(resource.get("url"), str):
        yield resource["url"]
    extensions = resource.get("extension")
    for extension in extensions if isinstance(extensions, list) else []:
        named = isinstance(extension, dict) and str(extension.get("url")).endswith(
            "SubscriptionTopic.url"
        )
        if named and isinstance(extension.get("valueUri"), str):
            yield extension["valueUri"]


def judge_hook(public_url: str, base: str) -> Seen | None:
    """Say why the EHR cannot post to us, as far as the addresses tell; else None."""
    facts = {"url": public_url}
    if leads_here(public_url) and not leads_here(base):
        told = f"our public URL leads to {host_of(public_url)}"
        return Seen("hook-loopback", told, facts=facts)
    # A test server that is plain HTTP itself may post to us so.
    plain = public_url.startswith("http:") and base.startswith("https:")
    if plain and not leads_here(public_url):
        return Seen("hook-http", "our public URL begins with http:", facts=facts)
    return None


def check_listener(talk: Talk) -> Seen | None:
    """Say why our own hooks do not answer, as seen from here; else None."""
    url = f"{talk.public_url.rstrip('/')}/health/live"
    exchange = talk.caller.call("GET", url)
    if exchange.status == 200:
        return None
    told = f"{url}, asked from this machine, gave {exchange.told()}"
    return Seen("hook-silent", told, exchange.shown, {"url": talk.public_url})
