"""What addresses a host's name means now, of those within reach.

Whoever connects takes one of these, and never the name again: between a look and a
connection it may come to mean another.
"""

from __future__ import annotations

import socket

from middleware.fhir.reach import Reach


def list_addresses(host: str, port: int | None, reach: Reach) -> list[str]:
    """Return the addresses of ``host`` that may be connected to.

    Raises OSError or UnicodeError for a name that means nothing.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    named = (str(address[0]) for *_, address in found)
    return [address for address in named if reach.allows(address)]
