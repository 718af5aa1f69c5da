"""A numbering as JSON, in which it is kept between deliveries. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from subscriptions.numbering import Hole, Mode, Numbering


def write_numbering(known: Numbering) -> dict[str, Any]:
    """Write it as JSON; what is empty is left out."""
    holes = [[h.first, h.last, _write_time(h.since), h.tail] for h in known.holes]
    written: dict[str, Any] = {
        "mode": known.mode.value,
        "highest": known.highest,
        "highest_at": _write_time(known.highest_at),
        "holes": holes,
        "recent": [list(pair) for pair in known.recent],
        "restarts": known.restarts,
        "reset_at": _write_time(known.reset_at),
    }
    return {name: value for name, value in written.items() if value not in (None, [])}


def read_numbering(value: Mapping[str, Any], last_number: int | None) -> Numbering:
    """Read what was written; ``last_number`` is where counting begins without it."""
    holes = [
        Hole(first, last, datetime.fromisoformat(since), tail)
        for first, last, since, tail in value.get("holes", ())
    ]
    return Numbering(
        mode=Mode(value.get("mode", Mode.UNKNOWN)),
        highest=value.get("highest", last_number),
        highest_at=_read_time(value.get("highest_at")),
        holes=tuple(holes),
        recent=tuple((number, digest) for number, digest in value.get("recent", ())),
        restarts=value.get("restarts", 0),
        reset_at=_read_time(value.get("reset_at")),
    )


def write_numberings(
    known: Numbering, own: str | None, others: Mapping[str, Numbering]
) -> dict[str, Any]:
    """Write a hook's own numbering with whose it is, and those of others beside it."""
    written = write_numbering(known)
    if own is not None:
        written["own"] = own
    if others:
        written["others"] = {
            name: write_numbering(other) for name, other in others.items()
        }
    return written


def read_others(value: Mapping[str, Any]) -> dict[str, Numbering]:
    """Read the others."""
    return {
        name: read_numbering(other, None)
        for name, other in value.get("others", {}).items()
    }


def _write_time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _read_time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
