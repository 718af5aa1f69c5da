"""Which shard a thing belongs to.

Pure. The hash is stored beside each row and never recomputed from another release, so
it may not change: a changed hash would let two workers serve one patient at once.
"""

from __future__ import annotations

import hashlib

SHARDS = 32


def shard_of(*parts: str) -> int:
    """Return the shard (0..31) of these parts, the same in every process for ever.

    Inbox: (endpoint id, focus reference) or (subscription id); everything later:
    (endpoint id, ``Patient/id``).
    """
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(4, "big"))
        digest.update(encoded)
    return int.from_bytes(digest.digest(), "big") % SHARDS
