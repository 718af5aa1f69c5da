"""The authorization server, put together, and its discovery documents.

It may not decide anything: authorize.py, token_endpoint.py and introspection.py
do. Source: SMART App Launch 2.2, "Conformance"; OpenID Connect Discovery 1.0.
"""

from typing import Any

from flask import Blueprint, Flask, Response, jsonify

from middleware.sandbox import (
    authorize,
    client_routes,
    introspection,
    token_endpoint,
)
from middleware.sandbox.assertions import ALGORITHMS, Assertions
from middleware.sandbox.authentication import Authentication
from middleware.sandbox.authority import Authority, read_authority
from middleware.sandbox.client_keys import ClientKeys
from middleware.sandbox.launches import Refreshes

CAPABILITIES = [
    "launch-ehr",
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-banner",
    "context-style",
    "context-ehr-patient",
    "context-ehr-encounter",
    "context-standalone-patient",
    "context-standalone-encounter",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
]
SCOPES = [
    "openid",
    "fhirUser",
    "launch",
    "launch/patient",
    "launch/encounter",
    "online_access",
    "offline_access",
    "patient/*.cruds",
    "user/*.cruds",
    "system/*.cruds",
]

routes = Blueprint("smart", __name__)


@routes.get("/fhir/.well-known/smart-configuration")
def smart_configuration() -> Response:
    """Answer what an app has to know to be launched."""
    authority = read_authority()
    oauth = f"{authority.base_url}/oauth"
    return _document(
        {
            **_shared(authority),
            "introspection_endpoint": f"{oauth}/introspect",
            "revocation_endpoint": f"{oauth}/revoke",
            "grant_types_supported": [
                "authorization_code",
                "refresh_token",
                "client_credentials",
            ],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "capabilities": CAPABILITIES,
        }
    )


@routes.get("/fhir/.well-known/openid-configuration")
def openid_configuration() -> Response:
    """Answer what an app has to know to check an id_token."""
    return _document(
        {
            **_shared(read_authority()),
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "claims_supported": ["iss", "sub", "aud", "exp", "iat", "fhirUser"],
        }
    )


@routes.get("/oauth/jwks")
def jwks() -> Response:
    """Answer the public keys with which id_tokens are signed."""
    response = jsonify(read_authority().keys.jwks())
    response.headers["Cache-Control"] = "public, max-age=300"
    return response


def _shared(authority: Authority) -> dict[str, Any]:
    oauth = f"{authority.base_url}/oauth"
    return {
        "issuer": authority.issuer,
        "jwks_uri": f"{oauth}/jwks",
        "authorization_endpoint": f"{oauth}/authorize",
        "token_endpoint": f"{oauth}/token",
        "token_endpoint_auth_methods_supported": [
            "private_key_jwt",
            "client_secret_basic",
        ],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "scopes_supported": SCOPES,
        "response_types_supported": ["code"],
    }


def _document(body: dict[str, Any]) -> Response:
    response = jsonify(body)
    # Public documents: browser apps on other origins read them too.
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


def register(app: Flask) -> None:
    """Put the authority into the application and mount its endpoints."""
    parts = app.extensions
    base_url = parts["options"].base_url
    assertions = Assertions(ClientKeys(), f"{base_url}/oauth/token")
    parts["smart"] = Authority(
        clock=parts["clock"],
        tokens=parts["access"].tokens,
        keys=parts["keys"],
        clients=parts["clients"],
        refreshes=Refreshes(parts["clock"], parts["journal"]),
        authentication=Authentication(parts["clients"], assertions),
        base_url=base_url,
    )
    app.register_blueprint(routes)
    for part in (client_routes, authorize, token_endpoint, introspection):
        part.register(app)
