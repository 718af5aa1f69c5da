"""An endpoint: one EHR that a site has connected, and what the site decided for it.

Endpoints are data (a row each), never configuration of the process.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class EndpointKind(StrEnum):
    """PRODUCTION alone may reach any number; SANDBOX alone may move the clock."""

    SANDBOX = "sandbox"
    TEST = "test"
    PRODUCTION = "production"


@dataclass(frozen=True)
class BackendClient:
    """How we authenticate as a backend service (SMART Backend Services).

    ``token_url`` is pinned when the endpoint is added; None means that the server
    needs no token. ``algorithm`` is RS384 or ES384.
    """

    client_id: str | None = None
    token_url: str | None = None
    scope: str = "system/*.rs"
    algorithm: str = "ES384"


@dataclass(frozen=True)
class AppClient:
    """How the SMART app is registered at the EHR's authorization server.

    ``authentication`` is private_key_jwt, client_secret_basic or none. ``issuers``
    are the id_token issuers accepted beside the server's own metadata.
    ``read_only`` names who may look and change nothing: references of users
    (``Practitioner/1``), codes of their PractitionerRole (``code`` or
    ``system|code``), or ``*``; where ``edit_scope`` is set, nobody changes anything
    without it. ``unknown_users`` lets users in whom the EHR names by ``sub`` alone,
    read-only. After ``idle_minutes`` without use a page is locked.
    """

    client_id: str | None = None
    authentication: str = "private_key_jwt"
    algorithm: str = "ES384"
    issuers: tuple[str, ...] = ()
    frame_origins: tuple[str, ...] = ()
    nonce_echoed: bool = True
    read_only: tuple[str, ...] = ()
    edit_scope: str = ""
    unknown_users: bool = False
    idle_minutes: int = 30


@dataclass(frozen=True)
class CdsCaller:
    """How the EHR calls our CDS Hooks services, as it said when it was registered.

    ``issuers`` are the ``iss`` of its JWTs and ``key_urls`` where their keys may be
    fetched: a JWT's ``jku`` names one of them, without one the first holds. ``tenants``
    names those that may call, none for any. ``client_id`` is ours at its authorization
    server, without which no token that it sends along is used. ``origins`` may call
    from a browser.
    """

    issuers: tuple[str, ...] = ()
    key_urls: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    client_id: str | None = None
    origins: tuple[str, ...] = ()


@dataclass(frozen=True)
class Site:
    """What the practice decided: its name, hours, numbers and reviewers.

    ``window`` is (first, last) local hour of the day for messages, the last exclusive;
    ``windows`` allows less on single weekdays (``mon`` to ``sun``).
    ``reviewers`` maps a BCP-47 language to the person who approved its wordings.
    ``holidays`` is an ISO country or country-subdivision code; only with
    ``holiday_messages`` discretionary messages go out on its public holidays.
    ``plans_on`` names the plans that are off unless a site wants them. ``review_days``
    is how often every patient's whole chart is looked at; 0 looks at nobody's by itself.
    ``vaccine_schedule`` is whose vaccine schedule the site follows.
    """

    name: str
    phone: str
    booking_url: str
    zone: str
    window: tuple[int, int] = (9, 20)
    sunday_window: tuple[int, int] = (12, 18)
    reviewers: dict[str, str] = field(default_factory=dict)
    windows: dict[str, tuple[int, int]] = field(default_factory=dict)
    holidays: str = "US"
    holiday_messages: bool = False
    max_per_day: int = 1
    max_per_week: int = 3
    max_per_year: int = 9
    max_calls_per_year: int = 1
    organization: str | None = None
    plans_off: tuple[str, ...] = ()
    plans_on: tuple[str, ...] = ()
    review_days: float = 7
    opt_out_percent: float = 3
    on_call: str = ""
    on_call_manager: str = ""
    vaccine_schedule: str = "cdc"
    disposition_map: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Endpoint:
    """One connected EHR (a row of ``endpoint``).

    ``fhir_base`` has no trailing slash and is the only place that references and
    ``next`` links may point to. ``allow_list`` names the numbers and addresses that
    may be reached while the kind is not PRODUCTION ("*" for a sandbox). ``rollout``
    says for how many percent of the patients a plan is switched on, by its id; where
    the endpoint is ``governed``, a plan that is not named there is off.
    """

    id: str
    name: str
    kind: EndpointKind
    fhir_base: str
    backend: BackendClient
    app: AppClient
    site: Site
    allow_list: tuple[str, ...] = ()
    profile: dict[str, Any] = field(default_factory=dict)
    rollout: dict[str, int] = field(default_factory=dict)
    governed: bool = False
    cds: CdsCaller = CdsCaller()

    @property
    def bases(self) -> tuple[str, ...]:
        """Return every base that means this server, its own first."""
        return (self.fhir_base, *self.profile.get("aliases", ()))

    @property
    def is_app_alone(self) -> bool:
        """Tell whether only the SMART app is described: launches, and nothing to read by."""
        backend = self.backend.client_id or self.backend.token_url
        return bool(self.app.client_id) and not backend
