"""Rows of ``subscription``: the hooks that EHRs send notifications to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from middleware.storage.connecting import Tx

_COLUMNS = (
    "id, endpoint_id, hook_key, secrets, resource_type, form, criteria, server_id, "
    "status, last_number, last_seen_at, created_at, channel, proof"
)


@dataclass(frozen=True)
class SubscriptionRow:
    """One subscription at one endpoint.

    ``hook_key`` is the last part of its URL, ``secrets`` the sealed shared secrets,
    ``form`` the wire form asked for, ``server_id`` the id that the server gave it,
    ``last_number`` the highest event number seen, ``channel`` rest-hook or websocket,
    ``proof`` how its deliveries are proved (header, hmac or query).
    """

    id: str
    endpoint_id: str
    hook_key: str
    secrets: bytes
    resource_type: str
    form: str
    criteria: str
    server_id: str | None
    status: str
    last_number: int | None
    last_seen_at: datetime | None
    created_at: datetime
    channel: str = "rest-hook"
    proof: str = "header"


def insert_subscription(tx: Tx, row: SubscriptionRow) -> None:
    """Add a subscription."""
    tx.execute(
        f"INSERT INTO subscription ({_COLUMNS}) VALUES (%(id)s, %(endpoint_id)s, "  # noqa: S608 -- a constant
        "%(hook_key)s, %(secrets)s, %(resource_type)s, %(form)s, %(criteria)s, "
        "%(server_id)s, %(status)s, %(last_number)s, %(last_seen_at)s, "
        "%(created_at)s, %(channel)s, %(proof)s)",
        asdict(row),
    )


def find_subscription(tx: Tx, hook_key: str) -> SubscriptionRow | None:
    """Return the subscription of a hook."""
    row = tx.execute(
        f"SELECT {_COLUMNS} FROM subscription WHERE hook_key = %s",  # noqa: S608
        (hook_key,),
    ).fetchone()
    return SubscriptionRow(**row) if row else None


def get_subscription(tx: Tx, subscription_id: str) -> SubscriptionRow | None:
    """Return one subscription."""
    row = tx.execute(
        f"SELECT {_COLUMNS} FROM subscription WHERE id = %s",  # noqa: S608
        (subscription_id,),
    ).fetchone()
    return SubscriptionRow(**row) if row else None


def list_subscriptions(tx: Tx, endpoint_id: str | None = None) -> list[SubscriptionRow]:
    """List the subscriptions, oldest first, of one endpoint or of all.

    Those that were deleted at their server, as nobody wants them, are left out.
    """
    rows = tx.execute(
        f"SELECT {_COLUMNS} FROM subscription AS s "  # noqa: S608
        "WHERE (%(endpoint)s::text IS NULL OR endpoint_id = %(endpoint)s) "
        "AND NOT EXISTS (SELECT 1 FROM subscription_control AS c WHERE "
        "c.subscription_id = s.id AND c.retired AND c.next_at IS NULL) "
        "ORDER BY created_at, id",
        {"endpoint": endpoint_id},
    )
    return [SubscriptionRow(**row) for row in rows]


def update_subscription(
    tx: Tx,
    subscription_id: str,
    *,
    status: str | None = None,
    server_id: str | None = None,
    last_number: int | None = None,
    last_seen_at: datetime | None = None,
    secrets: bytes | None = None,
) -> None:
    """Change what is given; ``last_number`` and ``last_seen_at`` never go back."""
    tx.execute(
        "UPDATE subscription SET status = coalesce(%(status)s, status), "
        "server_id = coalesce(%(server_id)s, server_id), "
        "secrets = coalesce(%(secrets)s, secrets), "
        "last_number = greatest(last_number, %(last_number)s), "
        "last_seen_at = greatest(last_seen_at, %(last_seen_at)s) WHERE id = %(id)s",
        {
            "id": subscription_id,
            "status": status,
            "server_id": server_id,
            "last_number": last_number,
            "last_seen_at": last_seen_at,
            "secrets": secrets,
        },
    )


def delete_subscription(tx: Tx, subscription_id: str) -> bool:
    """Remove a subscription that never received anything; False when there is none."""
    deleted = tx.execute("DELETE FROM subscription WHERE id = %s", (subscription_id,))
    return deleted.rowcount == 1
