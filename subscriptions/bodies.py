"""Reading the body of a request to the listener, within its limits of size and time."""

from __future__ import annotations

from typing import IO

from werkzeug.exceptions import HTTPException

from mappings.errors import NotificationError
from subscriptions.incoming import Incoming
from subscriptions.reading import Reader
from subscriptions.unpacking import LARGEST_BODY

_DRAINED = 64 * 1024 * 1024
_PIECE = 64 * 1024


def read_body(
    reader: Reader, request: Incoming, until: float, sender: str
) -> bytes | None:
    """Read the body to its end; None when it is too large.

    TimeoutError when it does not come in time (UnfinishedError: it is still read),
    NotificationError when it breaks off.
    """
    if not request.has_body():
        return b""
    if request.length() > _DRAINED:
        return None
    try:
        return reader.read(lambda: _read_whole(request.stream()), until, sender)
    except TimeoutError:
        raise
    except (HTTPException, OSError):
        raise NotificationError(
            "The body broke off; nothing was kept", quarantine=False
        ) from None


def _read_whole(stream: IO[bytes]) -> bytes | None:
    body = bytearray()
    size = 0
    while piece := stream.read(_PIECE):
        size += len(piece)
        if size <= LARGEST_BODY:
            body += piece
        elif size > _DRAINED:
            return None
    return bytes(body) if size <= LARGEST_BODY else None
