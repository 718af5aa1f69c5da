"""Whose charts have a number or address: what tells a shared phone from one's own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date

from mappings.preference import Bearer
from middleware.storage.connecting import Tx

# Rows of these patients that the charts no longer have go; nothing else is touched.
_NOTE = """
WITH told AS (
    SELECT * FROM unnest(%(patients)s::text[], %(systems)s::text[], %(values)s::text[],
                         %(dates)s::date[]) AS t (patient, system, value, adult_from)
), gone AS (
    DELETE FROM bearer AS b WHERE b.endpoint_id = %(endpoint)s
       AND b.patient = ANY(%(read)s) AND NOT EXISTS (SELECT FROM told AS t
           WHERE (t.patient, t.system, t.value) = (b.patient, b.system, b.value))
)
INSERT INTO bearer (endpoint_id, patient, system, value, adult_from)
SELECT %(endpoint)s, patient, system, value, adult_from FROM told
    ON CONFLICT (endpoint_id, patient, system, value)
    DO UPDATE SET adult_from = excluded.adult_from
 WHERE bearer.adult_from IS DISTINCT FROM excluded.adult_from
"""
_LIST = """
SELECT b.system, b.value, b.endpoint_id, b.patient, b.adult_from FROM bearer AS b
  JOIN unnest(%(systems)s::text[], %(values)s::text[]) AS a (system, value)
 USING (system, value) ORDER BY b.system, b.value, b.endpoint_id, b.patient
"""

Points = Collection[tuple[str, str]]


def note_bearers(
    tx: Tx, endpoint_id: str, charts: Mapping[str, tuple[Points, date | None]]
) -> None:
    """Keep what charts say now: (system, value) of each, and the 18th birthday."""
    rows = [
        (patient, system, value, grown)
        for patient, (points, grown) in sorted(charts.items())
        for system, value in sorted(set(points))
    ]
    tx.execute(
        _NOTE,
        {
            "endpoint": endpoint_id,
            "read": sorted(charts),
            "patients": [row[0] for row in rows],
            "systems": [row[1] for row in rows],
            "values": [row[2] for row in rows],
            "dates": [row[3] for row in rows],
        },
    )


def list_bearers(tx: Tx, points: Points) -> list[tuple[str, Bearer]]:
    """List (``Patient/id``, bearer) of everybody whose chart has one of these."""
    known = sorted(set(points))
    values = {
        "systems": [system for system, _ in known],
        "values": [value for _, value in known],
    }
    rows = tx.execute(_LIST, values)
    return [(row.pop("patient"), Bearer(**row)) for row in rows]
