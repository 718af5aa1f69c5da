"""Writing down which channels and EHRs a worker leaves alone, for people to see.

Nothing depends on these rows: where they cannot be written, the work goes on.
"""

from __future__ import annotations

from datetime import datetime

import structlog

from mappings.errors import StorageError
from middleware.stages.lanes import Tell
from middleware.storage.circuits import set_circuit
from middleware.storage.database import Database

_log = structlog.get_logger(__name__)


def make_teller(database: Database, worker: str) -> Tell:
    """Return what notes a lane of this worker as shut or open; it never raises."""

    def tell(name: str, until: datetime | None, now: datetime) -> None:
        try:
            with database.tx() as tx:
                set_circuit(tx, worker, name, until, now)
        except StorageError:
            _log.warning("circuit not noted", name=name)

    return tell
