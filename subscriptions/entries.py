"""The entries of a Bundle, found by what a focus calls them.

Pure. Looking one up takes the same time in a Bundle of any size.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from subscriptions.focusing import Entry, read_entry, read_focus


class EntryIndex:
    """Entries by their full URL and by type and id, in their order.

    An entry is read when it is asked for: most notifications name one of many.
    """

    def __init__(self, entries: Iterable[Any]) -> None:
        self._entries = tuple(entries)

    @functools.cached_property
    def all(self) -> tuple[Entry, ...]:
        """All entries, in order."""
        return tuple(read_entry(entry) for entry in self._entries)

    @functools.cached_property
    def _by_url(self) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for entry in self._entries:
            url = entry.get("fullUrl") if isinstance(entry, dict) else None
            if url:
                found.setdefault(str(url), []).append(entry)
        return found

    @functools.cached_property
    def _by_reference(self) -> dict[str, list[Entry]]:
        found: dict[str, list[Entry]] = {}
        for entry in self.all:
            if entry.focus is not None:
                found.setdefault(entry.focus.reference, []).append(entry)
        return found

    def find(self, focus: object, nth: int = 0) -> Entry | None:
        """Return the entry of a focus: by its full URL, else by type and id.

        ``nth`` is how often the Bundle told of this focus before: each version has an
        entry of its own. The last one stands for what has none.
        """
        if not isinstance(focus, str):
            return None
        raw = self._by_url.get(focus)
        if raw is not None:
            return read_entry(raw[min(nth, len(raw) - 1)])
        wanted = read_focus(focus)
        found = self._by_reference.get(wanted.reference) if wanted else None
        return found[min(nth, len(found) - 1)] if found else None


def read_resource(entry: Any) -> dict[str, Any] | None:
    """Return an entry's resource, if it has one."""
    resource = entry.get("resource") if isinstance(entry, dict) else None
    return resource if isinstance(resource, dict) else None
