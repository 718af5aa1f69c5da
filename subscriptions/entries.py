"""The entries of a Bundle, found by what a focus calls them.

Pure. Looking one up takes the same time in a Bundle of any size.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from subscriptions.focusing import Entry, read_entry, read_focus


class EntryIndex:
    """Entries by their full URL and by type and id, in their order."""

    def __init__(self, entries: Iterable[Any]) -> None:
        self.all = tuple(read_entry(entry) for entry in entries)
        self._by_url: dict[str, list[Entry]] = {}
        self._by_reference: dict[str, list[Entry]] = {}
        for entry in self.all:
            if entry.full_url:
                self._by_url.setdefault(entry.full_url, []).append(entry)
            if entry.focus is not None:
                self._by_reference.setdefault(entry.focus.reference, []).append(entry)

    def find(self, focus: object, nth: int = 0) -> Entry | None:
        """Return the entry of a focus: by its full URL, else by type and id.

        ``nth`` is how often the Bundle told of this focus before: each version has an
        entry of its own. The last one stands for what has none.
        """
        if not isinstance(focus, str):
            return None
        wanted = read_focus(focus)
        found = self._by_url.get(focus)
        if found is None and wanted is not None:
            found = self._by_reference.get(wanted.reference)
        return found[min(nth, len(found) - 1)] if found else None


def read_resource(entry: Any) -> dict[str, Any] | None:
    """Return an entry's resource, if it has one."""
    resource = entry.get("resource") if isinstance(entry, dict) else None
    return resource if isinstance(resource, dict) else None
