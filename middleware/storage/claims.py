"""Work that one process at a time may do, by name; a crash sets it free."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator

from middleware.storage.database import Database


@contextlib.contextmanager
def claim(database: Database, work: str, name: str) -> Iterator[bool]:
    """Take the work for the length of the block; False while another has it."""
    # Two signed 32-bit numbers make a key.
    key = [zlib.crc32(part.encode()) - 2**31 for part in (work, name)]
    with database.lock_connection() as connection:
        row = connection.execute(
            "SELECT pg_try_advisory_lock(%s, %s) AS taken", key
        ).fetchone()
        taken = bool(row and row["taken"])
        try:
            yield taken
        finally:
            if taken:
                connection.execute("SELECT pg_advisory_unlock(%s, %s)", key)
