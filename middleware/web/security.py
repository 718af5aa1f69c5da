"""Headers that every answer of ours carries, and what an error page may say."""

from __future__ import annotations

from flask import Flask, Response

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "object-src 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
UNFRAMED = {
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def register(app: Flask, *, framed: bool = True) -> None:
    """Set the strict headers wherever a page has not set its own.

    ``framed`` False also tells old browsers that no page may be shown in a frame.
    """

    def set_headers(response: Response) -> Response:
        for name, value in (HEADERS if framed else HEADERS | UNFRAMED).items():
            response.headers.setdefault(name, value)
        return response

    app.after_request(set_headers)
