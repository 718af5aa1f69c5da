"""What somebody had filled in when their session ended, kept for them alone."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from middleware.storage import drafts
from middleware.storage.database import Database

DraftRow = drafts.DraftRow
LIFE = timedelta(minutes=10)


class DraftBook:
    """The drafts in the database, each call one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert(self, row: DraftRow, instead: Collection[str]) -> None:
        """Keep a draft in place of older ones of the same form."""
        with self._database.tx() as tx:
            drafts.delete_drafts(tx, instead)
            drafts.insert_draft(tx, row)

    def find_all(
        self, endpoint_id: str, user: str, patient: str, now: datetime
    ) -> list[DraftRow]:
        """Return this person's drafts about this patient in their time, newest first."""
        with self._database.tx() as tx:
            return drafts.list_drafts(tx, endpoint_id, user, patient, now)

    def delete(self, ids: Collection[str]) -> None:
        """Remove drafts."""
        with self._database.tx() as tx:
            drafts.delete_drafts(tx, ids)
