"""What the hostile EHR hears, and how a strict one judges who asks for a token."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from werkzeug.serving import WSGIRequestHandler

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True)
class Heard:
    """One request that came, and the status that it was answered with."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    form: dict[str, str]
    body: bytes
    status: int

    @property
    def line(self) -> str:
        """Return method and path."""
        return f"{self.method} {self.path}"


@dataclass
class Grant:
    """What somebody was let in for: the authorization request and its context."""

    asked: dict[str, str]
    context: dict[str, Any]
    scope: str = ""


class Quiet(WSGIRequestHandler):
    """Keeps no access log, so that what is logged in a test is ours."""

    def log(self, *_: Any) -> None:
        """Say nothing."""


def find_fault(
    form: dict[str, str],
    keys: dict[str, Any],
    *,
    client: str,
    audience: str,
    now: float,
    used: Collection[str],
) -> str | None:
    """Return what is wrong with a private_key_jwt (SMART App Launch 2.2)."""
    if form.get("client_assertion_type") != ASSERTION or "client_id" in form:
        return "no assertion of the right type, or a client_id beside it"
    try:
        token = jwt.decode(
            form["client_assertion"],
            KeySet.import_key_set(keys),
            algorithms=["RS384", "ES384"],
        )
    except (JoseError, ValueError, KeyError) as error:
        return f"assertion: {error}"
    claims = token.claims
    good = (
        token.header.get("typ") == "JWT",
        claims.get("iss") == claims.get("sub") == client,
        claims.get("aud") == audience,
        now < claims.get("exp", 0) <= now + 300,
        bool(claims.get("jti")) and claims["jti"] not in used,
    )
    return None if all(good) else f"assertion: {good}"


def read_jti(form: dict[str, str]) -> str:
    """Return the jti of an assertion, as it stands there."""
    part = form.get("client_assertion", "..").split(".")[1]
    padded = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    return str(json.loads(padded or b"{}").get("jti"))


def laid_over(says: dict[str, Any], bent: dict[str, Any]) -> dict[str, Any]:
    """Return one object over another; None takes the member away."""
    return {
        name: value for name, value in {**says, **bent}.items() if value is not None
    }


def proves(verifier: str, asked: dict[str, str]) -> bool:
    """Tell whether a verifier is the one of the challenge (RFC 7636)."""
    made = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
    return made.rstrip(b"=").decode() == asked.get("code_challenge")
