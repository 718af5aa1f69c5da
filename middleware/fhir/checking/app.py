"""The SMART app's registration against what the server says of itself.

Each step names what deviates and what the app will do about it. Judging is pure.
Source: SMART App Launch 2.2, conformance; OpenID Connect Discovery 1.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

from mappings.dialects.registry import app_ways, choose_dialect, suggest_dialect
from mappings.endpoint import Endpoint
from middleware.fhir.addresses import host_of
from middleware.fhir.checking.finding import Seen
from middleware.fhir.checking.talk import Talk
from middleware.fhir.framing import Framing, look_at_framing

NO_APP = Seen("skipped", "no SMART app is set for this server")
OPENID = ".well-known/openid-configuration"


def check_sign_in(talk: Talk) -> Seen:
    """Compare how the app authenticates and launches with what is offered."""
    if not talk.endpoint.app.client_id:
        return NO_APP
    if talk.configuration is None:
        return Seen("app-old", "no SMART configuration; oauth-uris are used instead")
    return judge_sign_in(talk.configuration, talk.endpoint)


def judge_sign_in(document: dict[str, Any], endpoint: Endpoint) -> Seen:
    """Say whether the app, as it is registered here, can sign people in."""
    app = endpoint.app
    asked = f"{endpoint.fhir_base}/.well-known/smart-configuration"
    methods = _words(document, "token_endpoint_auth_methods_supported")
    wanted = app.authentication
    if methods and wanted != "none" and wanted not in methods:
        told = f"offered: {', '.join(methods)}; ours is {wanted}"
        return Seen("app-method", told, asked, {"method": wanted}, halts=False)
    algorithms = _words(document, "token_endpoint_auth_signing_alg_values_supported")
    signs = wanted == "private_key_jwt"
    if signs and algorithms and app.algorithm not in algorithms:
        told = f"offered: {', '.join(algorithms)}; ours is {app.algorithm}"
        return Seen(
            "app-algorithm", told, asked, {"method": app.algorithm}, halts=False
        )
    capabilities = _words(document, "capabilities")
    if capabilities and "launch-ehr" not in capabilities:
        return Seen("app-no-launch", "launch-ehr is not among the capabilities", asked)
    if "S256" not in _words(document, "code_challenge_methods_supported"):
        return Seen("app-no-pkce", "S256 is not among the challenge methods", asked)
    return Seen("ok", f"{wanted} and launches from the chart")


def check_identity(talk: Talk) -> Seen:
    """Find whose id_tokens are believed, and the keys that sign them."""
    app = talk.endpoint.app
    if not app.client_id:
        return NO_APP
    document = talk.configuration or {}
    issuer, keys, place = document.get("issuer"), document.get("jwks_uri"), ""
    if not isinstance(keys, str):
        for place in _texts(issuer, talk.base):
            if not _is_reviewed(talk.endpoint, place):
                continue
            exchange = talk.caller.call("GET", f"{place.rstrip('/')}/{OPENID}")
            found = exchange.body or {}
            if exchange.status == 200 and isinstance(found.get("jwks_uri"), str):
                keys, issuer = found["jwks_uri"], issuer or found.get("issuer")
                break
    asked = f"{talk.base}/{OPENID}"
    keys = talk.endpoint.profile.get("jwks_uri") or keys
    if not isinstance(keys, str):
        return Seen("app-no-keys", "no jwks_uri in any document", asked, halts=False)
    url = _join(talk.base, keys)
    if not _is_reviewed(talk.endpoint, url):
        host = host_of(url)
        return Seen(
            "app-keys-unreviewed", f"jwks_uri on {host}", asked, {"host": host}, False
        )
    named = issuer if isinstance(issuer, str) else None
    derived = app_ways(talk.endpoint.profile).derive_issuers(talk.base, named)
    issuers = [name for name in (named, *app.issuers, *derived) if name]
    if not issuers:
        return Seen("app-no-issuer", "no issuer in any document", asked, halts=False)
    told = f"believed: {', '.join(dict.fromkeys(issuers))}"
    if place:
        return Seen("app-keys-elsewhere", f"keys are named at {place}; {told}", asked)
    return Seen("ok", told)


def check_asking(talk: Talk) -> Seen:
    """Say how scopes are asked for, and whether tokens can be renewed."""
    if not talk.endpoint.app.client_id:
        return NO_APP
    document = talk.configuration or {}
    known = set(_words(document, "capabilities"))
    scopes = _words(document, "scopes_supported")
    style = app_ways(talk.endpoint.profile).scope_style
    old = "permission-v1" in known and "permission-v2" not in known
    if style == "v1" or (style is None and old):
        return Seen("app-scopes-old", "version 1 of the scopes is asked for")
    renews = any(
        f"permission-{kind}" in known or f"{kind}_access" in scopes
        for kind in ("online", "offline")
    )
    if not renews:
        return Seen("app-no-refresh", "neither online_access nor offline_access")
    return Seen("ok", "version 2 of the scopes, and tokens that are renewed")


def check_frame(talk: Talk) -> Seen:
    """Look whether the sign-in page lets itself be shown in the EHR's frame."""
    app, document = talk.endpoint.app, talk.configuration or {}
    named = document.get("authorization_endpoint")
    if not app.client_id:
        return NO_APP
    if not isinstance(named, str):
        return Seen("skipped", "the authorization endpoint is not known")
    url = _join(talk.base, named)
    if not _is_reviewed(talk.endpoint, url):
        host = host_of(url)
        return Seen(
            "app-host-unreviewed", f"on the host {host}", url, {"host": host}, False
        )
    talk.framing = look_at_framing(
        lambda asked: _get(talk, asked), talk.endpoint, url, talk.public_url
    )
    return judge_frame(talk.endpoint, talk.framing)


def judge_frame(endpoint: Endpoint, seen: Framing | None) -> Seen:
    """Say what the sign-in's headers mean for launches from the EHR's frame."""
    framed = app_ways(endpoint.profile).framed
    if not endpoint.app.frame_origins:
        return Seen("app-no-frame", "[app] frame_origins is empty")
    if framed is False:
        told = "authorize_in_window is set: it opens in a window by a click"
        found = f"; its page says {seen.refusal}" if seen and seen.refusal else ""
        return Seen("ok", f"{told}{found}")
    if seen is None:
        return Seen("app-frame-unseen", "the sign-in page gave no usable answer")
    if seen.unseen:
        told = f"the sign-in goes on at {seen.unseen}, which nobody has reviewed"
        return Seen("app-frame-unseen", told, seen.asked)
    if not seen.refusal:
        return Seen("ok", "nothing forbids the EHR's frame")
    told = f"its page says {seen.refusal}"
    if framed:
        # Nobody sees that page who is signed in by the launch.
        return Seen("ok", f"{told}; launches sign in without it, and stay in the frame")
    return Seen("app-not-framed", told, seen.asked)


def _get(talk: Talk, url: str) -> tuple[int, Mapping[str, str]] | None:
    exchange = talk.caller.call("GET", url)
    return None if exchange.status is None else (exchange.status, exchange.headers)


def check_deviations(talk: Talk) -> Seen:
    """Tell each known deviation of this kind of server, and what the app does."""
    if not talk.endpoint.app.client_id:
        return NO_APP
    suggested = suggest_dialect(talk.statement or {})
    named = talk.endpoint.profile.get("server")
    if named is None and suggested.app.notes:
        told = f"it looks like {suggested.title}"
        return Seen("app-server-unnamed", told, facts={"server": suggested.name})
    notes = choose_dialect(talk.endpoint.profile, talk.statement).app.notes
    if not notes:
        return Seen("ok", "no deviation of this kind of server is known")
    return Seen("app-deviations", "; ".join(notes))


def _words(document: dict[str, Any], name: str) -> list[str]:
    value = document.get(name)
    listed = value if isinstance(value, list) else []
    return [word for word in listed if isinstance(word, str)]


def _texts(*values: Any) -> list[str]:
    return list(dict.fromkeys(value for value in values if isinstance(value, str)))


def _join(base: str, text: str) -> str:
    try:
        return urljoin(f"{base}/", text)
    except ValueError:
        return ""


def _is_reviewed(endpoint: Endpoint, url: str) -> bool:
    reviewed = endpoint.profile.get("authorization_hosts", ())
    allowed = {host_of(endpoint.fhir_base), *(str(name).lower() for name in reviewed)}
    return host_of(url) in allowed
