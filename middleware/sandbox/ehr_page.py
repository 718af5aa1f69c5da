"""How a page of the sandbox EHR goes out: rendered, escaped, and closed in.

It may not know what is on the page. Nothing inline runs; only the named origins
can be framed or receive a form. Source: Content Security Policy Level 3.
"""

from typing import Any

from flask import Response, current_app, make_response, render_template
from markupsafe import Markup

from middleware.sandbox.ehr_users import read_site

# Characters that turn the direction of what follows them.
TURNING = dict.fromkeys(
    (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F)
)
LONGEST = 80
# The app is on localhost, the EHR on 127.0.0.1: two sites, as in real life.
APP_FRAMES = "http://localhost:* http://127.0.0.1:*"


def answer_page(
    template: str,
    status: int = 200,
    frames: bool = False,
    framed: bool = False,
    form_origins: tuple[str, ...] = (),
    **values: Any,
) -> Response:
    """Answer a rendered template under a strict policy.

    `frames` lets the page hold an app; `framed` lets the EHR hold the page;
    `form_origins` are where a form's answer may redirect to.
    """
    policy = "; ".join(
        [
            "default-src 'none'",
            "style-src 'self'",
            "script-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            f"frame-src {APP_FRAMES if frames else chr(39) + 'none' + chr(39)}",
            f"frame-ancestors {chr(39)}{'self' if framed else 'none'}{chr(39)}",
            " ".join(["form-action 'self'", *form_origins]),
        ]
    )
    site = read_site(current_app.extensions["store"])
    response = make_response(render_template(template, site=site, **values), status)
    response.headers["Content-Security-Policy"] = policy
    # "no-referrer" would make the browser send "Origin: null" with our own forms.
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cache-Control"] = "no-store"
    return response


def write_said(value: object, longest: int = LONGEST) -> Markup:
    """Write what a chart says: shortened, and unable to turn the text around it."""
    return Markup("<bdi>{}</bdi>").format(_cut(str(value), longest))


def write_short(value: object) -> str:
    """Write it where no element can stand, such as a title."""
    return _cut(str(value).translate(TURNING), LONGEST)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def send_on(url: str) -> Response:
    """Answer a redirect that is a GET and does not tell where it came from."""
    response = Response(status=303)
    # The address of the page that sends on may name scopes and a launch.
    response.headers["Location"] = url
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
