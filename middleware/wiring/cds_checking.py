"""The step of a check that tries who may call our CDS Hooks services.

Keys are fetched as for a call, and judged by what checks its signature. What was seen
names our services' URLs: the EHR's team needs them letter for letter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from mappings.endpoint import Endpoint
from mappings.errors import AuthorizationError
from middleware.fhir.addresses import leads_here
from middleware.fhir.checking.finding import Seen
from middleware.fhir.checking.talk import Talk
from middleware.storage import endpoints
from middleware.storage.database import Database
from middleware.wiring.cds import fetch_caller_keys
from smart_app.cds.answering import ROOT, SERVICES
from smart_app.signatures import list_usable


class CallsCheck:
    """Tries the keys of an endpoint's calls; ``run`` is the step."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def run(self, talk: Talk) -> Seen:
        """Fetch the key sets and say whose calls are believed."""
        endpoint = talk.endpoint
        if not endpoint.cds.issuers:
            return Seen("skipped", "no [cds] is set for this server")
        root = f"{talk.public_url.rstrip('/')}{ROOT}"
        if leads_here(root) and not leads_here(endpoint.fhir_base):
            return Seen("cds-address-here", f"our services are at {root}", halts=False)
        facts = {"services": " and ".join(f"{root}/{name}" for name in SERVICES)}
        told = [f"services are listed at {root}, to be called at {facts['services']}"]
        told.append(f"believed: iss {', '.join(endpoint.cds.issuers)}")
        secret = ""
        for url in endpoint.cds.key_urls:
            try:
                keys = fetch_caller_keys(endpoint, url)
            except AuthorizationError as error:
                return _find("cds-keys-unread", f"{url}: {error.message}", url, facts)
            usable = list_usable(keys)
            if not usable:
                saw = f"{url}: {len(keys['keys'])} keys, none of them usable"
                return _find("cds-keys-unusable", saw, url, facts)
            told.append(f"keys at {url}: {len(usable)}")
            secret = url if any("d" in key for key in usable) else secret
        if secret:
            return _find("cds-keys-secret", "; ".join(told), secret, facts)
        return Seen(self._judge_issuers(endpoint), "; ".join(told))

    def _judge_issuers(self, endpoint: Endpoint) -> str:
        with self._database.tx() as tx:
            known = endpoints.list_endpoints(tx)
        return judge_issuers(endpoint, known)


def judge_issuers(endpoint: Endpoint, known: Sequence[Endpoint]) -> str:
    """Return the code for the issuers of an endpoint among all that are known."""
    ours = endpoint.cds
    for other in known:
        theirs = other.cds
        same = other.id != endpoint.id and {*ours.issuers} & {*theirs.issuers}
        apart = (
            ours.tenants and theirs.tenants and not {*ours.tenants} & {*theirs.tenants}
        )
        if same and not apart:
            return "cds-issuer-shared"
    return "ok" if all(map(_is_url, ours.issuers)) else "cds-issuer-no-url"


def _find(code: str, saw: str, url: str, facts: Mapping[str, Any]) -> Seen:
    return Seen(code, saw, f"GET {url.partition('?')[0]}", {**facts, "url": url}, False)


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
