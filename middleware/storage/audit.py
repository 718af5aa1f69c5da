"""The audit trail: who did what, when and to whom. Rows are added and never changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from middleware.storage.connecting import Tx


@dataclass(frozen=True)
class AuditRow:
    """A row of ``audit``."""

    id: int
    at: datetime
    who: str
    action: str
    endpoint_id: str | None
    patient: str | None
    subject: str | None
    detail: dict[str, Any]


def insert_audit(
    tx: Tx,
    who: str,
    action: str,
    now: datetime,
    *,
    endpoint_id: str | None = None,
    patient: str | None = None,
    subject: str | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Add an entry, in the transaction of the act itself."""
    tx.execute(
        "INSERT INTO audit (at, who, action, endpoint_id, patient, subject, detail) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (now, who, action, endpoint_id, patient, subject, Jsonb(detail or {})),
    )


def list_audit(
    tx: Tx,
    *,
    endpoint_id: str | None = None,
    patient: str | None = None,
    limit: int = 200,
) -> list[AuditRow]:
    """List the newest entries first, of one patient or of all."""
    rows = tx.execute(
        "SELECT id, at, who, action, endpoint_id, patient, subject, detail FROM audit "
        "WHERE (%(endpoint)s::text IS NULL OR endpoint_id = %(endpoint)s) "
        "AND (%(patient)s::text IS NULL OR patient = %(patient)s) "
        "ORDER BY id DESC LIMIT %(limit)s",
        {"endpoint": endpoint_id, "patient": patient, "limit": limit},
    )
    return [AuditRow(**row) for row in rows]
