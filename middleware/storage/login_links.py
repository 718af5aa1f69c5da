"""Administrators: one-time login links and the console's sessions, by hash."""

from __future__ import annotations

import hashlib
from datetime import datetime

from middleware.storage.connecting import Tx


def hash_token(token: str) -> str:
    """Return what is stored of a link's or a cookie's secret."""
    return hashlib.sha256(token.encode()).hexdigest()


def insert_login_link(
    tx: Tx, *, token_hash: str, person: str, expires_at: datetime
) -> None:
    """Add a link that one person may use once."""
    tx.execute(
        "INSERT INTO login_link (token_hash, person, expires_at) VALUES (%s, %s, %s)",
        (token_hash, person, expires_at),
    )


def use_login_link(tx: Tx, token_hash: str, now: datetime) -> str | None:
    """Use a link up and return its person; None when unknown, used or expired."""
    row = tx.execute(
        "UPDATE login_link SET used_at = %(now)s WHERE token_hash = %(hash)s "
        "AND used_at IS NULL AND expires_at > %(now)s RETURNING person",
        {"now": now, "hash": token_hash},
    ).fetchone()
    return str(row["person"]) if row else None


def insert_console_session(
    tx: Tx, *, cookie_hash: str, person: str, expires_at: datetime
) -> None:
    """Add a session of the console."""
    tx.execute(
        "INSERT INTO console_session (cookie_hash, person, expires_at) "
        "VALUES (%s, %s, %s)",
        (cookie_hash, person, expires_at),
    )


def find_console_session(tx: Tx, cookie_hash: str, now: datetime) -> str | None:
    """Return the person of a session; None when unknown or expired."""
    row = tx.execute(
        "SELECT person FROM console_session WHERE cookie_hash = %s AND expires_at > %s",
        (cookie_hash, now),
    ).fetchone()
    return str(row["person"]) if row else None


def delete_console_session(tx: Tx, cookie_hash: str) -> None:
    """End a session."""
    tx.execute("DELETE FROM console_session WHERE cookie_hash = %s", (cookie_hash,))


def delete_expired_logins(tx: Tx, before: datetime) -> int:
    """Remove links and sessions that expired before an instant; return how many."""
    links = tx.execute("DELETE FROM login_link WHERE expires_at < %s", (before,))
    ended = tx.execute("DELETE FROM console_session WHERE expires_at < %s", (before,))
    return links.rowcount + ended.rowcount
