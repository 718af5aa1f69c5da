"""Events with the chart they were read with, and what is remembered of each focus."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from mappings.chart import Chart, read_chart
from mappings.event import Event, EventKind, FocusState
from middleware.storage.connecting import Row, Tx
from middleware.storage.rows import end_rows, list_rows, retry_row

_COLUMNS = (
    "id, key, endpoint_id, kind, patient, shard, focus, focus_version, occurred_at, "
    "received_at, attempts, chart"
)

_INSERT = """
INSERT INTO event (id, key, endpoint_id, kind, patient, shard, focus, focus_version,
                   occurred_at, received_at, inbox_id, source, chart, due_at)
SELECT e.id, e.key, e.endpoint_id, e.kind, e.patient, e.shard, e.focus, e.focus_version,
       e.occurred_at, e.received_at, e.inbox_id, e.source, c.chart, %(due_at)s
  FROM json_populate_recordset(NULL::event, %(rows)s) WITH ORDINALITY AS e
  JOIN unnest(%(charts)b::bytea[]) WITH ORDINALITY AS c (chart, place)
    ON c.place = e.ordinality
 ORDER BY c.place
    ON CONFLICT (key) DO NOTHING
"""
_REMEMBER = """
INSERT INTO focus_state (endpoint_id, reference, version, status, fingerprint,
                         last_updated, patient)
SELECT endpoint_id, reference, version, status, fingerprint, last_updated, patient
  FROM json_populate_recordset(NULL::focus_state, %s)
    ON CONFLICT (endpoint_id, reference) DO UPDATE SET version = excluded.version,
       status = excluded.status, fingerprint = excluded.fingerprint,
       last_updated = excluded.last_updated, patient = excluded.patient
"""


@dataclass(frozen=True)
class NewEvent:
    """An event with where it came from and the chart that it is decided on."""

    event: Event
    source: str
    inbox_id: int | None
    chart: Chart


def list_focus_states(
    tx: Tx, endpoint_id: str, references: Sequence[str]
) -> dict[str, FocusState]:
    """Return what is remembered of these foci (``Type/id``), of those that are known."""
    rows = tx.execute(
        "SELECT reference, version, status, fingerprint, last_updated, patient "
        "FROM focus_state WHERE endpoint_id = %s AND reference = ANY(%s)",
        (endpoint_id, list(references)),
    )
    return {row["reference"]: FocusState(**row) for row in rows}


def put_focus_states(tx: Tx, endpoint_id: str, states: Sequence[FocusState]) -> None:
    """Remember foci as they are now."""
    rows = [{"endpoint_id": endpoint_id, **vars(state)} for state in states]
    if rows:
        tx.execute(_REMEMBER, (orjson.dumps(rows).decode(),))


def forget_focus(tx: Tx, endpoint_id: str, reference: str) -> None:
    """Forget what is remembered of a focus: its history is read as if new."""
    tx.execute(
        "DELETE FROM focus_state WHERE endpoint_id = %s AND reference = %s",
        (endpoint_id, reference),
    )


def insert_event(
    tx: Tx,
    event: Event,
    *,
    source: str,
    inbox_id: int | None,
    chart: Chart,
    due_at: datetime,
) -> bool:
    """Add an event for DECIDE; False when its key exists already."""
    return insert_events(tx, [NewEvent(event, source, inbox_id, chart)], due_at) == 1


def insert_events(tx: Tx, fresh: Sequence[NewEvent], due_at: datetime) -> int:
    """Add events for DECIDE, each key once; return how many are new."""
    if not fresh:
        return 0
    rows = [
        {**vars(item.event), "inbox_id": item.inbox_id, "source": item.source}
        for item in fresh
    ]
    charts = [orjson.dumps(item.chart.as_json()) for item in fresh]
    values = {"rows": orjson.dumps(rows).decode(), "charts": charts, "due_at": due_at}
    return tx.execute(_INSERT, values).rowcount


def list_events(
    tx: Tx, shards: Iterable[int], now: datetime, limit: int
) -> list[tuple[Event, Chart]]:
    """List the events of these shards that are due, with the chart of their reading."""
    rows = list_rows(tx, "event", _COLUMNS, shards, now, limit)
    return [(_read(row), _chart(row)) for row in rows]


def get_event(tx: Tx, event_id: str) -> tuple[Event, Chart] | None:
    """Return one event with its chart, whatever its state."""
    row = tx.execute(
        f"SELECT {_COLUMNS} FROM event WHERE id = %s",  # noqa: S608
        (event_id,),
    ).fetchone()
    return (_read(row), _chart(row)) if row else None


def finish_event(tx: Tx, ids: Sequence[str], now: datetime) -> None:
    """Mark events done."""
    end_rows(tx, "event", ids, "done", now)


def retry_event(tx: Tx, event_id: str, due_at: datetime, error: str) -> None:
    """Count an attempt and try again at ``due_at``."""
    retry_row(tx, "event", event_id, due_at, error)


def kill_event(tx: Tx, event_id: str, error: str, now: datetime) -> None:
    """Give an event up: a dead letter that a person sees."""
    end_rows(tx, "event", [event_id], "dead", now, error=error)


def _read(row: Row) -> Event:
    values = {name: value for name, value in row.items() if name != "chart"}
    return Event(**{**values, "kind": EventKind(values["kind"])})


def _chart(row: Row) -> Chart:
    return read_chart(orjson.loads(row["chart"]))
