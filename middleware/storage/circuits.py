"""Circuits: which channels and EHRs the workers leave alone right now, to be seen.

A worker that dies leaves its rows behind; they count until their time is past.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from middleware.storage.connecting import Tx

# After its time one is let through to see; until that one tells, it counts as shut.
LINGER = timedelta(minutes=1)
_FORGOTTEN = timedelta(days=1)
_EHR = "EHR "


@dataclass(frozen=True)
class CircuitRow:
    """What ``workers`` workers leave alone, the longest until ``shut_until``."""

    name: str
    shut_until: datetime
    workers: int

    @property
    def endpoint_id(self) -> str | None:
        """Return the endpoint where it is an EHR; None where it is a channel."""
        return self.name.removeprefix(_EHR) if self.name.startswith(_EHR) else None


def ehr_lane(endpoint_id: str) -> str:
    """Return the name under which an EHR is left alone; a channel has its own."""
    return f"{_EHR}{endpoint_id}"


def set_circuit(
    tx: Tx, worker: str, name: str, shut_until: datetime | None, now: datetime
) -> None:
    """Note until when a worker leaves something alone; None: it answers again."""
    tx.execute("DELETE FROM circuit WHERE shut_until < %s", (now - _FORGOTTEN,))
    if shut_until is None:
        tx.execute(
            "DELETE FROM circuit WHERE worker = %s AND name = %s", (worker, name)
        )
        return
    tx.execute(
        "INSERT INTO circuit (worker, name, shut_until) VALUES (%s, %s, %s) "
        "ON CONFLICT (worker, name) DO UPDATE SET shut_until = excluded.shut_until",
        (worker, name, shut_until),
    )


def list_shut(tx: Tx, now: datetime) -> list[CircuitRow]:
    """List what is left alone, by name."""
    rows = tx.execute(
        "SELECT name, max(shut_until) AS shut_until, count(*) AS workers FROM circuit "
        "WHERE shut_until > %s GROUP BY name ORDER BY name",
        (now - LINGER,),
    )
    return [CircuitRow(**row) for row in rows]
