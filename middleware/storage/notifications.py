"""What one notification leaves behind, in one statement that commits by itself.

The sender waits for this: one round trip to the server, and nothing but new rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from middleware.storage.connecting import Cursor, Tx
from middleware.storage.inbox import NewItem

_TYPES = {
    "key": "text",
    "endpoint_id": "text",
    "source": "text",
    "focus": "text",
    "version": "text",
    "event_number": "bigint",
    "resource_type": "text",
    "interaction": "text",
    "shard": "smallint",
}
_NAMES = ", ".join(_TYPES)
_KEEP = f"""
WITH kept AS (
    INSERT INTO notification (subscription_id, received_at, method, path, headers,
        body, type, form, topic, state, error)
    VALUES (%(subscription_id)s, %(received_at)s, %(method)s, %(path)s, %(headers)s,
        %(body)s, %(type)s, %(form)s, %(topic)s, %(state)s, %(error)s)
    RETURNING id, subscription_id, received_at, type
), told AS (
    INSERT INTO tally (notification_id, subscription_id, received_at, type, status,
        count, numbers, digests)
    SELECT id, subscription_id, received_at, type, %(status)s::text,
        %(count)s::bigint, %(numbers)s::bigint[], %(digests)s::text[] FROM kept WHERE type IS NOT NULL
)
INSERT INTO inbox ({_NAMES}, subscription_id, notification_id, received_at, due_at)
SELECT {_NAMES}, subscription_id, id, received_at, received_at
FROM kept, {{items}} AS item ({_NAMES})
ON CONFLICT (key) DO NOTHING
"""  # noqa: S608 -- constants
# One item, as nearly always, as values: arrays cost twice as much on both sides.
_ONE = _KEEP.format(
    items=f"(VALUES ({', '.join(f'%({n})s::{t}' for n, t in _TYPES.items())}))"
)
_MANY = _KEEP.format(
    items=f"unnest({', '.join(f'%({n})s::{t}[]' for n, t in _TYPES.items())})"
)


@dataclass(frozen=True)
class NewNotification:
    """One notification as it came; ``headers`` hold no secret.

    ``type`` is None when it is set aside, ``error`` then says why. ``status``,
    ``count`` and ``numbers`` are what it told of its subscription, ``digests`` one in
    hexadecimal for each number.
    """

    subscription_id: str
    received_at: datetime
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    state: str
    type: str | None = None
    form: str | None = None
    topic: str | None = None
    error: str | None = None
    status: str | None = None
    count: int | None = None
    numbers: tuple[int, ...] = ()
    digests: tuple[str, ...] = ()


def insert_notification(
    tx: Tx | Cursor, notification: NewNotification, items: Sequence[NewItem]
) -> None:
    """Add a notification, its tally unless it is set aside, and items with new keys.

    Of the items, subscription, notification and time are the notification's. It is one
    statement: on a cursor in autocommit it is committed when this returns.
    """
    values: dict[str, Any] = {
        **vars(notification),
        "headers": orjson.dumps(notification.headers).decode(),
        # As text: the driver writes a list many times slower.
        "numbers": f"{{{','.join(map(str, notification.numbers))}}}",
        "digests": f"{{{','.join(notification.digests)}}}",
    }
    for name in _TYPES:
        many = [getattr(item, name) for item in items]
        values[name] = many[0] if len(many) == 1 else many
    tx.execute(_ONE if len(items) == 1 else _MANY, values)
