"""The audit trail: who saw and did what, when and to whom. Rows are only ever added.

A look at a chart is added by one statement that other statements can begin with, so
that what is shown and that it was shown are one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from mappings.audited import SEARCHED, VIEWED, Audited
from middleware.storage.connecting import Tx
from middleware.storage.ids import shard_of

# A page that is read again so soon, with nothing else in it, is the same look.
SAME_LOOK = timedelta(minutes=1)
_COLUMNS = "id, at, who, action, endpoint_id, patient, subject, detail"
# A search that brought the patient up concerns them too.
_CONCERNS = (
    "(patient = %(patient)s OR (action = '" + SEARCHED + "' "
    "AND detail -> 'patients' ? %(patient)s))"
)
_ACCOUNTING = f"""
WITH mine AS (
  SELECT array_append(array_agg(patient), %(patient)s::text) AS records
    FROM patient_lock WHERE endpoint_id = %(endpoint)s AND merged_into = %(patient)s)
SELECT {_COLUMNS} FROM audit, mine
 WHERE endpoint_id = %(endpoint)s AND (%(since)s::timestamptz IS NULL OR at >= %(since)s)
   AND (patient = ANY(records)
        OR (action = '{SEARCHED}' AND detail -> 'patients' ?| records))
 ORDER BY id
"""  # noqa: S608 -- constants
# What stands in ``looked`` is added: once a minute, and the EHR is told where it wants it.
LOOKED = f"""
seen AS (
  INSERT INTO audit (at, who, action, endpoint_id, patient, subject, detail)
  SELECT k.at, k.who, '{VIEWED}', k.endpoint_id, k.patient, k.launch_id, k.detail
    FROM looked AS k
   WHERE NOT EXISTS (
         SELECT FROM audit AS a WHERE a.action = '{VIEWED}' AND a.subject = k.launch_id
            AND a.at > k.since AND a.detail = k.detail)
  RETURNING id),
told AS (
  INSERT INTO outbox (id, key, endpoint_id, patient, shard, resource, due_at)
  SELECT 'audit-' || seen.id, k.endpoint_id || '|audit|' || seen.id, k.endpoint_id,
         k.patient, k.shard,
         jsonb_build_object('resourceType', 'AuditEvent', 'id', seen.id::text), k.at
    FROM seen, looked AS k WHERE k.tell)
"""  # noqa: S608 -- constants
_VIEW = f"""
WITH looked AS (
  SELECT %(at)s::timestamptz AS at, %(since)s::timestamptz AS since, %(who)s::text AS who,
         %(endpoint)s::text AS endpoint_id, %(patient)s::text AS patient,
         %(launch)s::text AS launch_id, %(detail)s::jsonb AS detail,
         %(shard)s::int AS shard, %(tell)s::boolean AS tell),
{LOOKED}
SELECT FROM seen
"""  # noqa: S608 -- constants

_ADD = """
WITH added AS (
  INSERT INTO audit (at, who, action, endpoint_id, patient, subject, detail)
  VALUES (%(at)s, %(who)s, %(action)s, %(endpoint)s, %(patient)s, %(subject)s, %(detail)s)
  RETURNING id),
told AS (
  SELECT a.id, t.patient, t.shard,
         a.id || CASE WHEN t.number > 1 THEN '|' || t.number ELSE '' END AS place
    FROM added AS a, unnest(%(told)s::text[], %(shards)s::int[])
         WITH ORDINALITY AS t (patient, shard, number)
   WHERE coalesce(%(tell)s::boolean, (
         SELECT record #> '{profile,audit_events}' = 'true' FROM endpoint
          WHERE id = %(endpoint)s), false))
INSERT INTO outbox (id, key, endpoint_id, patient, shard, resource, due_at)
SELECT 'audit-' || place, %(endpoint)s || '|audit|' || place, %(endpoint)s, patient, shard,
       jsonb_build_object('resourceType', 'AuditEvent', 'id', id::text), %(at)s
  FROM told
"""


@dataclass(frozen=True)
class Viewing:
    """A look at one patient's chart, as the audit keeps it.

    ``detail`` says which view, what was read for it and why. With ``tell`` the EHR is
    told as well.
    """

    at: datetime
    who: str
    endpoint_id: str
    patient: str
    launch_id: str
    detail: dict[str, Any]
    tell: bool = False


def insert_viewing(tx: Tx, viewing: Viewing) -> None:
    """Add a look, unless the same was added within the last minute."""
    values = {
        "at": viewing.at,
        "since": viewing.at - SAME_LOOK,
        "who": viewing.who,
        "endpoint": viewing.endpoint_id,
        "patient": viewing.patient,
        "launch": viewing.launch_id,
        "detail": Jsonb(viewing.detail),
        "shard": shard_of(viewing.endpoint_id, viewing.patient),
        "tell": viewing.tell,
    }
    tx.execute(_VIEW, values)


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
    tell: bool | None = False,
    concerns: Sequence[str] | None = None,
) -> None:
    """Add an entry, in the transaction of the act itself.

    With ``tell`` the EHR of the endpoint hears of it as well, with None where its site
    wants that: once for each patient whom it ``concerns``, by default the entry's own.
    """
    mine = () if patient is None else (patient,)
    told = list(mine if concerns is None else concerns) if endpoint_id else []
    values = {
        "at": now,
        "who": who,
        "action": action,
        "endpoint": endpoint_id,
        "patient": patient,
        "subject": subject,
        "detail": Jsonb(detail or {}),
        "tell": tell,
        "told": told,
        "shards": [shard_of(endpoint_id or "", name) for name in told],
    }
    tx.execute(_ADD, values)


def get_audit(tx: Tx, audit_id: int) -> Audited | None:
    """Return one entry."""
    row = tx.execute(
        f"SELECT {_COLUMNS} FROM audit WHERE id = %s",  # noqa: S608 -- constants
        (audit_id,),
    ).fetchone()
    return Audited(**row) if row else None


def list_audit(
    tx: Tx,
    *,
    endpoint_id: str | None = None,
    patient: str | None = None,
    limit: int = 200,
) -> list[Audited]:
    """List the newest entries first, of one patient or of all."""
    rows = tx.execute(
        f"SELECT {_COLUMNS} FROM audit "  # noqa: S608 -- constants
        "WHERE (%(endpoint)s::text IS NULL OR endpoint_id = %(endpoint)s) "
        f"AND (%(patient)s::text IS NULL OR {_CONCERNS}) "
        "ORDER BY id DESC LIMIT %(limit)s",
        {"endpoint": endpoint_id, "patient": patient, "limit": limit},
    )
    return [Audited(**row) for row in rows]


def list_concerning(
    tx: Tx, endpoint_id: str, patient: str, since: datetime | None
) -> list[Audited]:
    """List every entry that concerns a patient, the oldest first.

    Those of records that were merged into the patient's are among them.
    """
    rows = tx.execute(
        _ACCOUNTING, {"endpoint": endpoint_id, "patient": patient, "since": since}
    )
    return [Audited(**row) for row in rows]
