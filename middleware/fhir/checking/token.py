"""The token: one request as the engine sends it, and what a refusal means.

An authorization server says little on purpose; what it does say is read together with
what is known: clocks, the address of our keys, the SMART configuration. The
description of an error is used to tell causes apart and is never shown. Sources:
SMART App Launch 2.2 backend-services; RFC 6749 section 5; RFC 7523.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from mappings.secret import Secret
from middleware.fhir.addresses import host_of, is_protected, leads_here
from middleware.fhir.auth import sign_assertion
from middleware.fhir.checking.documents import SKEW_FATAL, read_skew
from middleware.fhir.checking.exchange import Exchange
from middleware.fhir.checking.finding import Seen
from middleware.fhir.checking.smart import judge_methods
from middleware.fhir.checking.talk import Talk

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SHORTEST_LIFE = 60
_WORD = re.compile(r"[a-z_]{3,40}")
_AUDIENCE = re.compile(r"\baud\b|audience")
_TIME = re.compile(r"\b(exp|iat|nbf)\b|expired|future|not yet|clock|lifetime|too old")
_KEY = re.compile(r"jwks|\bkids?\b|\bkeys?\b|signature|\bjwk\b")
_UNKNOWN = re.compile(r"unknown|not found|no such|not registered|does not exist")


@dataclass(frozen=True)
class Circumstance:
    """What else is known: seconds of skew, whether our keys can be fetched."""

    skew: float
    jwks_fault: str | None
    methods: Seen | None


def check_token(talk: Talk) -> Seen:
    """Ask for a token as the engine does."""
    backend = talk.endpoint.backend
    if backend.token_url is None:
        return Seen("skipped", "no token URL is set: the server is asked without one")
    if not backend.client_id:
        return Seen("client-id-missing", "the endpoint has a token URL, no client id")
    if not is_protected(backend.token_url):
        return Seen("token-url-open", "the token URL that is set is not https")
    form = {
        "grant_type": "client_credentials",
        "scope": backend.scope,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": sign_assertion(
            talk.keys.signing_key(backend.algorithm),
            backend.client_id,
            backend.token_url,
            backend.algorithm,
            talk.clock,
        ),
    }
    exchange = talk.caller.call("POST", backend.token_url, form=form)
    seen = judge_answer(exchange)
    if seen.code == "client-refused":
        seen = judge_refusal(exchange, seen, _look_around(talk, exchange), talk)
    body = exchange.body or {}
    if seen.code in {"ok", "token-life-missing", "token-life-short"}:
        talk.token = Secret(str(body["access_token"]))
        said = body.get("scope")
        talk.granted = said if isinstance(said, str) else None
    return seen


def judge_answer(exchange: Exchange) -> Seen:
    """Say what the answer is; ``client-refused`` stands for any refusal of us."""
    told, asked, status = exchange.told(), exchange.shown, exchange.status
    error = read_error(exchange)
    if status is None:
        return Seen("token-no-answer", told, asked)
    if 300 <= status < 400:
        return Seen("token-redirected", told, asked)
    if status >= 500 or status == 429:
        return Seen("token-server-error", told, asked)
    if error:
        codes = {
            "invalid_scope": "scope-refused",
            "unauthorized_client": "grant-refused",
            "unsupported_grant_type": "no-client-credentials",
        }
        told = f"status {status} with the error {error}"
        code = codes.get(error, "client-refused")
        return Seen(code, told, asked, {"ours": "", "other": ""})
    if exchange.looks == "html":
        return Seen("token-html", told, asked)
    if status in {404, 405, 410}:
        return Seen("token-not-found", told, asked)
    if status != 200:
        return Seen("client-refused", told, asked)
    return _judge_token(exchange.body, told, asked)


def _judge_token(body: dict[str, Any] | None, told: str, asked: str) -> Seen:
    if body is None:
        return Seen("token-not-json", told, asked)
    token = body.get("access_token")
    if not isinstance(token, str) or not token or not token.isprintable():
        return Seen("token-missing", f"{told}, without access_token", asked)
    kind = str(body.get("token_type"))
    if kind.lower() != "bearer":
        word = kind if _WORD.fullmatch(kind.lower()) else "something else"
        return Seen("token-type", f"token_type is {word}", asked)
    try:
        life = int(float(body["expires_in"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return Seen("token-life-missing", "a token without a usable expires_in", asked)
    if life < SHORTEST_LIFE:
        return Seen("token-life-short", f"a token for {life} s", asked)
    return Seen("ok", f"a bearer token for {life} s")


def read_error(exchange: Exchange) -> str:
    """Return the OAuth error code; empty when the answer holds none."""
    error = (exchange.body or {}).get("error")
    return error if isinstance(error, str) and _WORD.fullmatch(error) else ""


def judge_refusal(
    exchange: Exchange, seen: Seen, known: Circumstance, talk: Talk
) -> Seen:
    """Tell why we were refused, from the server's words and from what is known.

    The server's words come first; without any, what would make every request fail.
    """
    body = exchange.body or {}
    said = str(body.get("error_description") or "").lower()
    facts = {"jwks": talk.jwks_url, "url": str(talk.endpoint.backend.token_url)}

    def because(code: str, more: str = "") -> Seen:
        return Seen(code, f"{seen.saw}{more}", seen.asked, facts)

    skewed = abs(known.skew) > SKEW_FATAL
    apart = f"; the clocks are {abs(known.skew):.0f} s apart"
    keys = f"; {known.jwks_fault}"
    if _AUDIENCE.search(said):
        return because("token-audience")
    if _TIME.search(said) and not _KEY.search(said):
        return because("token-clock", apart if skewed else "")
    if _KEY.search(said):
        return (
            because("jwks-unreachable", keys)
            if known.jwks_fault
            else because("key-unknown")
        )
    if _UNKNOWN.search(said):
        return because("client-unknown")
    if skewed:
        return because("token-clock", apart)
    if known.methods is not None:
        return known.methods
    if known.jwks_fault:
        return because("jwks-unreachable", keys)
    return because("client-refused")


def _look_around(talk: Talk, exchange: Exchange) -> Circumstance:
    skew = 0.0 if talk.clock_moved else talk.skew or read_skew(exchange) or 0.0
    document = talk.configuration or {}
    methods = judge_methods(document, talk.endpoint, exchange.shown)
    return Circumstance(skew, find_jwks_fault(talk), methods)


def find_jwks_fault(talk: Talk) -> str | None:
    """Return why the server cannot fetch our keys, or None when nothing speaks for it.

    From a loopback address only a server on this machine fetches anything.
    """
    token_url = str(talk.endpoint.backend.token_url)
    if leads_here(talk.jwks_url) and not leads_here(token_url):
        return f"our keys are at {host_of(talk.jwks_url)}, which is this machine only"
    if talk.jwks_url.startswith("http:") and not leads_here(talk.jwks_url):
        return "our keys are at an http: URL, which servers do not trust"
    exchange = talk.caller.call("GET", talk.jwks_url)
    listed = (exchange.body or {}).get("keys")
    found = [item.get("kid") for item in listed or () if isinstance(item, dict)]
    algorithm = talk.endpoint.backend.algorithm
    if talk.keys.signing_key(algorithm).kid not in found:
        told = f"{talk.jwks_url}, asked from this machine, gave {exchange.told()}"
        return f"{told}, without the key that signs"
    return None
