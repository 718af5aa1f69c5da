"""Access tokens, what each grants, and how a request proves that it has one.

It may not read resources or answer HTTP: fhir.py asks it and does the refusing.
Tokens are opaque; only their SHA-256 is kept, in memory and in the journal.
"""

import hashlib
import secrets
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Flask

from middleware.sandbox.clock import SandboxClock
from middleware.sandbox.compartment import SHARED, in_compartment
from middleware.sandbox.journal import Journal
from middleware.sandbox.outcome import FhirFault
from middleware.sandbox.scopes import Scope, parse_scope

KIND = "access-token"
NO_CATEGORY: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Grant:
    """What one token lets its bearer do, until `expires_at`.

    `user` is a reference such as Practitioner/p1; `patient` and `encounter` are
    ids; `family` names the authorization that the token came from.
    """

    client_id: str
    scopes: frozenset[str]
    patient: str | None
    user: str | None
    expires_at: datetime
    encounter: str | None = None
    family: str = ""

    def permits(
        self,
        interaction: str,
        resource_type: str,
        categories: frozenset[str] = NO_CATEGORY,
    ) -> bool:
        """Tell whether a scope allows one of c r u d s on a resource type.

        `categories` are tokens `system|code`: of the resource, or of the search's
        `category` parameter. A granular scope counts only when it names one.
        """
        return bool(self._scopes(interaction, resource_type, categories))

    @property
    def compartment(self) -> str | None:
        """Answer the patient whom the whole token is confined to, or None."""
        levels = {scope.level for scope in map(parse_scope, self.scopes) if scope}
        wide = "system" in levels or ("user" in levels and not self._is_patient())
        return None if wide else self.patient

    def confined_to(
        self,
        interaction: str,
        resource_type: str,
        categories: frozenset[str] = NO_CATEGORY,
    ) -> str | None:
        """Answer the patient whom this interaction is confined to, or None.

        Patient-level scopes confine to the patient in context, and so does
        everything that a user who is a Patient was granted.
        """
        scopes = self._scopes(interaction, resource_type, categories)
        if any(scope.level == "system" for scope in scopes):
            return None
        if any(scope.level == "user" for scope in scopes):
            return self._own_id()
        return self.patient

    def admits(self, interaction: str, resource: dict[str, Any]) -> bool:
        """Tell whether the interaction is allowed on this very resource."""
        type_ = resource["resourceType"]
        categories = read_categories(resource)
        if not self.permits(interaction, type_, categories):
            return False
        patient = self.confined_to(interaction, type_, categories)
        if patient is None or (type_ in SHARED and interaction in "rs"):
            return True
        return in_compartment(resource, patient)

    def _scopes(
        self, interaction: str, type_: str, categories: frozenset[str]
    ) -> list[Scope]:
        return [
            scope
            for scope in map(parse_scope, self.scopes)
            if scope
            and scope.names(type_)
            and interaction in scope.interactions
            and (scope.category is None or scope.category in categories)
            and (scope.level != "patient" or self.patient is not None)
        ]

    def _is_patient(self) -> bool:
        return self._own_id() is not None

    def _own_id(self) -> str | None:
        type_, _, id_ = (self.user or "").partition("/")
        return id_ if type_ == "Patient" else None


def read_categories(resource: dict[str, Any]) -> frozenset[str]:
    """Answer the tokens `system|code` of a resource's category element."""
    found = resource.get("category")
    concepts = found if isinstance(found, list) else [found] if found else []
    return frozenset(
        f"{coding.get('system', '')}|{coding.get('code', '')}"
        for concept in concepts
        if isinstance(concept, dict)
        for coding in concept.get("coding", [])
    )


class Tokens:
    """The access tokens in force, by simulated time."""

    def __init__(self, clock: SandboxClock, journal: Journal) -> None:
        self._clock = clock
        self._journal = journal
        self._lock = threading.Lock()
        self._grants: dict[str, Grant] = {}
        for record in journal.recorded(KIND):
            self._apply(record)

    def issue(
        self,
        client_id: str,
        scopes: frozenset[str],
        lifetime: timedelta,
        *,
        patient: str | None = None,
        user: str | None = None,
        encounter: str | None = None,
        family: str = "",
    ) -> str:
        """Answer a new opaque token that expires after the simulated lifetime."""
        token = secrets.token_urlsafe(32)
        expires_at = self._clock.now() + lifetime
        self._keep(
            {
                "token": digest(token),
                "client_id": client_id,
                "scopes": sorted(scopes),
                "patient": patient,
                "user": user,
                "expires_at": expires_at.isoformat(),
                "encounter": encounter,
                "family": family,
            }
        )
        return token

    def lookup(self, token: str) -> Grant | None:
        """Answer the grant of a token; None when unknown, revoked or expired."""
        with self._lock:
            grant = self._grants.get(digest(token))
        if grant is None or grant.expires_at <= self._clock.now():
            return None
        return grant

    def revoke(self, token: str) -> None:
        """Forget one token."""
        self._keep({"revoked": digest(token)})

    def revoke_family(self, family: str) -> None:
        """Forget every token that came from one authorization."""
        self._keep({"revoked_family": family})

    def revoke_all(self) -> int:
        """Forget every token; answer how many there were."""
        with self._lock:
            count = len(self._grants)
        self._keep({"revoked_all": True})
        return count

    def _keep(self, record: dict[str, Any]) -> None:
        with self._lock:
            self._apply(record)
            self._journal.append(KIND, record)

    def _apply(self, record: dict[str, Any]) -> None:
        if "token" in record:
            facts = dict(record)
            token = facts.pop("token")
            facts["scopes"] = frozenset(facts["scopes"])
            facts["expires_at"] = datetime.fromisoformat(facts["expires_at"])
            self._grants[token] = Grant(**facts)
        elif "revoked" in record:
            self._grants.pop(record["revoked"], None)
        elif "revoked_family" in record:
            family = record["revoked_family"]
            self._grants = {
                key: grant
                for key, grant in self._grants.items()
                if not family or grant.family != family
            }
        else:
            self._grants = {}


class Access:
    """The check at the door of the FHIR server."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens

    def authorize(self, header: str | None) -> Grant:
        """Answer the grant of an Authorization header.

        FhirFault 401 with WWW-Authenticate when there is none, when it is not a
        Bearer token, or when the token is unknown, revoked or expired.
        Source: RFC 6750 section 3.
        """
        if not header:
            raise _unauthorized("No access token was sent. Get one and retry.")
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token or " " in token:
            raise _unauthorized(
                "The Authorization header is not one Bearer token.",
                "invalid_request",
            )
        grant = self.tokens.lookup(token)
        if grant is None:
            raise _unauthorized(
                "The access token is unknown, revoked or expired. Get a new one.",
                "invalid_token",
            )
        return grant


def digest(secret: str) -> str:
    """Answer the SHA-256 under which a token is kept."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _unauthorized(sentence: str, error: str | None = None) -> FhirFault:
    challenge = 'Bearer realm="fhir"'
    if error:
        challenge += f', error="{error}", error_description="{sentence}"'
    return FhirFault(401, sentence, headers={"WWW-Authenticate": challenge})


def register(app: Flask) -> None:
    """Put the Access service into the application."""
    clock, journal = app.extensions["clock"], app.extensions["journal"]
    app.extensions["access"] = Access(Tokens(clock, journal))
