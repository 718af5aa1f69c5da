"""Items without a focus: many that wait for the same search are one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from middleware.storage.connecting import Tx


def merge_blind(tx: Tx, shards: Iterable[int], now: datetime) -> int:
    """Leave one waiting item for each search, the oldest; return how many it stands for.

    The caller holds the shards, so that no search is under way: one that arrives during
    a search is another item, which waits for the next. The oldest keeps its attempts
    and its time, so that a flood does not shorten the pause after a fault.
    """
    return tx.execute(
        "UPDATE inbox SET state = 'done', done_at = %(now)s WHERE id IN ("
        "SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY endpoint_id, "
        "subscription_id, resource_type ORDER BY id) AS place FROM inbox "
        "WHERE shard = ANY(%(shards)s) AND state = 'waiting' AND focus IS NULL) AS waiting "
        "WHERE place > 1)",
        {"shards": list(shards), "now": now},
    ).rowcount
