"""The second check, inside every channel, that an address may be reached at all.

The deliver stage decides first; a fault there must not reach a stranger's phone.
"""

from __future__ import annotations

from collections.abc import Callable

from mappings.delivery import Message
from mappings.errors import ChannelError

Allowed = Callable[[Message], bool]


def require_allowed(allowed: Allowed, message: Message) -> None:
    """Raise ChannelError ``not-allow-listed`` unless the message may go out."""
    if not allowed(message):
        raise ChannelError(
            "The address is not on the endpoint's allow-list; nothing was sent; only a "
            "production endpoint may reach any address",
            reason="not-allow-listed",
            permanent=True,
        )
