"""Every candidate that was decided on, with the verdict and the facts it rests on.

Rows are added and never changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from mappings.nudge import Fact, Nudge, Outcome, Verdict
from middleware.storage.connecting import Row, Tx

# Upon what a person saved, and on as much of the chart as that person may read.
DESK = "desk"
_COLUMNS = (
    "id, endpoint_id, patient, event_id, nudge_id, stage, plan, plan_version, action, "
    "outcome, reason, facts, detail, decided_at"
)
_INSERT = f"""
INSERT INTO decision ({_COLUMNS})
SELECT {_COLUMNS} FROM json_populate_recordset(NULL::decision, %s)
"""  # noqa: S608 -- constants


@dataclass(frozen=True)
class DecisionRow:
    """A row of ``decision``."""

    id: str
    endpoint_id: str
    patient: str
    event_id: str | None
    nudge_id: str | None
    stage: str
    plan: str
    plan_version: str
    action: str
    verdict: Verdict
    decided_at: datetime


def insert_decision(
    tx: Tx,
    *,
    id: str,  # noqa: A002 -- the column's name
    endpoint_id: str,
    patient: str,
    event_id: str | None,
    nudge_id: str | None,
    stage: str,
    plan: str,
    plan_version: str,
    action: str,
    verdict: Verdict,
    decided_at: datetime,
) -> None:
    """Add a decision; ``stage`` is decide, deliver or desk."""
    row = DecisionRow(
        id,
        endpoint_id,
        patient,
        event_id,
        nudge_id,
        stage,
        plan,
        plan_version,
        action,
        verdict,
        decided_at,
    )
    insert_decisions(tx, [row])


def insert_decisions(tx: Tx, decisions: Sequence[DecisionRow]) -> None:
    """Add decisions, in this order."""
    rows = [_written(decision) for decision in decisions]
    if rows:
        tx.execute(_INSERT, (orjson.dumps(rows).decode(),))


def _written(row: DecisionRow) -> dict[str, Any]:
    verdict = row.verdict
    own = {
        "outcome": verdict.outcome.value,
        "reason": verdict.reason,
        "facts": [fact.as_json() for fact in verdict.facts],
        "detail": verdict.detail,
    }
    return {**vars(row), "verdict": None, **own}


def insert_nudge_decision(
    tx: Tx,
    nudge: Nudge,
    verdict: Verdict,
    *,
    id: str,  # noqa: A002 -- the column's name
    stage: str,
    decided_at: datetime,
    event_id: str | None = None,
) -> None:
    """Add what was decided on a nudge; ``event_id`` is another event than its own."""
    insert_decision(
        tx,
        id=id,
        endpoint_id=nudge.endpoint_id,
        patient=nudge.patient,
        event_id=event_id or nudge.event_id,
        nudge_id=nudge.id,
        stage=stage,
        plan=nudge.plan,
        plan_version=nudge.plan_version,
        action=nudge.action,
        verdict=verdict,
        decided_at=decided_at,
    )


def read_last_checked(tx: Tx, nudge_ids: Sequence[str]) -> datetime | None:
    """Return when the pipeline decided on the one it left longest alone, None for none."""
    row = tx.execute(
        "SELECT min(at) AS at FROM (SELECT max(decided_at) AS at FROM decision "
        "WHERE nudge_id = ANY(%s) AND stage <> %s GROUP BY nudge_id) AS each",
        (list(nudge_ids), DESK),
    ).fetchone()
    at: datetime | None = row["at"] if row else None
    return at


def list_decisions(
    tx: Tx,
    *,
    nudge_id: str | None = None,
    event_id: str | None = None,
    id: str | None = None,  # noqa: A002 -- the column's name
) -> list[DecisionRow]:
    """List the decisions of a nudge, of an event or of one id, oldest first."""
    name, value = next(
        (name, value)
        for name, value in (("nudge_id", nudge_id), ("event_id", event_id), ("id", id))
        if value is not None or name == "id"
    )
    rows = tx.execute(
        f"SELECT {_COLUMNS} FROM decision WHERE {name} = %s ORDER BY seq",  # noqa: S608 -- one of three constants
        (value,),
    )
    return [_read(row) for row in rows]


def _read(row: Row) -> DecisionRow:
    facts = tuple(Fact(**fact) for fact in row["facts"])
    verdict = Verdict(
        Outcome(row["outcome"]), row["reason"], facts, detail=row["detail"]
    )
    own = ("outcome", "reason", "facts", "detail")
    rest = {name: value for name, value in row.items() if name not in own}
    return DecisionRow(verdict=verdict, **rest)
