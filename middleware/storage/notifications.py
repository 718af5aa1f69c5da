"""What notifications leave behind: any number of them, in one statement.

The senders wait for this: one round trip to the server, nothing but new rows, and one
commit for all that came at the same time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import orjson

from middleware.storage.connecting import Cursor, Tx
from middleware.storage.inbox import NewItem

# One value tells of all deliveries and one holds their bodies, so the statement is the
# same for any number and stays prepared; a value for each column costs several times
# as much on both sides.
_KEEP = """
WITH given AS MATERIALIZED (
    SELECT nextval('notification_id_seq') AS id, told.*
    FROM json_to_recordset(%(told)s::json) AS told (
        subscription_id text, received_at timestamptz, method text, path text,
        headers jsonb, start int, size int, type text, form text, topic text,
        state text, error text, status text, count bigint, numbers bigint[],
        digests text[], reference text, items json)
), kept AS (
    INSERT INTO notification (id, subscription_id, received_at, method, path, headers,
        body, type, form, topic, state, error)
    OVERRIDING SYSTEM VALUE
    SELECT id, subscription_id, received_at, method, path, headers,
        substr(%(bodies)s::bytea, start, size), type, form, topic, state, error
    FROM given
), counted AS (
    INSERT INTO tally (notification_id, subscription_id, received_at, type, status,
        count, numbers, digests, reference)
    SELECT id, subscription_id, received_at, type, status, count, numbers, digests,
        reference
    FROM given WHERE type IS NOT NULL
)
INSERT INTO inbox (subscription_id, notification_id, received_at, due_at, key,
    endpoint_id, source, focus, version, event_number, resource_type, interaction, shard)
SELECT subscription_id, id, received_at, received_at, item.*
FROM given, json_to_recordset(items) AS item (key text, endpoint_id text, source text,
    focus text, version text, event_number bigint, resource_type text,
    interaction text, shard smallint)
ON CONFLICT (key) DO NOTHING
"""


@dataclass(frozen=True)
class NewNotification:
    """One notification as it came; ``headers`` hold no secret.

    ``type`` is None when it is set aside, ``error`` then says why. ``status``,
    ``count`` and ``numbers`` are what it told of its subscription, ``digests`` one in
    hexadecimal for each number, ``reference`` the id by which it was named.
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
    reference: str | None = None


# A notification with its items, of which subscription, notification and time are its.
Delivery: TypeAlias = tuple[NewNotification, Sequence[NewItem]]


def insert_notifications(tx: Tx | Cursor, deliveries: Sequence[Delivery]) -> None:
    """Add notifications, their tallies unless set aside, and items with new keys.

    It is one statement: on a cursor in autocommit it is committed when this returns.
    """
    told, start = [], 1
    for notification, items in deliveries:
        told.append(_tell(notification, items, start))
        start += len(notification.body)
    bodies = [notification.body for notification, _ in deliveries]
    tx.execute(
        _KEEP,
        {
            "told": orjson.dumps(told).decode(),
            "bodies": bodies[0] if len(bodies) == 1 else b"".join(bodies),
        },
    )


def _tell(
    notification: NewNotification, items: Sequence[NewItem], start: int
) -> dict[str, Any]:
    """Return everything but the body, which stands at ``start`` among the bodies."""
    told = {**vars(notification), "start": start, "size": len(notification.body)}
    del told["body"]
    told["items"] = items
    return told
