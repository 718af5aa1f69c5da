"""Clinical content that a site added: every version that ever came, with who and when.

Rows are added and never changed; the highest version is in force.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from middleware.storage.connecting import Tx

EVERY_SITE = ""


@dataclass(frozen=True)
class StoredContent:
    """A row of ``content``; ``endpoint_id`` "" is for every site."""

    endpoint_id: str
    resource: dict[str, Any]
    imported_at: datetime
    imported_by: str


def insert_content(
    tx: Tx,
    endpoint_id: str,
    resources: Iterable[dict[str, Any]],
    now: datetime,
    by: str,
) -> int:
    """Add resources whose url and version are new; return how many were."""
    rows = [
        (
            endpoint_id,
            item["resourceType"],
            item["url"],
            item["version"],
            Jsonb(item),
            now,
            by,
        )
        for item in resources
    ]
    with tx.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO content (endpoint_id, type, url, version, resource, "
            "imported_at, imported_by) VALUES (%s, %s, %s, %s, %s, %s, %s) "
            "ON CONFLICT (endpoint_id, url, version) DO NOTHING",
            rows,
        )
        return cursor.rowcount


def list_content(tx: Tx, endpoint_id: str) -> list[StoredContent]:
    """List what is for every site, then what is for this one, in order of import."""
    rows = tx.execute(
        "SELECT endpoint_id, resource, imported_at, imported_by FROM content "
        "WHERE endpoint_id IN ('', %s) ORDER BY endpoint_id, seq",
        (endpoint_id,),
    )
    return [StoredContent(**row) for row in rows]


def list_sites(tx: Tx) -> list[str]:
    """List the endpoints that have content of their own."""
    rows = tx.execute(
        "SELECT DISTINCT endpoint_id FROM content WHERE endpoint_id <> '' ORDER BY 1"
    )
    return [row["endpoint_id"] for row in rows]


def read_revisions(tx: Tx, endpoint_id: str) -> tuple[int, int]:
    """Return what grows with each import: for every site, and for this one alone."""
    row = tx.execute(
        "SELECT coalesce(max(seq) FILTER (WHERE endpoint_id = ''), 0) AS common, "
        "coalesce(max(seq) FILTER (WHERE endpoint_id <> ''), 0) AS own "
        "FROM content WHERE endpoint_id IN ('', %s)",
        (endpoint_id,),
    ).fetchone()
    return (row["common"], row["own"]) if row else (0, 0)


def read_revision(tx: Tx) -> int:
    """Return what grows with each import, whatever site it is for."""
    row = tx.execute("SELECT coalesce(max(seq), 0) AS newest FROM content").fetchone()
    return int(row["newest"]) if row else 0
