"""Our own Communications read back: what the EHR remembers of what we sent.

The counterpart of :mod:`mappings.communication`; anything that is not ours is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mappings.codes import CHANNELS, PARTICIPATION_MODE
from mappings.communication import IDENTIFIERS, LANGUAGE
from mappings.instants import find_instant
from mappings.plan import TOPIC
from mappings.resource import Resource, codings_of, extension_value, list_of

DELIVERY = f"{IDENTIFIERS}/delivery"
NUDGE_KEY = f"{IDENTIFIERS}/nudge-key"
GONE = frozenset({"in-progress", "completed", "unknown"})


@dataclass(frozen=True)
class OwnCommunication:
    """One message of ours, as the EHR remembers it; ``gone`` when it left us."""

    delivery_id: str
    nudge_key: str | None
    patient: str
    channel: str
    provider_id: str | None
    topic: str
    text: str
    language: str
    sent_at: datetime | None
    gone: bool


def read_own_communication(resource: Resource) -> OwnCommunication | None:
    """Read a Communication (R4); None when it carries no delivery id of ours."""
    names = {
        str(item.get("system")): str(item.get("value"))
        for item in list_of(resource.get("identifier"))
        if isinstance(item, dict) and item.get("value")
    }
    if resource.get("resourceType") != "Communication" or DELIVERY not in names:
        return None
    channel = _code(resource.get("medium"), PARTICIPATION_MODE, CHANNELS)
    payload: Resource = next(iter(list_of(resource.get("payload"))), {})
    return OwnCommunication(
        delivery_id=names[DELIVERY],
        nudge_key=names.get(NUDGE_KEY),
        patient=str((resource.get("subject") or {}).get("reference") or ""),
        channel=channel,
        provider_id=names.get(f"{IDENTIFIERS}/provider-{channel}"),
        topic=_topic(resource),
        text=str(payload.get("contentString") or ""),
        language=str(extension_value(payload, LANGUAGE) or ""),
        sent_at=find_instant(resource.get("sent")),
        gone=str(resource.get("status")) in GONE,
    )


def _code(value: object, system: str, words: dict[str, str]) -> str:
    for found, code in codings_of(value):
        if found == system and code in words:
            return words[code]
    return "screen"


def _topic(resource: Resource) -> str:
    for system, code in codings_of(resource.get("category")):
        if system == TOPIC:
            return code
    return ""
