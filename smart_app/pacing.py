"""How often a launch's token may be renewed, by what is sealed with it. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

PAUSE = timedelta(seconds=60)


def time_of(value: dict[str, Any], name: str) -> datetime:
    """Return an instant of what is sealed."""
    return datetime.fromisoformat(str(value[name]))


def may_ask(value: dict[str, Any], now: datetime) -> bool:
    """Tell whether the authorization server may be asked for a new token now.

    Servers throttle whoever renews more often than once a minute; but for those whose
    tokens live no longer.
    """
    if value.get("asked_at") is None:
        return True
    life = time_of(value, "token_until") - time_of(value, "token_since")
    pause = PAUSE if life > PAUSE else life / 2
    return now - time_of(value, "asked_at") >= pause
