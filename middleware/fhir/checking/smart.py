"""The SMART configuration against what this endpoint is set to use.

Judging is pure. Source: SMART App Launch 2.2, conformance and backend-services.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin

from mappings.endpoint import Endpoint
from middleware.fhir.addresses import host_of, is_protected
from middleware.fhir.checking.finding import Seen
from middleware.fhir.checking.talk import Talk

_MISSING = {401, 403, 404, 405, 410, 501}


def check_configuration(talk: Talk) -> Seen:
    """Read ``.well-known/smart-configuration`` and compare."""
    if not talk.endpoint.backend.token_url and not talk.endpoint.app.client_id:
        return Seen("skipped", "no token URL and no SMART app are set for this server")
    url = f"{talk.base}/.well-known/smart-configuration"
    exchange = talk.caller.call("GET", url)
    told, asked = exchange.told(), exchange.shown
    if exchange.status in _MISSING:
        old = "oauth-uris" in str((talk.statement or {}).get("rest"))
        return Seen("smart-old" if old else "smart-missing", told, asked)
    if exchange.status != 200 or exchange.body is None:
        return Seen("smart-unreadable", told, asked)
    talk.configuration = exchange.body
    return judge_configuration(exchange.body, talk.endpoint, asked)


def judge_configuration(
    document: dict[str, Any], endpoint: Endpoint, asked: str
) -> Seen:
    """Say whether a backend service set up like ours can work with the document."""
    named = document.get("token_endpoint")
    if not isinstance(named, str) or not named:
        return Seen("token-endpoint-missing", "no token_endpoint", asked)
    url = urljoin(f"{endpoint.fhir_base}/", named)
    host = host_of(url)
    told, facts = f"token_endpoint {url.partition('?')[0]}", {"host": host, "url": url}
    if not is_protected(url):
        return Seen("token-endpoint-http", told, asked, facts)
    reviewed = endpoint.profile.get("authorization_hosts", ())
    allowed = {host_of(endpoint.fhir_base), *(str(name).lower() for name in reviewed)}
    if host not in allowed:
        return Seen("token-host-unreviewed", told, asked, facts)
    pinned = endpoint.backend.token_url
    if pinned is not None and pinned != url:
        return Seen("token-url-differs", f"{told}; ours is {pinned}", asked, facts)
    return judge_methods(document, endpoint, asked) or Seen("ok", told)


def judge_methods(
    document: dict[str, Any], endpoint: Endpoint, asked: str
) -> Seen | None:
    """Return what the document rules out of our way to authenticate."""
    if endpoint.backend.token_url is None:
        return None
    algorithm = endpoint.backend.algorithm
    for member, wanted, code in (
        ("token_endpoint_auth_methods_supported", "private_key_jwt", "no-key-jwt"),
        (
            "token_endpoint_auth_signing_alg_values_supported",
            algorithm,
            "algorithm-unsupported",
        ),
        ("grant_types_supported", "client_credentials", "no-client-credentials"),
    ):
        listed = document.get(member)
        if isinstance(listed, list) and wanted not in listed:
            words = [str(item)[:40] for item in listed[:8]]
            told = f"{member} is {', '.join(words) or 'empty'}; we need {wanted}"
            other = "RS384" if algorithm == "ES384" else "ES384"
            return Seen(code, told, asked, {"ours": algorithm, "other": other})
    return None
