"""The cookie of one launch: its name, its secret, and what proves that it came back.

The secret is kept as a hash only. Each launch has a cookie of its own, partitioned by
the site that frames us, so that no two charts ever share one.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta

from flask import Request, Response

from middleware.desk.launches import Launch

LIFE = timedelta(hours=8)
PREFIX = "__Host-s_"
MOST_HELD = 8


def digest(secret: str) -> str:
    """Return the SHA-256 of a secret in hex: what is kept in its place."""
    return hashlib.sha256(secret.encode()).hexdigest()


def cookie_name(launch_id: str) -> str:
    """Return the name of the launch's own cookie."""
    return f"{PREFIX}{launch_id}"


def held_launches(request: Request) -> list[str]:
    """Return the ids of launches of which the browser brought a cookie; a few of them."""
    names = [name for name in request.cookies if name.startswith(PREFIX)]
    return [name.removeprefix(PREFIX) for name in names[-MOST_HELD:]]


def set_cookie(response: Response, launch: Launch, secret: str) -> None:
    """Give the browser the launch's secret, in a jar of its own for each EHR site."""
    response.set_cookie(
        cookie_name(launch.id),
        secret,
        max_age=int(LIFE.total_seconds()),
        path="/",
        secure=True,
        httponly=True,
        samesite="None",
        partitioned=True,
    )


def clear_cookie(response: Response, launch: Launch) -> None:
    """Take the launch's secret back from the browser."""
    response.delete_cookie(
        cookie_name(launch.id),
        path="/",
        secure=True,
        httponly=True,
        samesite="None",
        partitioned=True,
    )


def holds_cookie(request: Request, launch: Launch) -> bool:
    """Tell whether the browser brought the secret of this launch."""
    brought = request.cookies.get(cookie_name(launch.id), "")
    return hmac.compare_digest(digest(brought), launch.cookie_hash)


def csrf_token(launch: Launch, secret: str) -> str:
    """Return the form token of a launch: only who holds the secret can make it."""
    message = f"form:{launch.id}".encode()
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
