"""The plans of every site as the console shows them: read anew where content changed.

Each look costs one small query and the times of the folder's files. Content that cannot
be read leaves what was read before, and says why.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

from mappings.errors import ContentError
from mappings.plan import Plan
from middleware.storage import content
from middleware.storage.connecting import Tx
from middleware.storage.database import Database
from middleware.wiring.content_files import signature
from middleware.wiring.contents import LOOK_SECONDS, list_known_plans


@dataclass(frozen=True)
class Seen:
    """What a look found: the plans, and why the content cannot be used ("" if it can)."""

    plans: tuple[Plan, ...]
    fault: str = ""


class KnownPlans:
    """Looks at all content, at most once in ``look_seconds``; safe for threads."""

    def __init__(
        self,
        database: Database,
        folder: Path | None,
        *,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._database = database
        self._folder = folder
        self._look_seconds = look_seconds
        self._lock = threading.Lock()
        self._until = 0.0
        self._key: object = None
        self._seen = Seen(())

    def look(self) -> Seen:
        """Return the plans in force, and what is wrong with the content."""
        with self._lock:
            present = time.monotonic()
            if self._key is None or present >= self._until:
                with self._database.beside() as tx:
                    self._seen = self._read(tx)
                self._until = present + self._look_seconds
            return self._seen

    def check(self) -> None:
        """Raise ContentError where the content cannot be used."""
        if fault := self.look().fault:
            raise ContentError(fault)

    def _read(self, tx: Tx) -> Seen:
        try:
            files = signature(self._folder) if self._folder else ()
        except ContentError as error:
            self._key = error.message
            return self._broken(tx, error)
        key = (content.read_revision(tx), files)
        if key == self._key:
            return self._seen
        self._key = key
        try:
            return Seen(list_known_plans(tx, self._folder))
        except ContentError as error:
            return self._broken(tx, error)

    def _broken(self, tx: Tx, error: ContentError) -> Seen:
        """Return what was read before; at the first look what needs no folder."""
        return Seen(self._seen.plans or list_known_plans(tx, None), error.message)
