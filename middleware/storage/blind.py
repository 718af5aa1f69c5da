"""Items without a focus: many that wait for the same search are one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

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


def note_search(
    tx: Tx, endpoint_id: str, resource_types: Sequence[str], now: datetime
) -> None:
    """Remember when these types were searched."""
    tx.execute(
        "UPDATE poll_cursor SET blind_at = %s "
        "WHERE endpoint_id = %s AND resource_type = ANY(%s)",
        (now, endpoint_id, list(resource_types)),
    )


def hold_blind(tx: Tx, shards: Iterable[int], now: datetime, pause: timedelta) -> int:
    """Make searches wait that come within ``pause`` of the last; return how many.

    Whoever may send notifications that name nothing decides with them how often the EHR
    is searched: not more often than this.
    """
    return tx.execute(
        "UPDATE inbox AS i SET due_at = last.at + %(pause)s FROM ("
        "SELECT endpoint_id, resource_type, blind_at AS at FROM poll_cursor UNION ALL "
        "SELECT endpoint_id, NULL, max(blind_at) FROM poll_cursor GROUP BY endpoint_id"
        ") AS last WHERE i.shard = ANY(%(shards)s) AND i.state = 'waiting' "
        "AND i.focus IS NULL AND i.due_at <= %(now)s "
        "AND last.endpoint_id = i.endpoint_id "
        "AND last.resource_type IS NOT DISTINCT FROM i.resource_type "
        "AND last.at > %(now)s - %(pause)s",
        {"shards": list(shards), "now": now, "pause": pause},
    ).rowcount
