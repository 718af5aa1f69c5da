"""Messages that nobody carries: the SMART app and the console show them.

There is no provider, so it is always accepted, and its delivery id is its own.
"""

from __future__ import annotations

from datetime import datetime

from mappings.delivery import DeliveryState, Message, Receipt
from middleware.channels.allowing import Allowed, require_allowed


class ScreenChannel:
    """Implements ``middleware.ports.Channel`` for what is shown on our own pages."""

    name = "screen"

    def __init__(self, *, allowed: Allowed) -> None:
        self._allowed = allowed

    def send(self, message: Message) -> Receipt:
        """Accept the message; showing it is the pages' work."""
        require_allowed(self._allowed, message)
        return Receipt(message.delivery_id, DeliveryState.DELIVERED)

    def find(
        self,
        message: Message,
        since: datetime,  # noqa: ARG002 -- the port's signature
    ) -> Receipt | None:
        """Return the receipt: what was accepted is shown."""
        return Receipt(message.delivery_id, DeliveryState.DELIVERED)
