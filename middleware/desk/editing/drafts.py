"""What somebody had filled in when their session ended, kept for them alone."""

from __future__ import annotations

from datetime import datetime, timedelta

from middleware.storage import drafts
from middleware.storage.database import Database

DraftRow = drafts.DraftRow
LIFE = timedelta(minutes=10)


class DraftBook:
    """The drafts in the database, each call one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert(self, row: DraftRow) -> None:
        """Keep a draft in place of an older one."""
        with self._database.tx() as tx:
            drafts.insert_draft(tx, row)

    def find(
        self, endpoint_id: str, user: str, patient: str, now: datetime
    ) -> DraftRow | None:
        """Return the draft of this person about this patient, in its time."""
        with self._database.tx() as tx:
            return drafts.find_draft(tx, endpoint_id, user, patient, now)

    def delete(self, endpoint_id: str, user: str, patient: str) -> None:
        """Remove it."""
        with self._database.tx() as tx:
            drafts.delete_drafts(tx, endpoint_id, user, patient)
