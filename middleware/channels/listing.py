"""What a provider remembers of an account's messages, read into one value.

Only what happened is read here; what follows from it is decided elsewhere. Source:
Twilio REST API 2010-04-01, Message resource.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol, runtime_checkable

from mappings.delivery import DeliveryState
from middleware.channels.twilio import STATES


@dataclass(frozen=True)
class ProviderText:
    """One message as the provider remembers it, to or from ``address`` (E.164).

    ``at`` is when it was made (UTC); ``state`` counts for outgoing ones only.
    """

    provider_id: str
    incoming: bool
    address: str
    text: str
    at: datetime
    state: DeliveryState


@runtime_checkable
class Listed(Protocol):
    """A channel whose provider can be asked for everything since an instant."""

    def list_since(self, since: datetime) -> tuple[ProviderText, ...]:
        """Return every message of ours since then, oldest first."""
        ...


def read_text(item: Mapping[str, Any], number: str) -> ProviderText | None:
    """Read a Message record; None when it is not to or from our ``number``."""
    sid, created = item.get("sid"), read_instant_of(item)
    incoming = str(item.get("direction") or "").startswith("inbound")
    ours, theirs = ("to", "from") if incoming else ("from", "to")
    if not sid or created is None or item.get(ours) != number:
        return None
    return ProviderText(
        provider_id=str(sid),
        incoming=incoming,
        address=str(item.get(theirs) or ""),
        text=str(item.get("body") or ""),
        at=created,
        state=STATES.get(str(item.get("status")), DeliveryState.SENT),
    )


def read_instant_of(item: Mapping[str, Any]) -> datetime | None:
    """Return when a Message record was made, in UTC; None when it does not say."""
    try:
        created = parsedate_to_datetime(str(item.get("date_created")))
    except (TypeError, ValueError):
        return None
    return created.replace(tzinfo=UTC) if created.tzinfo is None else created
