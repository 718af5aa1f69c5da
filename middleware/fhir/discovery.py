"""What an EHR says about itself: SMART configuration, capabilities, key sets.

Documents are read without a token, without following redirects, within limits, and
nothing in them is trusted beyond the hosts that an administrator reviewed. Sources:
SMART App Launch 2.2 conformance; OpenID Connect Discovery 1.0; FHIR R4 http.html.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import requests

from mappings.capabilities import list_rests
from mappings.errors import AuthorizationError, FhirError, UnreviewedHostError
from middleware.fhir.addresses import host_of, is_protected, read_base
from middleware.fhir.bounded import make_session
from middleware.fhir.documents import (
    SECONDS,
    fetch_document,
    get_document,
    parse_document,
)
from middleware.fhir.failing import name_failure
from middleware.fhir.faults import Answer, make_fault
from middleware.fhir.reach import read_reach
from middleware.ports import Clock, require_no_transaction

_DOCUMENT_BYTES = 512 * 1024
_CAPABILITY_BYTES = 8 * 1024 * 1024
_STYLE = 16 * 1024
_NAMES_ITSELF = "authorization_response_iss_parameter_supported"
_OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"


@dataclass(frozen=True)
class SmartConfiguration:
    """What we use of ``.well-known/smart-configuration``; URLs are absolute.

    ``source`` says where it was read: well-known or capabilities. Optional members
    that servers leave out are None or empty. ``names_itself``: every authorization
    response carries ``iss`` (RFC 9207).
    """

    issuer: str | None
    authorization_endpoint: str | None
    token_endpoint: str | None
    jwks_uri: str | None
    revocation_endpoint: str | None = None
    introspection_endpoint: str | None = None
    capabilities: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    grant_types: tuple[str, ...] = ()
    authentication_methods: tuple[str, ...] = ()
    signing_algorithms: tuple[str, ...] = ()
    code_challenge_methods: tuple[str, ...] = ()
    names_itself: bool = False
    source: str = "well-known"


def fetch_smart_configuration(
    base: str,
    *,
    hosts: Collection[str] = (),
    private_network: bool = False,
    ca_file: str | None = None,
    session: requests.Session | None = None,
    at_root: bool = False,
) -> SmartConfiguration:
    """Read the SMART configuration of a FHIR base.

    ``hosts`` are the authorization server's hosts that an administrator reviewed,
    beside the base's own. AuthorizationError when an endpoint lies elsewhere, is not
    https (but on loopback), or the document is unusable. ``ca_file`` names the site's
    own authority (PEM). With ``at_root`` the host's root is looked at after the base.
    """
    home = read_base(base)
    allowed = {host_of(home), *(host.lower() for host in hosts)}
    with session or _open(home, private_network, ca_file) as opened:
        document = None
        for place in (home, urljoin(home, "/").rstrip("/"))[: 2 if at_root else 1]:
            url = f"{place}/.well-known/smart-configuration"
            document = document or fetch_document(opened, url, missing_ok=True)
        if document is None:
            statement = fetch_document(opened, f"{home}/metadata") or {}
            return _read_oauth_uris(statement, home, allowed)
        if not isinstance(document.get("jwks_uri"), str):
            document = {**document, **_find_keys(opened, document, home, allowed)}
    return _read_configuration(document, home, allowed)


def fetch_capabilities(
    base: str,
    *,
    clock: Clock,
    private_network: bool = False,
    session: requests.Session | None = None,
) -> dict[str, Any]:
    """Return the CapabilityStatement. Raises FhirError."""
    require_no_transaction("a read of the CapabilityStatement")
    what = "a read of the CapabilityStatement"
    with session or _open(base, private_network, size=_CAPABILITY_BYTES) as opened:
        try:
            response = get_document(opened, f"{read_base(base)}/metadata")
        except requests.RequestException as error:
            raise FhirError(
                f"The FHIR server did not answer {what}: {name_failure(error)}"
            ) from None
    body = parse_document(response.content)
    if response.status_code != 200:
        answer = Answer(response.status_code, response.headers, body)
        raise make_fault(answer, what, clock.now())
    if body is None or body.get("resourceType") != "CapabilityStatement":
        raise FhirError(
            "What stands at the base's /metadata is no CapabilityStatement; check that "
            "the base is the FHIR server's own",
            status=200,
            permanent=True,
        )
    return body


def fetch_key_set(
    url: str, *, private_network: bool = False, ca_file: str | None = None
) -> Any:
    """Return the JWK set at a URL that was reviewed before. AuthorizationError."""
    with _open(url, private_network, ca_file) as opened:
        document = fetch_document(opened, url)
    if document is None or not isinstance(document.get("keys"), list):
        raise AuthorizationError("The authorization server's key set is unusable")
    return document


def fetch_style(
    url: str, *, private_network: bool = False, ca_file: str | None = None
) -> dict[str, Any]:
    """Return the SMART style at a URL that was reviewed before. AuthorizationError."""
    with _open(url, private_network, ca_file, size=_STYLE, seconds=2.0) as opened:
        return fetch_document(opened, url) or {}


def _open(
    url: str,
    private: bool,
    ca_file: str | None = None,
    *,
    size: int = _DOCUMENT_BYTES,
    seconds: float = SECONDS,
) -> requests.Session:
    reach = read_reach(url, private_network=private)
    return make_session(reach, size=size, seconds=seconds, ca_file=ca_file)


def _find_keys(
    session: requests.Session, document: dict[str, Any], home: str, allowed: set[str]
) -> dict[str, Any]:
    """Look for the key set where OpenID Connect puts it (issuer, then FHIR base)."""
    issuer = document.get("issuer")
    places = [issuer, home] if isinstance(issuer, str) else [home]
    for place in places:
        url = f"{str(place).rstrip('/')}/.well-known/openid-configuration"
        if host_of(url) not in allowed or not is_protected(url):
            continue
        try:
            found = fetch_document(session, url, missing_ok=True)
        except AuthorizationError:
            continue
        if found is not None and isinstance(found.get("jwks_uri"), str):
            named = {"issuer": found["issuer"]} if "issuer" in found else {}
            kept = {} if isinstance(issuer, str) else named
            return {"jwks_uri": found["jwks_uri"], **kept}
    return {}


def _read_configuration(
    document: dict[str, Any], home: str, allowed: set[str], source: str = "well-known"
) -> SmartConfiguration:
    def url(name: str) -> str | None:
        return _read_endpoint(document.get(name), name, home, allowed)

    def words(name: str) -> tuple[str, ...]:
        values = document.get(name)
        listed = values if isinstance(values, list) else []
        return tuple(value for value in listed if isinstance(value, str))

    issuer = document.get("issuer")
    return SmartConfiguration(
        issuer=issuer if isinstance(issuer, str) else None,
        authorization_endpoint=url("authorization_endpoint"),
        token_endpoint=url("token_endpoint"),
        jwks_uri=url("jwks_uri"),
        revocation_endpoint=url("revocation_endpoint"),
        introspection_endpoint=url("introspection_endpoint"),
        capabilities=words("capabilities"),
        scopes=words("scopes_supported"),
        grant_types=words("grant_types_supported"),
        authentication_methods=words("token_endpoint_auth_methods_supported"),
        signing_algorithms=words("token_endpoint_auth_signing_alg_values_supported"),
        code_challenge_methods=words("code_challenge_methods_supported"),
        names_itself=document.get(_NAMES_ITSELF) is True,
        source=source,
    )


def _read_oauth_uris(
    statement: dict[str, Any], home: str, allowed: set[str]
) -> SmartConfiguration:
    """Read the older ``oauth-uris`` extension of the CapabilityStatement."""
    names = {
        "authorize": "authorization_endpoint",
        "token": "token_endpoint",
        "revoke": "revocation_endpoint",
        "introspect": "introspection_endpoint",
    }
    found: dict[str, Any] = {}
    for part in list_rests(statement):
        security = part.get("security")
        security = security if isinstance(security, dict) else {}
        for extension in _list(security.get("extension")):
            if extension.get("url") != _OAUTH_URIS:
                continue
            for member in _list(extension.get("extension")):
                name = names.get(str(member.get("url")))
                if name:
                    found[name] = member.get("valueUri")
    return _read_configuration(found, home, allowed, "capabilities")


def _list(value: Any) -> list[dict[str, Any]]:
    items = value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, dict)]


def _read_endpoint(value: Any, name: str, home: str, allowed: set[str]) -> str | None:
    if not isinstance(value, str) or not value or not value.isprintable():
        return None
    url = urljoin(f"{home}/", value)
    if not is_protected(url):
        raise AuthorizationError(
            f"The SMART configuration's {name} is not an https URL; it was refused",
            permanent=True,
            found=f"{name} {url}",
        )
    if host_of(url) not in allowed:
        raise UnreviewedHostError(
            f"The SMART configuration's {name} lies on the host {host_of(url)!r}, which "
            "nobody has reviewed; nothing was stored; allow that host if it is right",
            permanent=True,
            found=f"{name} {url}",
        )
    return url
