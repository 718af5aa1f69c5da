"""The entries of a Bundle, found by what a focus calls them.

Pure. Looking one up takes the same time in a Bundle of any size.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from subscriptions.focusing import Entry, read_entry, read_focus


class EntryIndex:
    """Entries by their full URL and by type and id; the first of each counts.

    An entry is read when it is asked for: most notifications name one of many.
    """

    def __init__(self, entries: Iterable[Any]) -> None:
        self._entries = tuple(entries)

    @functools.cached_property
    def all(self) -> tuple[Entry, ...]:
        """All entries, in order."""
        return tuple(read_entry(entry) for entry in self._entries)

    @functools.cached_property
    def _by_url(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for entry in self._entries:
            url = entry.get("fullUrl") if isinstance(entry, dict) else None
            if url:
                found.setdefault(str(url), entry)
        return found

    @functools.cached_property
    def _by_reference(self) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        for entry in self.all:
            if entry.focus is not None:
                found.setdefault(entry.focus.reference, entry)
        return found

    def find(self, focus: object) -> Entry | None:
        """Return the entry of a focus: by its full URL, else by type and id."""
        if not isinstance(focus, str):
            return None
        entry = self._by_url.get(focus)
        if entry is not None:
            return read_entry(entry)
        wanted = read_focus(focus)
        return self._by_reference.get(wanted.reference) if wanted else None


def read_resource(entry: Any) -> dict[str, Any] | None:
    """Return an entry's resource, if it has one."""
    resource = entry.get("resource") if isinstance(entry, dict) else None
    return resource if isinstance(resource, dict) else None
