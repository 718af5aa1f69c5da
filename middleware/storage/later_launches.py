"""What a user opened after a launch was last used: another patient's chart, or none."""

from __future__ import annotations

from middleware.storage.connecting import Tx
from middleware.storage.launches import LaunchRow


def has_left_for_another(tx: Tx, row: LaunchRow) -> bool:
    """Tell whether its user opened another patient's chart since a launch was used."""
    found = tx.execute(
        "SELECT 1 FROM launch WHERE endpoint_id = %s AND created_at > %s "
        "AND look ->> 'who' = %s AND patient <> %s LIMIT 1",
        (row.endpoint_id, row.seen_at or row.created_at, row.who, row.patient),
    )
    return found.fetchone() is not None
