"""The delivery: one hand-over of one message to one channel.

The delivery's id is the idempotency key that the channel is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class DeliveryState(StrEnum):
    """Where a delivery stands.

    SENDING found after a crash is UNKNOWN: it is never sent again blindly.
    """

    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Message:
    """What a channel is asked to send.

    ``address`` is E.164 for sms, an addr-spec for email and a patient reference for
    screen. ``delivery_id`` is the idempotency key. ``language`` is BCP-47.
    ``endpoint_id`` names whose allow-list holds.
    """

    delivery_id: str
    channel: str
    address: str
    text: str
    subject: str
    language: str
    status_url: str | None = None
    endpoint_id: str = ""


@dataclass(frozen=True)
class Receipt:
    """The channel took the message: its own id and the first state it told us."""

    provider_id: str
    state: DeliveryState = DeliveryState.SENT


@dataclass(frozen=True)
class Delivery:
    """A row of ``delivery``."""

    id: str
    nudge_id: str | None
    endpoint_id: str
    patient: str
    channel: str
    address: str
    language: str
    subject: str
    text: str
    state: DeliveryState
    provider_id: str | None
    sending_at: datetime
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    reason: str | None = None
