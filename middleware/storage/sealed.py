"""Every sealed value in the database, sealed anew under another key."""

from __future__ import annotations

from collections.abc import Callable

from psycopg.types.json import Jsonb

from middleware.storage.connecting import Tx
from middleware.storage.marks import put_mark, read_mark

SIGNING_KEYS = "signing-keys"
APP_SECRET = "app_secret"  # noqa: S105 -- the name of a field


def reseal(tx: Tx, anew: Callable[[bytes], bytes]) -> dict[str, int]:
    """Replace each sealed value by ``anew`` of it; return how many by kind.

    All of it is one transaction: where one cannot be opened, none is changed.
    """
    counts = {"subscriptions": 0, "launches": 0, "drafts": 0}
    counts |= {"signing_keys": 0, "app_secrets": 0}
    for row in tx.execute("SELECT id, secrets FROM subscription FOR UPDATE").fetchall():
        tx.execute(
            "UPDATE subscription SET secrets = %s WHERE id = %s",
            (anew(bytes(row["secrets"])), row["id"]),
        )
        counts["subscriptions"] += 1
    launches = "SELECT id, sealed FROM launch WHERE sealed <> '' FOR UPDATE"
    for row in tx.execute(launches).fetchall():
        tx.execute(
            "UPDATE launch SET sealed = %s WHERE id = %s",
            (anew(bytes(row["sealed"])), row["id"]),
        )
        counts["launches"] += 1
    for row in tx.execute("SELECT id, sealed FROM draft FOR UPDATE").fetchall():
        tx.execute(
            "UPDATE draft SET sealed = %s WHERE id = %s",
            (anew(bytes(row["sealed"])), row["id"]),
        )
        counts["drafts"] += 1
    keys = read_mark(tx, SIGNING_KEYS)
    if keys is not None:
        put_mark(tx, SIGNING_KEYS, anew(bytes.fromhex(str(keys))).hex())
        counts["signing_keys"] = 1
    counts["app_secrets"] = _reseal_profiles(tx, anew)
    return counts


def _reseal_profiles(tx: Tx, anew: Callable[[bytes], bytes]) -> int:
    rows = tx.execute("SELECT id, record FROM endpoint FOR UPDATE").fetchall()
    total = 0
    for row in rows:
        record = row["record"]
        sealed = (record.get("profile") or {}).get(APP_SECRET)
        if sealed:
            record["profile"][APP_SECRET] = anew(bytes.fromhex(sealed)).hex()
            tx.execute(
                "UPDATE endpoint SET record = %s WHERE id = %s",
                (Jsonb(record), row["id"]),
            )
            total += 1
    return total
