"""Bodies that come packed: gzip is unpacked, within the limit for any body.

Pure. Source: RFC 9110, content codings; RFC 1952.
"""

from __future__ import annotations

import zlib

from mappings.errors import NotificationError

LARGEST_BODY = 5 * 1024 * 1024
_GZIP = {"gzip", "x-gzip"}
_WITH_HEADER = 16 + zlib.MAX_WBITS


def unpack(body: bytes, encoding: str) -> bytes:
    """Return what a body says; ``encoding`` is its Content-Encoding.

    Raises NotificationError: for another coding, for more than LARGEST_BODY, and, to be
    set aside, for what cannot be unpacked.
    """
    coding = encoding.strip().lower()
    if coding in {"", "identity"}:
        return body
    if coding not in _GZIP:
        raise NotificationError(
            "Of encoded bodies only gzip is taken; nothing was kept",
            status=415,
            quarantine=False,
        )
    try:
        unpacked = _inflate(body)
    except zlib.error:
        unpacked = None
    if unpacked is None:
        raise NotificationError(
            "The body could not be unpacked; it was set aside as it came"
        )
    if len(unpacked) > LARGEST_BODY:
        raise NotificationError(
            f"The body is larger than {LARGEST_BODY} bytes; nothing was kept",
            status=413,
            quarantine=False,
        )
    return unpacked


def _inflate(body: bytes) -> bytes | None:
    """Return one byte more than is allowed at most; None where it breaks off."""
    unpacked = b""
    # A body may be several packed parts behind each other.
    while body and len(unpacked) <= LARGEST_BODY:
        part = zlib.decompressobj(_WITH_HEADER)
        unpacked += part.decompress(body, LARGEST_BODY + 1 - len(unpacked))
        if not part.eof and len(unpacked) <= LARGEST_BODY:
            return None
        body = part.unused_data
    return unpacked
