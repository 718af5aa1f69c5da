"""Messages that others sent: Communications in the EHR that are not ours.

They count against what a patient is written in a week, whoever wrote it. Source: FHIR
R4 Communication.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from mappings.codes import CHANNELS, PARTICIPATION_MODE
from mappings.instants import find_instant
from mappings.own_communication import read_own_communication
from mappings.plan import TOPIC
from mappings.preference import SentMessage
from mappings.reference import read_reference
from mappings.resource import Resource, codings_of, dict_of, list_of

OTHER = "other"
PEOPLE = ("Patient/", "RelatedPerson/")


def read_others(
    resources: Iterable[Resource], now: datetime
) -> tuple[SentMessage, ...]:
    """Return what was sent to the patient, or to whom stands beside, oldest first."""
    # Another's plan may bear the name of one of ours.
    found = [
        replace(message, about=None)
        for item in resources
        if item.get("status") == "completed" and read_own_communication(item) is None
        for message in [read_sent(item)]
        if message is not None and message.sent_at <= now
    ]
    return tuple(sorted(found, key=lambda item: (item.sent_at, item.topic)))


def read_sent(communication: Resource) -> SentMessage | None:
    """Return what a Communication says went out; None where nothing did.

    Of the plan that it came of the id is told, where it names one.
    """
    sent = find_instant(communication.get("sent"))
    done = communication.get("status") in ("completed", "in-progress")
    if sent is None or not done or not _is_outward(communication):
        return None
    canonical = next(iter(list_of(communication.get("instantiatesCanonical"))), "")
    plan = str(canonical).partition("|")[0].rpartition("/")[2]
    about = (plan, "", "") if plan else None
    return SentMessage(
        sent, _topic(communication), _channel(communication), about=about
    )


def _is_outward(communication: Resource) -> bool:
    """Tell whether it went to the patient's side, not from there or among staff."""
    sender = read_reference(communication.get("sender")) or ""
    named = [read_reference(one) for one in list_of(communication.get("recipient"))]
    known = [one for one in named if one]
    to_them = not known or any(one.startswith(PEOPLE) for one in known)
    return to_them and not sender.startswith(PEOPLE)


def _channel(communication: Resource) -> str:
    codes = [
        code
        for system, code in codings_of(communication.get("medium"))
        if system == PARTICIPATION_MODE
    ]
    return next((CHANNELS.get(code, code.lower()) for code in codes), OTHER)


def _topic(communication: Resource) -> str:
    named = [
        *codings_of(communication.get("category")),
        *codings_of(dict_of(communication.get("topic"))),
    ]
    return next((code for system, code in named if system == TOPIC), OTHER)
