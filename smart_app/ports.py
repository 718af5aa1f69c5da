"""What the SMART app asks of the rest: one value that the composition root fills.

Nothing here acts; the protocols name what launch, session and pages may rely on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mappings.endpoint import Endpoint
from mappings.secret import Secret
from middleware.desk.desk import Desk
from middleware.desk.editing.drafts import DraftBook
from middleware.desk.launches import Launch, LaunchBook
from middleware.desk.sign_in_frames import FrameBook
from middleware.ports import Clock, FhirApi, Ids, Patience


class SmartConfiguration(Protocol):
    """What ``.well-known/smart-configuration`` says (SMART App Launch 2.2)."""

    @property
    def issuer(self) -> str | None:
        """Return the issuer of id_tokens, when the server names it."""
        ...

    @property
    def authorization_endpoint(self) -> str | None:
        """Return the absolute URL where a person is asked."""
        ...

    @property
    def token_endpoint(self) -> str | None:
        """Return the absolute URL where a code becomes a token."""
        ...

    @property
    def jwks_uri(self) -> str | None:
        """Return the absolute URL of the keys that sign id_tokens."""
        ...

    @property
    def revocation_endpoint(self) -> str | None:
        """Return the absolute URL where a token is ended before its time."""
        ...

    @property
    def capabilities(self) -> tuple[str, ...]:
        """Return the SMART capabilities; empty where the server names none."""
        ...

    @property
    def scopes(self) -> tuple[str, ...]:
        """Return ``scopes_supported``; empty where the server names none."""
        ...

    @property
    def names_itself(self) -> bool:
        """Tell whether every authorization response carries ``iss`` (RFC 9207)."""
        ...


class Bearing(Protocol):
    """Gives a person's access token, and hears of one that the EHR refused.

    ``token`` raises ``AuthorizationError`` where there is none any more.
    """

    def token(self) -> Secret:
        """Return a token to send."""
        ...

    def forget(self, token: Secret) -> None:
        """Take a token back: the EHR answered 401 to it."""
        ...


class Sealer(Protocol):
    """Encrypts what is kept; raises ``StorageError`` when it cannot open."""

    def seal(self, clear: bytes) -> bytes:
        """Return the sealed bytes."""
        ...

    def open(self, sealed: bytes) -> bytes:
        """Return what was sealed."""
        ...


@dataclass(frozen=True)
class SmartPorts:
    """Everything outside the app's own room.

    ``endpoints`` lists the registered EHRs. ``fhir`` makes a client of an endpoint
    from what gives a token and the patience of who waits. ``discover`` fetches an endpoint's SMART configuration and
    ``fetch_keys`` the JWKS at a URL of its authorization server, ``fetch_style`` its
    SMART style: all bounded in time and size, following no redirects, trusting the site's own authority. ``bound``
    gives the session that exchanges a code at such a URL the same bounds.
    ``look_at_sign_in`` returns which header of the sign-in page at a URL refuses the
    EHR's frame, '' for none, None where it did not answer within two seconds.
    ``signing_key`` gives our private joserfc key, with its kid, for RS384 or ES384.
    ``client_secret`` gives the secret of an endpoint whose app uses
    client_secret_basic. ``public_url`` is where browsers reach us, without a
    trailing slash. ``bearer`` gives an open launch's token; the app itself fills it.
    """

    endpoints: Callable[[], Sequence[Endpoint]]
    launches: LaunchBook
    frames: FrameBook
    clock: Clock
    ids: Ids
    sealer: Sealer
    fhir: Callable[[Endpoint, Bearing, Patience | None], FhirApi]
    discover: Callable[[Endpoint], SmartConfiguration]
    fetch_keys: Callable[[Endpoint, str], dict[str, Any]]
    fetch_style: Callable[[Endpoint, str], dict[str, Any]]
    look_at_sign_in: Callable[[Endpoint, str], str | None]
    bound: Callable[[Any, Endpoint, str], None]
    signing_key: Callable[[str], Any]
    client_secret: Callable[[str], Secret | None]
    desk: Desk
    drafts: DraftBook
    public_url: str
    bearer: Callable[[Launch], Bearing] | None = None
