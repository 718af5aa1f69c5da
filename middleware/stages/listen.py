"""LISTEN: what patients answer and what providers report.

A STOP is honoured in the very transaction that stores the reply; everything else is
worked off from the row. No reply is ever left without a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from mappings.errors import CareCueError
from middleware.decisions.replies import Intent, classify_reply
from middleware.decisions.retries import next_attempt
from middleware.stages.answering import answer, endpoints_of
from middleware.stages.attempting import attempt
from middleware.stages.consenting import record_answer
from middleware.stages.context import StageContext
from middleware.stages.receipts import apply_receipt
from middleware.storage import (
    inbound,
)
from middleware.storage.ids import shard_of
from middleware.storage.shards import Held, check_epoch

BATCH = 40


def keep_reply(
    context: StageContext,
    channel: str,
    address: str,
    provider_id: str,
    text: str,
    now: datetime,
) -> bool:
    """Store a reply, and a STOP in it at once; False when it was known already."""
    shard = shard_of(channel, address)
    reply = classify_reply(text)
    with context.database.tx() as tx:
        fresh = inbound.insert_inbound(
            tx,
            key=f"{channel}:{provider_id}:reply",
            channel=channel,
            source="reply",
            address=address,
            body=text,
            detail={},
            received_at=now,
            shard=shard,
        )
        if fresh and Intent.STOP in reply.intents:
            for endpoint_id in endpoints_of(tx, channel, address):
                record_answer(
                    context,
                    tx,
                    endpoint_id,
                    (channel, address),
                    permit=False,
                    how="reply STOP",
                    recorded_at=now,
                )
    if fresh:
        context.wake("listen", shard)
    return fresh


def keep_receipt(
    context: StageContext,
    channel: str,
    delivery_id: str,
    status: str,
    detail: Mapping[str, Any],
    now: datetime,
) -> bool:
    """Store a provider's report on one message; False when it was known already."""
    shard = shard_of(channel, delivery_id)
    with context.database.tx() as tx:
        fresh = inbound.insert_inbound(
            tx,
            key=f"{channel}:{delivery_id}:{status}",
            channel=channel,
            source="receipt",
            address=delivery_id,
            body=status,
            detail=dict(detail),
            received_at=now,
            shard=shard,
        )
    if fresh:
        context.wake("listen", shard)
    return fresh


def step(context: StageContext, held: Held, now: datetime) -> int:
    """Work off replies and receipts; return how many rows were handled."""
    with context.database.tx() as tx:
        rows = inbound.list_inbound(tx, held, now, BATCH)
    for row in rows:
        work = _receive_report if row.source == "receipt" else answer
        run = partial(work, context, row, held[row.shard], now)
        postpone = partial(_postpone, context, row, held[row.shard], now)
        attempt("listen", run, postpone)
    return len(rows)


def _receive_report(
    context: StageContext, row: inbound.InboundItem, epoch: int, now: datetime
) -> None:
    with context.database.tx() as tx:
        check_epoch(tx, "listen", row.shard, epoch)
        woken = apply_receipt(context, tx, row, now)
    if woken is not None:
        context.wake("record", woken)


def _postpone(
    context: StageContext,
    row: inbound.InboundItem,
    epoch: int,
    now: datetime,
    error: CareCueError,
) -> None:
    due = None if error.permanent else next_attempt(row.attempts, now)
    with context.database.tx() as tx:
        check_epoch(tx, "listen", row.shard, epoch)
        if due is None:
            inbound.kill_inbound(tx, row.id, error.message, now)
        else:
            inbound.retry_inbound(tx, row.id, due, error.message)
