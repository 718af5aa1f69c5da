"""Rows of ``endpoint``: one connected EHR each.

The whole value is kept as JSON in ``record``; no secret is in it.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from mappings.endpoint import (
    AppClient,
    BackendClient,
    CdsCaller,
    Endpoint,
    EndpointKind,
    Site,
)
from middleware.storage.connecting import Row, Tx
from middleware.storage.reviews import turn_on

# A plan that is off or paused is on for none.
ROLLOUT = """
(SELECT coalesce(jsonb_object_agg(r.plan,
           CASE r.state WHEN 'on' THEN r.percent ELSE 0 END), '{}')
      FROM plan_rollout AS r WHERE r.endpoint_id = e.id)
"""
_SELECT = f"SELECT e.record, {ROLLOUT} AS rollout FROM endpoint AS e"  # noqa: S608 -- constants
_OWN_TABLES = ("rollout", "governed")
_APP_TUPLES = ("issuers", "frame_origins", "read_only")
_CDS_TUPLES = ("issuers", "key_urls", "tenants", "origins")
_SITE_TUPLES = ("window", "sunday_window", "plans_off", "plans_on")


def insert_endpoint(tx: Tx, endpoint: Endpoint, now: datetime) -> None:
    """Add an endpoint; its id and FHIR base are unique."""
    tx.execute(
        "INSERT INTO endpoint (id, name, kind, fhir_base, record, created_at) "
        "VALUES (%(id)s, %(name)s, %(kind)s, %(fhir_base)s, %(record)s, %(now)s)",
        {**_values(endpoint), "now": now},
    )


def update_endpoint(tx: Tx, endpoint: Endpoint) -> bool:
    """Replace the endpoint of the same id; False when there is none."""
    updated = tx.execute(
        "UPDATE endpoint SET name = %(name)s, kind = %(kind)s, "
        "fhir_base = %(fhir_base)s, record = %(record)s WHERE id = %(id)s",
        _values(endpoint),
    )
    if endpoint.site.review_days:
        turn_on(tx, endpoint.id)
    return updated.rowcount == 1


def get_endpoint(tx: Tx, endpoint_id: str) -> Endpoint | None:
    """Return one endpoint."""
    row = tx.execute(f"{_SELECT} WHERE e.id = %s", (endpoint_id,)).fetchone()
    return read_endpoint(row) if row else None


def list_endpoints(tx: Tx) -> list[Endpoint]:
    """List all endpoints, oldest first."""
    rows = tx.execute(f"{_SELECT} ORDER BY e.created_at, e.id")
    return [read_endpoint(row) for row in rows]


def delete_endpoint(tx: Tx, endpoint_id: str) -> bool:
    """Remove an endpoint and what came in from it; False while it has events.

    Without events nothing was decided on any of it. False when there is none, too.
    """
    row = tx.execute(
        "SELECT 1 FROM event WHERE endpoint_id = %s LIMIT 1", (endpoint_id,)
    ).fetchone()
    if row is not None:
        return False
    held = ("inbox", "poll_cursor", "poll_unbegun", "focus_state", "review")
    for table in (
        *held,
        "review_pace",
        "draft",
        "launch",
        "last_answer",
        "sign_in_frame",
    ):
        tx.execute(f"DELETE FROM {table} WHERE endpoint_id = %s", (endpoint_id,))  # noqa: S608 -- constants
    for table in ("tally", "notification"):
        tx.execute(
            f"DELETE FROM {table} WHERE subscription_id IN "  # noqa: S608 -- constants
            "(SELECT id FROM subscription WHERE endpoint_id = %s)",
            (endpoint_id,),
        )
    tx.execute("DELETE FROM subscription WHERE endpoint_id = %s", (endpoint_id,))
    deleted = tx.execute("DELETE FROM endpoint WHERE id = %s", (endpoint_id,))
    return deleted.rowcount == 1


def read_endpoint(row: Row) -> Endpoint:
    """Return the endpoint of a row with its ``record`` and its ``rollout``."""
    record = row["record"]
    site = record["site"]
    app = record["app"]
    return Endpoint(
        id=record["id"],
        name=record["name"],
        kind=EndpointKind(record["kind"]),
        fhir_base=record["fhir_base"],
        backend=BackendClient(**record["backend"]),
        app=AppClient(**_tuples(app, *_APP_TUPLES)),
        # Endpoints that were stored before CDS Hooks have none.
        cds=CdsCaller(**_tuples(record.get("cds", {}), *_CDS_TUPLES)),
        site=Site(**_tuples(site, *_SITE_TUPLES)),
        allow_list=tuple(record["allow_list"]),
        profile=record["profile"],
        rollout=row["rollout"],
        governed=record["kind"] != EndpointKind.SANDBOX.value,
    )


def _values(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "name": endpoint.name,
        "kind": endpoint.kind.value,
        "fhir_base": endpoint.fhir_base,
        "record": Jsonb(
            {k: v for k, v in asdict(endpoint).items() if k not in _OWN_TABLES}
        ),
    }


def _tuples(record: dict[str, Any], *names: str) -> dict[str, Any]:
    return {
        name: tuple(value) if name in names else value for name, value in record.items()
    }
