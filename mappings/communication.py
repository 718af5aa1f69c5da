"""What goes back to the EHR: CommunicationRequest, Communication and Task (R4).

Each carries an identifier of ours first, so that a conditional create finds it again.
The content is what was said and nothing that was not.
"""

from __future__ import annotations

import re
import uuid
from datetime import datetime
from typing import Any

from mappings.codes import MEDIUM, PARTICIPATION_MODE
from mappings.delivery import Delivery, DeliveryState
from mappings.endpoint import Endpoint
from mappings.instants import write_instant
from mappings.nudge import Nudge
from mappings.plan import NS, TOPIC
from mappings.resource import Resource

CATEGORY = "http://terminology.hl7.org/CodeSystem/communication-category"
NOT_DONE = "http://terminology.hl7.org/CodeSystem/communication-not-done-reason"
INSTANTIATES = "http://hl7.org/fhir/StructureDefinition/workflow-instantiatesCanonical"
LANGUAGE = "http://hl7.org/fhir/StructureDefinition/language"
IDENTIFIERS = f"{NS}/identifier"

STATUS: dict[DeliveryState, str] = {
    DeliveryState.SENDING: "preparation",
    DeliveryState.SENT: "completed",
    DeliveryState.DELIVERED: "completed",
    DeliveryState.FAILED: "not-done",
    DeliveryState.UNKNOWN: "unknown",
}
NOT_DONE_REASONS: dict[str, str] = {
    "address-invalid": "invalid-phone-number",
    "address-unreachable": "recipient-unavailable",
    "opted-out": "patient-objection",
}


def write_communication_request(
    nudge: Nudge, delivery: Delivery, endpoint: Endpoint
) -> Resource:
    """Write the request that a nudge is (R4 CommunicationRequest)."""
    resource = _shared(nudge, delivery, endpoint)
    period = {
        "start": write_instant(nudge.due_at),
        "end": write_instant(max(nudge.expires_at, nudge.due_at)),
    }
    return {
        "resourceType": "CommunicationRequest",
        "extension": [{"url": INSTANTIATES, "valueCanonical": _canonical(nudge)}],
        "identifier": [_identifier("nudge", nudge.id)],
        "groupIdentifier": _identifier(
            "campaign", f"{_plan_name(nudge)}|{nudge.focus}"
        ),
        "status": "completed",
        **resource,
        "priority": "routine",
        "occurrencePeriod": period,
        "authoredOn": write_instant(nudge.created_at),
        **({"requester": resource["sender"]} if "sender" in resource else {}),
    }


def write_communication(
    nudge: Nudge, delivery: Delivery, endpoint: Endpoint, now: datetime
) -> Resource:
    """Write what was sent, as it was sent (R4 Communication)."""
    identifiers = [_identifier("delivery", delivery.id)]
    if delivery.provider_id:
        identifiers.append(
            _identifier(f"provider-{delivery.channel}", delivery.provider_id)
        )
    identifiers.append(_identifier("nudge-key", nudge.key))
    sent = delivery.sent_at or (now if delivery.state in _GONE else None)
    resource: Resource = {
        "resourceType": "Communication",
        "identifier": identifiers,
        "instantiatesCanonical": [_canonical(nudge)],
        "status": STATUS[delivery.state],
        **_shared(nudge, delivery, endpoint),
    }
    if delivery.state is DeliveryState.FAILED:
        code = NOT_DONE_REASONS.get(delivery.reason or "", "system-error")
        resource["statusReason"] = _concept(NOT_DONE, code)
    if sent is not None:
        resource["sent"] = write_instant(sent)
    if delivery.delivered_at is not None:
        resource["received"] = write_instant(delivery.delivered_at)
    return resource


_GONE = (DeliveryState.SENT, DeliveryState.DELIVERED)


def write_task(
    *,
    identifier: str,
    patient: str | None,
    priority: str,
    reason: str,
    text: str,
    endpoint: Endpoint,
    authored_on: datetime,
    due_at: datetime | None = None,
    focus: str | None = None,
    owner: str = "",
) -> Resource:
    """Write what staff are asked to do (R4 Task, status requested).

    ``patient`` None: nobody knows yet whom it is about. ``owner`` is the role that is
    asked, e.g. "Care manager".
    """
    resource: Resource = {
        "resourceType": "Task",
        "identifier": [_task_identifier(identifier)],
        "status": "requested",
        "intent": "order",
        "priority": priority,
        "code": _concept(f"{NS}/CodeSystem/task", reason),
        "description": text,
        "authoredOn": write_instant(authored_on),
    }
    if patient is not None:
        resource["for"] = {"reference": patient}
    if focus is not None:
        resource["focus"] = {"reference": focus}
    if endpoint.site.organization:
        resource["owner"] = {"reference": endpoint.site.organization}
    if owner:
        resource["performerType"] = [{"text": owner}]
    if due_at is not None:
        resource["restriction"] = {"period": {"end": write_instant(due_at)}}
    return resource


def write_task_status(identifier: str, status: str, why: str = "") -> Resource:
    """Write what amends a Task that was written before: its status, and why."""
    resource: Resource = {
        "resourceType": "Task",
        "identifier": [_task_identifier(identifier)],
        "status": status,
    }
    return {**resource, "statusReason": {"text": why}} if why else resource


def _shared(nudge: Nudge, delivery: Delivery, endpoint: Endpoint) -> Resource:
    """Write the elements that request and communication have in common."""
    medium = MEDIUM.get(delivery.channel, "ONLINEWRIT")
    resource: Resource = {
        "category": [
            _concept(CATEGORY, "reminder"),
            _concept(TOPIC, nudge.topic),
        ],
        "medium": [_concept(PARTICIPATION_MODE, medium)],
        "subject": {"reference": nudge.patient},
        "recipient": [{"reference": nudge.recipient}],
        "payload": [_payload(delivery)],
    }
    kind = nudge.focus.partition("/")[0]
    if kind == "Encounter":
        resource["encounter"] = {"reference": nudge.focus}
    elif kind != "Patient":
        resource["about"] = [{"reference": nudge.focus}]
    organization = endpoint.site.organization
    if organization:
        resource["sender"] = {"reference": organization}
    return resource


def _payload(delivery: Delivery) -> dict[str, Any]:
    payload: dict[str, Any] = {"contentString": delivery.text}
    if delivery.language:
        payload["extension"] = [{"url": LANGUAGE, "valueCode": delivery.language}]
    return payload


def _plan_name(nudge: Nudge) -> str:
    return nudge.plan.rsplit("/", 1)[-1]


def _canonical(nudge: Nudge) -> str:
    return f"{nudge.plan}|{nudge.plan_version}"


def _identifier(name: str, value: str) -> dict[str, str]:
    return {"system": f"{IDENTIFIERS}/{name}", "value": value}


def _task_identifier(name: str) -> dict[str, str]:
    """Name a Task so that every server's search finds it again.

    A step's key has bars and slashes; FHIR wants the bars escaped in a search, and
    servers differ in whether they take that back.
    """
    plain = re.fullmatch(r"[A-Za-z0-9.-]+", name)
    value = name if plain else f"task-{uuid.uuid5(uuid.NAMESPACE_URL, f'{NS}/{name}')}"
    return _identifier("task", value)


def _concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}
