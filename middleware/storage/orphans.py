"""Deliveries that a dead worker left ``sending``, with all that settling them needs."""

from __future__ import annotations

from datetime import datetime

from mappings.delivery import Delivery
from mappings.endpoint import Endpoint
from mappings.nudge import Nudge, NudgeState
from middleware.storage.connecting import Tx
from middleware.storage.deliveries import get_delivery
from middleware.storage.endpoints import get_endpoint
from middleware.storage.nudges import get_nudge


def list_orphan_shards(tx: Tx, before: datetime) -> list[int]:
    """List the shards of messages that began to be sent before and never ended."""
    rows = tx.execute(
        "SELECT DISTINCT n.shard FROM delivery AS d JOIN nudge AS n "
        "ON n.id = d.nudge_id WHERE d.state = 'sending' AND d.sending_at < %s "
        "ORDER BY n.shard",
        (before,),
    )
    return [int(row["shard"]) for row in rows]


def list_orphans(tx: Tx, shard: int) -> list[tuple[Endpoint, Nudge, Delivery]]:
    """List them for one shard; only its holder may call this."""
    rows = tx.execute(
        "SELECT d.id, d.nudge_id, d.endpoint_id FROM delivery AS d "
        "JOIN nudge AS n ON n.id = d.nudge_id "
        "WHERE d.state = 'sending' AND n.shard = %s AND n.state = %s "
        "ORDER BY d.sending_at, d.id",
        (shard, NudgeState.SENDING.value),
    ).fetchall()
    found = []
    for row in rows:
        endpoint = get_endpoint(tx, row["endpoint_id"])
        nudge = get_nudge(tx, row["nudge_id"])
        delivery = get_delivery(tx, row["id"])
        if endpoint and nudge and delivery:
            found.append((endpoint, nudge, delivery))
    return found
