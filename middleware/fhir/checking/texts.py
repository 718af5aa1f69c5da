"""Words that several diagnoses share: what is safe, and which section was expected."""

from __future__ import annotations

from middleware.fhir.checking.finding import Diagnosis, Outcome

WAITS = (
    "Nothing is read from this server and nothing is sent for its patients; nothing is "
    "lost: polling takes up where it stood."
)
ON = "Everything else goes on."
POLLS = (
    "Changes are found by polling meanwhile, every CARECUE_POLL_SECONDS; nothing is "
    "lost, it comes later."
)
TLS = "SMART App Launch 2.2, security: TLS 1.2 or newer, a certificate that verifies"
CAPABILITIES = "FHIR R4, RESTful API, capabilities: GET [base]/metadata"
DISCOVERY = "SMART App Launch 2.2, Conformance: .well-known/smart-configuration"
BACKEND = "SMART App Launch 2.2, Backend Services: access token request"
KEYS = "SMART App Launch 2.2, client-confidential-asymmetric: registering a JWKS URL"
SCOPES = "SMART App Launch 2.2, Scopes: system/[Type].[cruds]"
REST = "FHIR R4, RESTful API: read and search with the granted token"
SEARCH = "FHIR R4, Search"
SUBSCRIPTION = "FHIR R4 Subscription (rest-hook) or Subscriptions R5 Backport IG 1.1"


def failed(
    cause: str, safe: str, todo: str, ask: str = "", expected: str = ""
) -> Diagnosis:
    """Make a diagnosis of a check that does not hold."""
    return Diagnosis(Outcome.FAILED, cause, safe, todo, ask, expected)


def warned(
    cause: str, safe: str, todo: str, ask: str = "", expected: str = ""
) -> Diagnosis:
    """Make a diagnosis of a check that holds with something to know."""
    return Diagnosis(Outcome.WARN, cause, safe, todo, ask, expected)
