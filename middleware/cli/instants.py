"""Instants as they are given on the command line."""

from __future__ import annotations

from datetime import UTC, datetime

from mappings.errors import BadInputError


def read_since(text: str) -> datetime:
    """Return the instant of ``--since``, in UTC; BadInputError for what is none."""
    try:
        instant: datetime | None = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise BadInputError(
            f"--since {text} is not an instant like 2026-11-16T02:00:00Z. Nothing was "
            "changed."
        )
    return instant.astimezone(UTC)
