"""Deliveries: what was handed to a channel, and what became of it.

A row is committed as ``sending`` before the channel is called; one that is found so
after a crash is unknown and never sent again blindly.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from mappings.delivery import Delivery, DeliveryState
from mappings.preference import SentMessage
from middleware.storage.connecting import Row, Tx
from middleware.storage.gate import lock_gate

__all__ = [
    "find_delivery",
    "get_delivery",
    "insert_delivery",
    "latest_delivery_to",
    "list_deliveries",
    "list_nudge_deliveries",
    "list_sent",
    "lock_gate",
    "mark_answered",
    "set_delivery",
]

_COLUMNS = (
    "id, nudge_id, endpoint_id, patient, channel, address, language, subject, "
    "body AS text, state, provider_id, sending_at, sent_at, delivered_at, reason"
)


def insert_delivery(tx: Tx, delivery: Delivery, topic: str) -> None:
    """Add a delivery; ``topic`` is what it counts for in the limits.

    The topic ``reply`` (a fixed answer to a reply) counts for none.
    """
    tx.execute(
        "INSERT INTO delivery (id, nudge_id, endpoint_id, patient, channel, address, "
        "language, subject, body, topic, state, provider_id, sending_at, sent_at, "
        "delivered_at, reason) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, "
        "%s, %s, %s, %s)",
        (
            delivery.id,
            delivery.nudge_id or None,
            delivery.endpoint_id,
            delivery.patient,
            delivery.channel,
            delivery.address,
            delivery.language,
            delivery.subject,
            delivery.text,
            topic,
            delivery.state.value,
            delivery.provider_id,
            delivery.sending_at,
            delivery.sent_at,
            delivery.delivered_at,
            delivery.reason,
        ),
    )


def set_delivery(
    tx: Tx,
    delivery_id: str,
    state: DeliveryState,
    *,
    provider_id: str | None = None,
    handed_at: datetime | None = None,
    sent_at: datetime | None = None,
    delivered_at: datetime | None = None,
    reason: str | None = None,
    error: str | None = None,
) -> bool:
    """Set the state and whatever else is given; None leaves it as it is.

    A receipt that comes late or twice changes nothing: ``delivered`` and ``failed``
    are ends, and ``sent`` does not go back to ``sending``. False then.
    """
    updated = tx.execute(
        "UPDATE delivery SET state = %(state)s, "
        "provider_id = coalesce(%(provider_id)s, provider_id), "
        "handed_at = coalesce(%(handed_at)s, handed_at), "
        "sent_at = coalesce(%(sent_at)s, sent_at), "
        "delivered_at = coalesce(%(delivered_at)s, delivered_at), "
        "reason = coalesce(%(reason)s, reason), error = coalesce(%(error)s, error) "
        "WHERE id = %(id)s AND state NOT IN ('delivered', 'failed') "
        "AND NOT (%(state)s = 'sending' AND state = 'sent')",
        {
            "id": delivery_id,
            "state": state.value,
            "provider_id": provider_id,
            "handed_at": handed_at,
            "sent_at": sent_at,
            "delivered_at": delivered_at,
            "reason": reason,
            "error": error,
        },
    )
    return updated.rowcount == 1


def mark_answered(tx: Tx, delivery_id: str, now: datetime) -> None:
    """Note that the person answered this message; the first answer counts."""
    tx.execute(
        "UPDATE delivery SET answered_at = coalesce(answered_at, %s) WHERE id = %s",
        (now, delivery_id),
    )


def get_delivery(tx: Tx, delivery_id: str) -> Delivery | None:
    """Return one delivery."""
    return _first(tx, "id = %(id)s", {"id": delivery_id})


def find_delivery(tx: Tx, channel: str, provider_id: str) -> Delivery | None:
    """Return the delivery that a provider knows by its own id."""
    return _first(
        tx,
        "channel = %(channel)s AND provider_id = %(provider_id)s",
        {"channel": channel, "provider_id": provider_id},
    )


def latest_delivery_to(tx: Tx, channel: str, address: str) -> Delivery | None:
    """Return the newest message of ours to this address, which a reply answers."""
    return _first(
        tx,
        "channel = %(channel)s AND address = %(address)s AND nudge_id IS NOT NULL "
        "ORDER BY sending_at DESC, id LIMIT 1",
        {"channel": channel, "address": address},
    )


def list_nudge_deliveries(tx: Tx, nudge_id: str) -> list[Delivery]:
    """List the deliveries of one nudge, oldest first."""
    return _list(tx, "nudge_id = %(id)s ORDER BY sending_at, id", {"id": nudge_id})


def list_deliveries(tx: Tx, ids: Sequence[str]) -> list[Delivery]:
    """List those of these ids that exist, in the order of ``ids``."""
    found = _list(tx, "id = ANY(%(ids)s)", {"ids": list(ids)})
    return sorted(found, key=lambda delivery: ids.index(delivery.id))


def list_sent(
    tx: Tx, endpoint_id: str, patients: Sequence[str], since: datetime
) -> list[tuple[str, SentMessage]]:
    """List what counts against the limits, by patient's record, oldest first.

    A delivery that may have arrived counts; a failed one does not, nor does a fixed
    answer to a reply.
    """
    rows = tx.execute(
        "SELECT d.patient, coalesce(d.sent_at, d.sending_at) AS sent_at, d.topic, "
        "d.channel, d.answered_at IS NOT NULL AS answered, n.plan, n.focus, n.occasion "
        "FROM delivery AS d LEFT JOIN nudge AS n ON n.id = d.nudge_id "
        "WHERE d.endpoint_id = %s AND d.patient = ANY(%s) AND d.sending_at >= %s "
        "AND d.state <> 'failed' AND d.topic <> 'reply' ORDER BY d.sending_at, d.id",
        (endpoint_id, list(patients), since),
    )
    return [(row.pop("patient"), _sent(row)) for row in rows]


def _sent(row: Row) -> SentMessage:
    plan, focus, occasion = (row.pop(name) for name in ("plan", "focus", "occasion"))
    return SentMessage(**row, about=(plan, focus, occasion) if plan else None)


def _first(tx: Tx, where: str, values: dict[str, Any]) -> Delivery | None:
    found = _list(tx, where, values)
    return found[0] if found else None


def _list(tx: Tx, where: str, values: dict[str, Any]) -> list[Delivery]:
    rows = tx.execute(f"SELECT {_COLUMNS} FROM delivery WHERE {where}", values)  # noqa: S608 -- constants of this module
    return [_read(row) for row in rows]


def _read(row: Row) -> Delivery:
    state = DeliveryState(row["state"])
    return Delivery(**{**row, "state": state, "nudge_id": row["nudge_id"] or ""})
