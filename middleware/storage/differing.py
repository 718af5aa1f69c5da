"""Open tasks to correct a number or address in a chart, with what was said of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from middleware.storage.connecting import Tx

REASON = "chart-differs"
_KEY = f"task-{REASON}-"
_CLAIM = f"""
WITH mine AS (
  SELECT t.id, p.id AS record_id, p.name, p.value
    FROM staff_task AS t JOIN preference AS p ON t.id = '{_KEY}' || p.id
   WHERE t.state = 'requested' AND t.reason = '{REASON}'
     AND (t.looked_at IS NULL OR t.looked_at <= %(before)s)
   ORDER BY t.looked_at NULLS FIRST, t.created_at, t.id LIMIT %(limit)s)
UPDATE staff_task AS t SET looked_at = %(now)s FROM mine WHERE t.id = mine.id
RETURNING t.id, t.endpoint_id, t.patient, mine.record_id, mine.name, mine.value
"""  # noqa: S608 -- constants


@dataclass(frozen=True)
class DifferingTask:
    """A task that asks to correct the chart of ``patient`` to what a record says.

    The record is named after the number or address; ``value`` is its statement.
    """

    id: str
    endpoint_id: str
    patient: str
    record_id: str
    name: str
    value: Any


def task_key(record_id: str) -> str:
    """Return the key of the task about one record (:func:`ask_person`'s ``key``)."""
    return f"{REASON}-{record_id}"


def task_id(record_id: str) -> str:
    """Return the id of the task about one record."""
    return f"{_KEY}{record_id}"


def claim_differing(
    tx: Tx, now: datetime, before: datetime, limit: int
) -> list[DifferingTask]:
    """Take the open tasks not looked at since ``before``, the longest unseen first."""
    values = {"now": now, "before": before, "limit": limit}
    return [DifferingTask(**row) for row in tx.execute(_CLAIM, values)]
