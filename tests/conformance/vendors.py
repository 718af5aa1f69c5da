"""How the vendors' authorization servers describe themselves and answer, as fixtures.

Written from what each has published or was seen to answer; hosts are ours. ``{root}``
is the EHR's own host, ``{other}`` the second one that some vendors sign in on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from flask import request

from tests.conformance.charts import answer_fhir
from tests.conformance.hostile import HostileEhr

COMMON: dict[str, Any] = {
    "issuer": None,
    "jwks_uri": None,
    "revocation_endpoint": None,
    "code_challenge_methods_supported": None,
    "grant_types_supported": ["authorization_code", "refresh_token"],
    "capabilities": [
        "launch-ehr",
        "client-confidential-asymmetric",
        "sso-openid-connect",
    ],
}
EPIC_TOKEN: dict[str, Any] = {
    "need_patient_banner": "true",
    "__epic.dstu2.patient": "TnOZ.elPXC6zcBNFMcFA7A5KZbYxo2.4T-LylRk4GoW4B",
    "deptID": "101000401",
    "loginDepartment": "101000401",
    "state": "abc",
    "scope": "launch openid user/Encounter.Read user/Encounter.read user/*.Read "
    "user/Patient.Read user/Patient.read",
}
TENANT = "ec2458f2-1e24-41c8-b71b-0e701af7583d"
ORACLE = f"tenants/{TENANT}"


@dataclass(frozen=True)
class Vendor:
    """What a server says and does, and how the site registered it.

    ``path`` is that of the FHIR base. ``issuer`` is what its id_tokens name. ``keys``
    is where an openid-configuration names the keys. ``registered`` and ``profile`` are
    what a site writes down; ``needed`` is the one without which nobody gets in.
    """

    name: str
    path: str
    document: dict[str, Any]
    issuer: str
    configured_at: str = "{base}/.well-known/smart-configuration"
    keys: str | None = None
    answer: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    registered: dict[str, Any] = field(default_factory=dict)
    profile: dict[str, Any] = field(default_factory=dict)
    nonce: bool = True
    needed: str | None = None


def on_root(**more: Any) -> dict[str, Any]:
    """Return a document whose endpoints are on the EHR's own host."""
    return {
        **COMMON,
        "authorization_endpoint": "{root}/authorize",
        "token_endpoint": "{root}/token",
        **more,
    }


VENDORS = (
    Vendor(
        "Epic, an older site",
        "/interconnect/api/FHIR/R4",
        on_root(capabilities=["launch-ehr", "context-ehr-patient"]),
        "{root}/interconnect/oauth2",
        keys="{base}/.well-known/openid-configuration",
        answer=EPIC_TOKEN,
        profile={"server": "epic"},
        claims={"fhirUser": "{base}/Practitioner/osei"},
    ),
    Vendor(
        "Epic, the newest",
        "/interconnect/api/FHIR/R4",
        on_root(
            issuer="{root}/interconnect/oauth2",
            jwks_uri="{root}/jwks",
            code_challenge_methods_supported=["S256"],
            token_endpoint_auth_signing_alg_values_supported=["RS384", "ES384"],
            capabilities=["launch-ehr", "permission-v1", "permission-v2"],
        ),
        "{root}/interconnect/oauth2",
        answer=EPIC_TOKEN,
        profile={"server": "epic"},
        claims={"fhirUser": "{base}/Practitioner/osei"},
    ),
    Vendor(
        "Epic, a user without a resource",
        "/interconnect/api/FHIR/R4",
        on_root(issuer="{root}/oauth2", jwks_uri="{root}/jwks"),
        "{root}/oauth2",
        answer=EPIC_TOKEN,
        profile={"server": "epic"},
        needed="registered",
        claims={"fhirUser": None},
        registered={"unknown_users": True},
    ),
    Vendor(
        "Oracle Health, of a provider",
        f"/r4/{TENANT}",
        on_root(
            issuer="{other}/" + ORACLE,
            authorization_endpoint="{other}/authorize",
            token_endpoint="{other}/token",
            jwks_uri="{other}/jwks",
            code_challenge_methods_supported=["S256"],
            token_endpoint_auth_methods_supported=[
                "client_secret_basic",
                "private_key_jwt",
            ],
            token_endpoint_auth_signing_alg_values_supported=["RS384", "ES384"],
            capabilities=["launch-ehr", "permission-v1", "permission-v2"],
            scopes_supported=[
                "online_access",
                "patient/Observation.s",
                "patient/Goal.crus",
            ],
        ),
        "{other}/" + ORACLE + "/oidc/idsps/" + TENANT + "/",
        answer={"expires_in": 570, "need_patient_banner": False},
        claims={"fhirUser": "{base}/Practitioner/osei"},
        registered={"algorithm": "RS384"},
        profile={"server": "oracle", "authorization_hosts": ["localhost"]},
        needed="profile",
    ),
    Vendor(
        "athenahealth",
        "/fhir/r4",
        on_root(
            issuer="{other}/oauth2/aus2hfei6ookPyyCA297",
            jwks_uri="{other}/jwks",
            scopes_supported=["launch", "openid", "patient/Patient.read"],
        ),
        "{other}/oauth2/aus2hfei6ookPyyCA297",
        claims={"fhirUser": "Practitioner/osei"},
        profile={"server": "athena", "authorization_hosts": ["localhost"]},
        needed="profile",
    ),
    Vendor(
        "Meditech",
        "/v2/uscore/STU6",
        on_root(
            issuer="{root}",
            jwks_uri="{root}/jwks",
            grant_types_supported=["authorization_code", "client_credentials"],
            scopes_supported=["patient/Observation.crus?category=laboratory"],
            capabilities=["launch-ehr", "permission-v2"],
        ),
        "{root}",
        configured_at="{root}/.well-known/smart-configuration",
        profile={"server": "meditech"},
        needed="profile",
        claims={"fhirUser": "{base}/Practitioner/osei"},
    ),
    Vendor(
        "SMART App Launcher 2",
        "/v/r4/sim/WzIsIiIsIiIsIkFVVE8iXQ/fhir",
        on_root(
            authorization_endpoint="{root}/authorize",
            issuer="{base}",
            jwks_uri="{root}/jwks",
            code_challenge_methods_supported=["S256"],
            capabilities=["launch-ehr", "launch-standalone", "permission-v1"],
        ),
        "{root}/v/r4/sim/WzIsIiIsIiIsIkFVVE8iXQ/auth/fhir",
        answer={"smart_style_url": "{root}/smart-style.json"},
        profile={"server": "launcher"},
        needed="profile",
        nonce=False,
        claims={"fhirUser": "Practitioner/osei", "profile": "Practitioner/osei"},
    ),
    Vendor(
        "Medplum",
        "/fhir/R4",
        on_root(
            issuer="{root}/",
            jwks_uri="{root}/jwks",
            code_challenge_methods_supported=["S256"],
            token_endpoint_auth_methods_supported=[
                "client_secret_basic",
                "private_key_jwt",
            ],
            capabilities=[
                "authorize-post",
                "permission-v1",
                "permission-v2",
                "launch-ehr",
            ],
        ),
        "{root}/",
        answer={"profile": {"reference": "Practitioner/osei"}, "project": "x"},
        profile={"server": "medplum"},
        claims={"fhirUser": "{base}/Practitioner/osei", "login_id": "1"},
    ),
    Vendor(
        "Inferno client suite",
        "/custom/smart_client_stu2_2/fhir",
        on_root(
            issuer="{root}/custom/smart_client_stu2_2",
            code_challenge_methods_supported=["S256"],
            capabilities=["launch-ehr", "client-confidential-asymmetric"],
        ),
        "{root}/custom/smart_client_stu2_2",
        keys="{base}/.well-known/openid-configuration",
        claims={"fhirUser": "{base}/Practitioner/osei", "life": 31_536_000},
        profile={"server": "inferno"},
        needed="profile",
        nonce=False,
    ),
)


def put(value: Any, **places: str) -> Any:
    """Fill the places of a fixture's texts in."""
    if isinstance(value, str):
        for name, place in places.items():
            value = value.replace(f"{{{name}}}", place)
        return value
    if isinstance(value, dict):
        return {name: put(each, **places) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(put(each, **places) for each in value)
    return value


def behave(ehr: HostileEhr, other: str, vendor: Vendor) -> dict[str, Any]:
    """Make a server behave as a vendor's; return how a site registers it."""
    places = {"root": ehr.root, "other": other, "base": ehr.root + vendor.path}
    ehr.base = places["base"]
    ehr.issuer = put(vendor.issuer, **places)
    habits = ehr.habits
    habits.document = put(vendor.document, **places)
    habits.answer = put(vendor.answer, **places)
    habits.echoes_nonce = vendor.nonce
    claims = put(vendor.claims, **places)
    life = claims.pop("life", None)
    if life:
        claims["exp"] = int(ehr.clock.now().timestamp()) + life
    habits.claims = claims
    serve_at(ehr, put(vendor.configured_at, **places), ehr.describe)
    if vendor.keys:
        keys = {"issuer": ehr.issuer, "jwks_uri": f"{ehr.root}/jwks"}
        serve_at(ehr, put(vendor.keys, **places), lambda: keys)
    serve_charts(ehr)
    registered = put(vendor.registered, **places)
    return {**registered, "profile": vendor.profile, "fhir_base": ehr.base}


def serve_at(ehr: HostileEhr, url: str, view: Callable[[], Any]) -> None:
    """Answer one address by a view."""
    ehr.habits.instead[urlsplit(url).path] = view


def serve_charts(ehr: HostileEhr) -> None:
    """Answer reads and searches below the vendor's own base."""
    path = urlsplit(ehr.base).path

    def view() -> object:
        word = request.headers.get("Authorization", "").removeprefix("Bearer ")
        tail = request.path.removeprefix(path).strip("/")
        return answer_fhir(ehr.charts, ehr.tokens.get(word), tail)

    ehr.habits.below[f"{path}/"] = view
    ehr.habits.instead[path] = view
