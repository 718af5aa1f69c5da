"""The entries of a Bundle, found by what a focus calls them.

Pure. Looking one up takes the same time in a Bundle of any size.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from subscriptions.focusing import Entry, read_entry, read_focus


class EntryIndex:
    """Entries by their full URL and by type and id; the first of each counts."""

    def __init__(self, entries: Iterable[Any]) -> None:
        self.all = tuple(read_entry(entry) for entry in entries)
        self._by_url: dict[str, Entry] = {}
        self._by_reference: dict[str, Entry] = {}
        for entry in self.all:
            if entry.full_url:
                self._by_url.setdefault(entry.full_url, entry)
            if entry.focus is not None:
                self._by_reference.setdefault(entry.focus.reference, entry)

    def find(self, focus: object) -> Entry | None:
        """Return the entry of a focus: by its full URL, else by type and id."""
        if not isinstance(focus, str):
            return None
        wanted = read_focus(focus)
        found = self._by_url.get(focus)
        if found is None and wanted is not None:
            found = self._by_reference.get(wanted.reference)
        return found


def read_resource(entry: Any) -> dict[str, Any] | None:
    """Return an entry's resource, if it has one."""
    resource = entry.get("resource") if isinstance(entry, dict) else None
    return resource if isinstance(resource, dict) else None
