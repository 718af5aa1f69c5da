"""The headers of every answer of the app: what may load, frame, cache and be told on.

The frame's allowed parents come from the endpoint that the launch belongs to, never
from what a request says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from flask import Response

ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-]+(:\d{1,5})?\Z")


def read_origin(url: str) -> str:
    """Return the origin of a URL, as a content security policy writes it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def write_policy(
    frames: Sequence[str], form_origins: Sequence[str] = (), inner: str = ""
) -> str:
    """Return the Content-Security-Policy; names that are no origins are left out.

    ``inner`` is where a frame within the page begins, which goes on to wherever the
    EHR signs people in.
    """
    parents = " ".join(name for name in frames if ORIGIN.match(name)) or "'none'"
    targets = ["'self'", *(name for name in form_origins if ORIGIN.match(name))]
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "font-src 'self'",
            "connect-src 'self'",
            *([f"frame-src 'self' https: {inner}"] if ORIGIN.match(inner) else []),
            f"form-action {' '.join(targets)}",
            "base-uri 'none'",
            "object-src 'none'",
            f"frame-ancestors {parents}",
        ]
    )


def protect(response: Response, policy: str) -> Response:
    """Put the policy and its companions on a page."""
    response.headers["Content-Security-Policy"] = policy
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Permissions-Policy"] = (
        "camera=(), geolocation=(), microphone=(), payment=()"
    )
    response.headers["Vary"] = "Cookie"
    return response
