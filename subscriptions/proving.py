"""Who sent a delivery: proof by a shared secret, over the raw bytes.

Pure. A subscription is registered with one kind of proof, and no other counts: a secret
in a header, an HMAC over the body, or, for senders that can set no header, a secret in
the query. Every accepted secret is compared, in the same time always. Sources:
Subscriptions R5 Backport IG 1.1, safety and security; W3C WebSub, authenticated content
distribution.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Proof(StrEnum):
    """How the deliveries of a subscription are proved."""

    HEADER = "header"
    HMAC = "hmac"
    QUERY = "query"


@dataclass(frozen=True)
class Given:
    """What a request brings as proof: headers by name, the query's token, the body.

    ``body`` is None when it was not read: no HMAC holds then.
    """

    header: Callable[[str], str]
    token: str
    body: bytes | None


def is_proved(proof: str, secrets: Sequence[str], given: Given) -> bool:
    """Tell whether one of the secrets was used; an unknown kind of proof never counts."""
    known = [secret.encode() for secret in secrets if secret]
    if proof == Proof.HMAC:
        return given.body is not None and _is_signed(known, given.header, given.body)
    if proof == Proof.HEADER:
        scheme, _, value = given.header("Authorization").partition(" ")
        bearer = value.strip() if scheme.lower() == "bearer" else ""
        told = given.header("X-CareCue-Secret") or bearer
    else:
        told = given.token if proof == Proof.QUERY else ""
    matches = [hmac.compare_digest(told.encode(), secret) for secret in known]
    return any(matches)


def _is_signed(
    secrets: Sequence[bytes], header: Callable[[str], str], body: bytes
) -> bool:
    """Check ``X-Hub-Signature: sha256=<hex>``, or a bare hex ``X-Signature``."""
    method, _, told = header("X-Hub-Signature").strip().partition("=")
    if method.lower() != "sha256":
        told = header("X-Signature")
    given = told.strip().lower().encode()
    matches = [
        hmac.compare_digest(
            given, hmac.new(secret, body, hashlib.sha256).hexdigest().encode()
        )
        for secret in secrets
    ]
    return any(matches)
