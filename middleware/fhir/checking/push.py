"""Which forms of Subscription the server has, and whether it can reach our hook.

Sources: FHIR R4 Subscription; Subscriptions R5 Backport IG 1.1, conformance and topic
discovery.
"""

from __future__ import annotations

from typing import Any

from mappings.capabilities import find_declared, read_interactions
from mappings.event import FOCUS_TYPES
from mappings.resource import dict_of, list_of, values_at
from middleware.fhir.addresses import host_of, leads_here
from middleware.fhir.checking.finding import Seen
from middleware.fhir.checking.talk import Talk
from subscriptions.definition import BACKPORT
from subscriptions.topics import QUERIES, list_declared_topics, read_canonical

PROFILE = f"{BACKPORT}backport-subscription"


def check_forms(talk: Talk) -> Seen:
    """Say which Subscriptions can be asked for, and which topics there are."""
    if talk.statement is None:
        exchange = talk.get("metadata")
        if exchange.status == 200 and exchange.kind == "CapabilityStatement":
            talk.statement = exchange.body
    asked = f"GET {talk.base}/metadata"
    if talk.statement is None:
        return Seen("subscriptions-unknown", "no CapabilityStatement", asked)
    declared = find_declared(talk.statement, "Subscription")
    if declared is None:
        return Seen("subscriptions-none", "Subscription is not declared", asked)
    if "create" not in read_interactions(declared):
        told = "Subscription is declared without create"
        return Seen("subscriptions-read-only", told, asked)
    if not has_backport(declared):
        return Seen("ok", "form criteria (R4 rest-hook)")
    topics = _find_topics(talk)
    if not topics:
        told = "the backport profile is declared, and no topic can be found"
        return Seen("topics-none", told, asked)
    return Seen("ok", f"forms criteria and backport; topics {', '.join(topics[:8])}")


def has_backport(declared: dict[str, Any]) -> bool:
    """Tell whether the backport profile is among those supported."""
    listed = list_of(declared.get("supportedProfile"))
    return any(str(item).partition("|")[0] == PROFILE for item in listed)


def find_topic(talk: Talk) -> tuple[str, str] | None:
    """Return a focus type with a topic whose name speaks of it, for a handshake."""
    declared = find_declared(talk.statement, "Subscription") or {}
    if not has_backport(declared):
        return None
    topics = _find_topics(talk)
    for name in FOCUS_TYPES:
        for topic in topics:
            if name.lower() in topic.rpartition("/")[2].lower():
                return name, topic
    return ("Encounter", topics[0]) if topics else None


def _find_topics(talk: Talk) -> list[str]:
    """Return the topics that the server publishes, wherever it says so."""
    found = list(list_declared_topics(talk.statement or {}))
    for query in QUERIES:
        exchange = talk.get(query)
        if exchange.status == 200 and exchange.kind == "Bundle":
            kept = values_at(exchange.body, "entry.resource")
            found += filter(None, map(read_canonical, map(dict_of, kept)))
    return list(dict.fromkeys(found))


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
