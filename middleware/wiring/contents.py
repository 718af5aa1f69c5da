"""The library of each site: what is shipped, the site's folder, and what was imported.

It is kept, and looked at again every few seconds. Content that cannot be read changes
nothing where good content was read before; a process that never read any says so.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from mappings.content_merge import Placed, merge_content, read_placed
from mappings.endpoint import Endpoint, Site
from mappings.errors import ContentError
from mappings.plan import Library, Plan
from middleware.decisions.matching import is_off
from middleware.ports import Clock
from middleware.storage import content
from middleware.storage.connecting import Tx
from middleware.storage.database import Database
from middleware.wiring.content_files import read_files, shipped, signature

# A change counts within 10 s: what is looked at every 4 s is never older than that.
LOOK_SECONDS = 4.0
KEPT = 32

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Kept:
    """The library of one endpoint, until when (monotonic), and for which site.

    ``without`` are the resource types that its EHR does not have.
    """

    library: Library
    until: float
    site: Site
    without: frozenset[str]


def folder_content(folder: Path | None) -> tuple[Placed, ...]:
    """Read the site's folder; empty where none is set. Raises ContentError."""
    return read_files(folder) if folder else ()


def list_in_force(
    tx: Tx, folder: Path | None, endpoint_id: str = content.EVERY_SITE
) -> tuple[Placed, ...]:
    """Return every resource that is in force for a site. Raises ContentError."""
    stored = content.list_content(tx, endpoint_id)
    common = [_placed(row) for row in stored if not row.endpoint_id]
    own = [_placed(row) for row in stored if row.endpoint_id]
    return merge_content(shipped(), folder_content(folder), common, own)


def list_known_plans(tx: Tx, folder: Path | None) -> tuple[Plan, ...]:
    """Return the plans of every site, each url once per site that has its own."""
    names = [content.EVERY_SITE, *content.list_sites(tx)]
    found = (read_placed(list_in_force(tx, folder, name)).plans for name in names)
    return tuple({plan.url: plan for plans in found for plan in plans}.values())


def _placed(row: content.StoredContent) -> Placed:
    return Placed(f"imported by {row.imported_by}", row.resource)


def _unsupported(endpoint: Endpoint) -> frozenset[str]:
    """Return the resource types that an endpoint's EHR does not have."""
    return frozenset(map(str, endpoint.profile.get("unsupported", ())))


class Contents:
    """Gives each endpoint its library; safe for threads."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        folder: Path | None,
        *,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._database = database
        self._clock = clock
        self._folder = folder
        self._look_seconds = look_seconds
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}
        self._whole: dict[tuple[object, ...], Library] = {}

    def library(self, endpoint: Endpoint) -> Library:
        """Return the plans that are on at a site, with its wordings and reviewers."""
        with self._lock:
            known = self._kept.get(endpoint.id)
            present = time.monotonic()
            about = (endpoint.site, _unsupported(endpoint))
            same = known is not None and (known.site, known.without) == about
            if known is not None and same and present < known.until:
                return known.library
            library = self._look(endpoint, known if same else None)
            until = present + self._look_seconds
            self._kept[endpoint.id] = _Kept(library, until, *about)
            return library

    def _look(self, endpoint: Endpoint, known: _Kept | None) -> Library:
        try:
            whole = self._read(endpoint.id, endpoint.site.reviewers)
        except ContentError as error:
            if known is None:
                raise
            _log.error("content is not usable", error=error.message)
            return known.library
        now = self._clock.now()
        site = endpoint.site
        on = tuple(plan for plan in whole.plans if not is_off(plan, site, now))
        fresh = replace(whole, plans=on, without=_unsupported(endpoint))
        if known is not None and known.library.plans == on:
            same = known.library.wordings is whole.wordings
            return known.library if same else fresh
        return fresh

    def _read(self, endpoint_id: str, reviewers: Mapping[str, str]) -> Library:
        """Return all content of a site; read anew only where something changed."""
        with self._database.beside() as tx:
            common, own = content.read_revisions(tx, endpoint_id)
            folder = signature(self._folder) if self._folder else ()
            site = endpoint_id if own else content.EVERY_SITE
            key = (folder, common, own, site, tuple(sorted(reviewers.items())))
            if key not in self._whole:
                placed = list_in_force(tx, self._folder, site)
                while len(self._whole) >= KEPT:
                    self._whole.pop(next(iter(self._whole)))
                self._whole[key] = read_placed(placed, reviewers)
            return self._whole[key]
