"""Rows that many storage tests start from."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from mappings.chart import Chart
from mappings.delivery import Delivery, DeliveryState
from mappings.endpoint import AppClient, BackendClient, Endpoint, EndpointKind, Site
from mappings.event import Event, EventKind
from mappings.nudge import Nudge, NudgeState
from middleware.storage.connecting import Tx
from middleware.storage.deliveries import insert_delivery
from middleware.storage.endpoints import insert_endpoint
from middleware.storage.events import insert_event
from middleware.storage.ids import shard_of
from middleware.storage.inbox import NewItem
from middleware.storage.nudges import upsert_nudges
from middleware.storage.subscriptions import SubscriptionRow, insert_subscription
from tests.conftest import NOW

PATIENT = "Patient/rosa"
SHARD = shard_of("e1", PATIENT)
ENDPOINT = Endpoint(
    id="e1",
    name="Sandbox",
    kind=EndpointKind.SANDBOX,
    fhir_base="http://127.0.0.1:9000/fhir",
    backend=BackendClient(client_id="backend", token_url="http://127.0.0.1:9000/t"),
    app=AppClient(client_id="app", issuers=("http://127.0.0.1:9000",)),
    site=Site(
        name="Harbor Clinic",
        phone="+15550100",
        booking_url="https://example.org/book",
        zone="America/New_York",
        reviewers={"es": "Dr. Test"},
        plans_off=("plan-x",),
    ),
    allow_list=("*",),
    profile={"batch": True},
)
CHART = Chart(
    patient={"resourceType": "Patient", "id": "rosa"},
    resources=({"resourceType": "Encounter", "id": "1", "status": "finished"},),
    read_at=NOW,
    incomplete=("Consent",),
)
EVENT = Event(
    id="ev1",
    key="e1|Encounter/1|2|encounter-discharged",
    endpoint_id="e1",
    kind=EventKind.ENCOUNTER_DISCHARGED,
    patient=PATIENT,
    shard=SHARD,
    focus="Encounter/1",
    focus_version="2",
    occurred_at=NOW - timedelta(hours=1),
    received_at=NOW,
)
NUDGE = Nudge(
    id="n1",
    key="plan|1|call|Encounter/1|Patient/rosa",
    endpoint_id="e1",
    event_id="ev1",
    patient=PATIENT,
    shard=SHARD,
    plan="https://carecue.example.org/fhir/PlanDefinition/post-discharge",
    plan_version="1.0.0",
    action="check-in",
    topic="post-discharge",
    focus="Encounter/1",
    occasion="2026-11-16",
    recipient=PATIENT,
    state=NudgeState.PLANNED,
    reason="due",
    due_at=NOW + timedelta(hours=2),
    expires_at=NOW + timedelta(days=2),
    created_at=NOW,
    title="Check-in after the hospital",
    detail={"facts": []},
)
ABOUT = (NUDGE.plan, NUDGE.focus, NUDGE.occasion)
DELIVERY = Delivery(
    id="d1",
    nudge_id="n1",
    endpoint_id="e1",
    patient=PATIENT,
    channel="sms",
    address="+15550101",
    language="es",
    subject="",
    text="Hola",
    state=DeliveryState.SENDING,
    provider_id=None,
    sending_at=NOW,
)
SUBSCRIPTION = SubscriptionRow(
    id="s1",
    endpoint_id="e1",
    hook_key="hook-1",
    secrets=b"sealed",
    resource_type="Encounter",
    form="r4",
    criteria="Encounter?",
    server_id=None,
    status="requested",
    last_number=None,
    last_seen_at=None,
    created_at=NOW,
)


def item(number: int, **changes: Any) -> NewItem:
    """Return one inbox item of shard 7."""
    return replace(
        NewItem(
            key=f"k{number}",
            endpoint_id="e1",
            subscription_id="s1",
            notification_id=None,
            source="push",
            focus=f"Encounter/{number}",
            version="1",
            event_number=number,
            resource_type="Encounter",
            interaction="update",
            shard=7,
            received_at=NOW,
        ),
        **changes,
    )


def seed(tx: Tx, *, nudge: bool = True, delivery: bool = False) -> None:
    """Insert the endpoint, subscription, event and, as asked, nudge and delivery."""
    insert_endpoint(tx, ENDPOINT, NOW)
    insert_subscription(tx, SUBSCRIPTION)
    insert_event(tx, EVENT, source="push", inbox_id=None, chart=CHART, due_at=NOW)
    if nudge:
        upsert_nudges(tx, [NUDGE], NOW)
    if delivery:
        insert_delivery(tx, DELIVERY, "post-discharge")
