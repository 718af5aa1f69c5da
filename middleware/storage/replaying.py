"""Stored events with their charts, read again one after the other; nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import orjson

from mappings.chart import Chart, read_chart
from mappings.event import Event, EventKind
from middleware.storage.connecting import Tx

BATCH = 200
_COLUMNS = (
    "id, key, endpoint_id, kind, patient, shard, focus, focus_version, occurred_at, "
    "received_at, attempts"
)


def list_stored(
    tx: Tx, endpoint_id: str, kinds: Sequence[str], since: datetime, after: int
) -> tuple[list[tuple[Event, Chart]], int]:
    """Return up to 200 events since then with their charts, and where to go on.

    ``after`` is what the call before returned, 0 at first. Events whose chart was
    emptied by retention are left out.
    """
    rows = tx.execute(
        f"SELECT {_COLUMNS}, chart, seq FROM event WHERE endpoint_id = %s "  # noqa: S608 -- a constant
        "AND kind = ANY(%s) AND received_at >= %s AND chart IS NOT NULL AND seq > %s "
        "ORDER BY seq LIMIT %s",
        (endpoint_id, list(kinds), since, after, BATCH),
    ).fetchall()
    return list(_read(rows)), rows[-1]["seq"] if rows else after


def _read(rows: Sequence[dict[str, object]]) -> Iterator[tuple[Event, Chart]]:
    for row in rows:
        values = {k: v for k, v in row.items() if k not in ("chart", "seq")}
        stored = orjson.loads(row["chart"])  # type: ignore[arg-type]
        if stored:
            event = Event(**{**values, "kind": EventKind(values["kind"])})  # type: ignore[arg-type]
            yield event, read_chart(stored)
