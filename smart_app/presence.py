"""Whether somebody is there, for an authorization server that ends sessions of the absent.

Pure. Source: Oracle Health, Active User Presence Extension: ``active_ttl`` in a token
response, ``active_at`` in a refresh, both in seconds.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from middleware.desk.launches import Launch

SECONDS = re.compile(r"\d{1,9}\Z")


def read_active_until(answer: dict[str, Any], now: datetime) -> str | None:
    """Return until when the user counts as present; None where it is not told."""
    told = answer.get("active_ttl")
    text = "" if isinstance(told, bool) else str(told)
    if not SECONDS.match(text):
        return None
    return (now + timedelta(seconds=int(text))).isoformat()


def is_forgotten(value: dict[str, Any], now: datetime, ahead: timedelta) -> bool:
    """Tell whether the server soon takes the user for absent unless it hears of them."""
    until = value.get("active_until")
    return until is not None and now >= datetime.fromisoformat(until) - ahead


def count_unseen(launch: Launch, value: dict[str, Any], now: datetime) -> int | None:
    """Return for how many seconds the user was not seen; None where nobody asks."""
    if value.get("active_until") is None:
        return None
    seen = launch.seen_at or launch.created_at
    return max(0, int((now - seen).total_seconds()))
