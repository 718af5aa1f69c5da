"""The checks of Inferno's SMART App Launch client suite, on what our EHR has heard.

Read in the suite's code (smart-app-launch-test-kit 1.0, client suite for 2.2): four
kinds of client, each judged by its registration, its requests and its use of a token.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from tests.conformance.heard import Heard

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
PUBLIC, SYMMETRIC, ASYMMETRIC, BACKEND = "public", "symmetric", "asymmetric", "backend"


@dataclass(frozen=True)
class Registered:
    """What the suite's user types in, and what its server gave out."""

    kind: str
    client_id: str
    base: str
    token_url: str
    issued: frozenset[str]
    launch: str | None = None
    launch_uris: tuple[str, ...] = ()
    redirect_uris: tuple[str, ...] = ()
    jwks: dict[str, Any] = field(default_factory=dict)
    secret: str = ""


def find_failures(registered: Registered, heard: list[Heard]) -> list[str]:
    """Return every check of the suite that fails, in its order."""
    return [
        *_registration(registered),
        *([] if registered.kind == BACKEND else _authorization(registered, heard)),
        *_token_requests(registered, heard),
        *_token_use(registered, heard),
    ]


def _registration(client: Registered) -> Iterator[str]:
    for uri in (*client.launch_uris, *client.redirect_uris):
        parts = urlsplit(uri)
        if parts.scheme != "https" or not parts.netloc:
            yield f"registration: {uri} is no https URI"
    if client.kind != BACKEND and not (client.launch_uris and client.redirect_uris):
        yield "registration: no launch or redirect URI"
    if client.kind in (ASYMMETRIC, BACKEND):
        try:
            count = len(KeySet.import_key_set(client.jwks).keys)  # type: ignore[arg-type]
        except (JoseError, ValueError, KeyError):
            count = 0
        if count == 0:
            yield "registration: no key can be parsed"


def _authorization(client: Registered, heard: list[Heard]) -> Iterator[str]:
    asked = [one for one in heard if one.path == "/authorize"]
    if not asked:
        yield "authorization: no request"
    for one in asked:
        query = {name: values[0] for name, values in one.query.items()} | one.form
        wanted = {
            "response_type": ("code",),
            "client_id": (client.client_id,),
            "redirect_uri": client.redirect_uris,
            "aud": (client.base,),
            "code_challenge_method": ("S256",),
        }
        for name, values in wanted.items():
            if query.get(name) not in values:
                yield f"authorization: {name}"
        for name in ("state", "code_challenge", "scope"):
            if not query.get(name):
                yield f"authorization: no {name}"
        if query.get("launch") != client.launch:
            yield "authorization: launch"


def _token_requests(client: Registered, heard: list[Heard]) -> Iterator[str]:
    requests = [one for one in heard if one.path == "/token"]
    if not requests:
        yield "token: no request"
    used: set[str] = set()
    for one in requests:
        form, grant = one.form, one.form.get("grant_type")
        if client.kind == BACKEND:
            if grant != "client_credentials":
                yield "token: grant_type"
            if not form.get("scope"):
                yield "token: no scope"
        elif grant == "authorization_code":
            yield from _exchange(client, one, heard)
        elif grant != "refresh_token" or form.get("refresh_token") not in client.issued:
            yield "token: grant_type or refresh_token"
        if client.kind in (ASYMMETRIC, BACKEND):
            yield from _assertion(client, form, used)
        elif client.kind == SYMMETRIC:
            good = base64.b64encode(f"{client.client_id}:{client.secret}".encode())
            if one.headers.get("Authorization") != f"Basic {good.decode()}":
                yield "token: Basic header"
        elif form.get("client_id") != client.client_id:
            yield "token: client_id"


def _exchange(client: Registered, one: Heard, heard: list[Heard]) -> Iterator[str]:
    form = one.form
    asked = [each for each in heard if each.path == "/authorize"]
    redirects = {(each.query.get("redirect_uri") or [""])[0] for each in asked}
    if form.get("redirect_uri") not in redirects:
        yield "token: redirect_uri is not the authorization's"
    if form.get("code") not in client.issued:
        yield "token: code was not issued"
    made = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
    proof = base64.urlsafe_b64encode(made).rstrip(b"=").decode()
    if [proof] not in [each.query.get("code_challenge") for each in asked]:
        yield "token: code_verifier"


def _assertion(
    client: Registered, form: dict[str, str], used: set[str]
) -> Iterator[str]:
    if form.get("client_assertion_type") != ASSERTION:
        yield "assertion: type"
    try:
        raw = form.get("client_assertion", "")
        header = jws.extract_compact(raw.encode()).headers()
        keys = KeySet.import_key_set(client.jwks)  # type: ignore[arg-type]
        claims = jwt.decode(raw, keys, algorithms=["RS384", "ES384"]).claims
    except (JoseError, ValueError) as error:
        yield f"assertion: signature or form ({type(error).__name__})"
        return
    if header.get("typ") != "JWT" or "kid" not in header:
        yield "assertion: typ or kid"
    for name, value in (
        ("iss", client.client_id),
        ("sub", client.client_id),
        ("aud", client.token_url),
    ):
        if claims.get(name) != value:
            yield f"assertion: {name}"
    if not claims.get("exp"):
        yield "assertion: no exp"
    if not claims.get("jti") or claims["jti"] in used:
        yield "assertion: no jti, or one that was used"
    used.add(str(claims.get("jti")))


def _token_use(client: Registered, heard: list[Heard]) -> Iterator[str]:
    base = urlsplit(client.base).path
    bearers = {f"Bearer {token}" for token in client.issued}
    if not any(
        one.path.startswith(base)
        and one.headers.get("Authorization") in bearers
        and one.status != 401
        for one in heard
    ):
        yield "use: no request with a token that was given out"
