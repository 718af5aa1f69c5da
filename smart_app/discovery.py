"""Which authorization server belongs to an endpoint, and whether to trust its word.

A server's own document may not send people or codes to a host that the site has not
named: the endpoints must be on the FHIR base's host or on one listed in the
endpoint's profile under ``authorization_hosts`` (host names).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from mappings.dialects.registry import app_ways
from mappings.endpoint import Endpoint
from mappings.errors import (
    AuthorizationError,
    CareCueError,
    LaunchError,
    UnreviewedHostError,
)
from middleware.desk.viewer import mark
from smart_app.fetched import Fetched
from smart_app.ports import SmartConfiguration

FORCED_AFTER_SECONDS = 5.0
LACKING = mark(
    "The EHR's sign-in document lacks an authorization endpoint, a token endpoint, an "
    "issuer or keys. Nothing was opened. The person who runs CareCue can add what is "
    "missing to this EHR's profile."
)
FOREIGN = mark(
    "The EHR's sign-in document points to a host that is not listed for this EHR. "
    "Nothing was sent there. The person who runs CareCue can review the host and list "
    "it."
)


@dataclass(frozen=True)
class AuthorizationServer:
    """Where to ask, where to exchange, whose id_tokens to believe and their keys.

    ``names_itself``: an authorization response without ``iss`` is not this server's.
    """

    authorization_endpoint: str
    token_endpoint: str
    issuers: tuple[str, ...]
    jwks_uri: str
    revocation_endpoint: str | None = None
    capabilities: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    names_itself: bool = False


class Discovery:
    """Authorization servers by FHIR base, and key sets by URL, kept for 5 minutes."""

    def __init__(
        self,
        discover: Callable[[Endpoint], SmartConfiguration],
        fetch_keys: Callable[[Endpoint, str], dict[str, Any]],
    ) -> None:
        self._keys = Fetched(fetch_keys, pause=FORCED_AFTER_SECONDS)
        self._servers = Fetched(
            lambda endpoint, _: read_server(endpoint, discover(endpoint)),
            pause=FORCED_AFTER_SECONDS,
        )

    def find_server(self, endpoint: Endpoint) -> AuthorizationServer:
        """Return the endpoint's authorization server; LaunchError D1-D4 when none."""
        try:
            return self._servers.find(endpoint, endpoint.fhir_base, fresh=False)
        except LaunchError:
            raise
        except UnreviewedHostError as error:
            raise LaunchError(
                FOREIGN, code="D3", status=502, found=error.found
            ) from error
        except CareCueError as error:
            raise LaunchError(
                "The EHR did not say how to sign in. Nothing was opened. Try again in "
                "a minute; if it stays so, tell the person who runs CareCue.",
                code="D1",
                status=502,
                found=_found(error),
            ) from error

    def begin(self, endpoint: Endpoint) -> AuthorizationServer:
        """Return the same for a launch, and ask meanwhile for what its callback needs.

        While the person signs in: the callback then waits for the token alone.
        """
        server = self.find_server(endpoint)
        self._servers.prefetch(endpoint, endpoint.fhir_base)
        self._keys.prefetch(endpoint, server.jwks_uri)
        return server

    def find_keys(
        self, endpoint: Endpoint, server: AuthorizationServer, *, fresh: bool
    ) -> dict[str, Any]:
        """Return the JWKS; ``fresh`` asks the server again, at most every 5 s."""
        try:
            return self._keys.find(endpoint, server.jwks_uri, fresh=fresh)
        except CareCueError as error:
            raise LaunchError(
                "The EHR's keys could not be read, so the sign-in cannot be trusted. "
                "Nothing was opened. Try again in a minute.",
                code="D4",
                status=502,
                found=_found(error),
            ) from error


def read_server(
    endpoint: Endpoint, configuration: SmartConfiguration
) -> AuthorizationServer:
    """Return what the configuration says once every URL is on an allowed host.

    Raises LaunchError D2 for a missing member and D3 for a foreign host.
    """
    jwks_uri = endpoint.profile.get("jwks_uri") or configuration.jwks_uri
    issuers = _list_issuers(endpoint, configuration.issuer)
    authorize, token = (
        configuration.authorization_endpoint,
        configuration.token_endpoint,
    )
    if not authorize or not token or not jwks_uri or not issuers:
        named = {
            "authorization_endpoint": authorize,
            "token_endpoint": token,
            "issuer": issuers,
            "jwks_uri": jwks_uri,
        }
        lacking = ", ".join(name for name, value in named.items() if not value)
        raise LaunchError(LACKING, code="D2", status=502, found=lacking)
    for url in (authorize, token, str(jwks_uri)):
        if not is_allowed(endpoint, url):
            raise LaunchError(FOREIGN, code="D3", status=502, found=url)
    revoke = configuration.revocation_endpoint
    return AuthorizationServer(
        authorize,
        token,
        issuers,
        str(jwks_uri),
        revocation_endpoint=revoke if revoke and is_allowed(endpoint, revoke) else None,
        capabilities=configuration.capabilities,
        scopes=configuration.scopes,
        names_itself=configuration.names_itself,
    )


def _found(error: CareCueError) -> str:
    return error.found if isinstance(error, AuthorizationError) else ""


def _list_issuers(endpoint: Endpoint, named: str | None) -> tuple[str, ...]:
    """Return whose id_tokens are believed: as documented, as written, as derived."""
    derived = app_ways(endpoint.profile).derive_issuers(endpoint.fhir_base, named)
    known = (named, *endpoint.app.issuers, *derived)
    return tuple(dict.fromkeys(name for name in known if name))


def is_allowed(endpoint: Endpoint, url: str) -> bool:
    """Tell whether a URL has the base's scheme and the base's or a listed host."""
    try:
        base, parts = urlsplit(endpoint.fhir_base), urlsplit(url)
    except ValueError:  # a bracket that is no address
        return False
    if parts.scheme != base.scheme or "@" in parts.netloc or parts.fragment:
        return False
    listed = endpoint.profile.get("authorization_hosts", ())
    return parts.netloc == base.netloc or (parts.hostname or "") in set(listed)
