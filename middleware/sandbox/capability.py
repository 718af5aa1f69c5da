"""The CapabilityStatement: what this server can do, said from what it does.

Pure. Source: https://hl7.org/fhir/R4/capabilitystatement.html and
https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html.
"""

from datetime import datetime
from typing import Any

from middleware.sandbox.definition import BACKPORT as EXTENSIONS
from middleware.sandbox.definition import BACKPORT_PROFILE
from middleware.sandbox.models import parameters_of, resource_types
from middleware.sandbox.topics import topic_canonicals

INTERACTIONS = (
    "read",
    "vread",
    "update",
    "patch",
    "delete",
    "history-instance",
    "history-type",
    "create",
    "search-type",
)
SYSTEM = ("transaction", "batch", "history-system")
OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
SECURITY_SERVICE = "http://terminology.hl7.org/CodeSystem/restful-security-service"
BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport"
OPERATIONS = (
    ("status", f"{BACKPORT}/OperationDefinition/backport-subscription-status"),
    ("events", f"{BACKPORT}/OperationDefinition/backport-subscription-events"),
)


def capability(base: str, now: datetime) -> dict[str, Any]:
    """Make the CapabilityStatement of the server at a FHIR base URL."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": now.isoformat(timespec="seconds"),
        "kind": "instance",
        "software": {"name": "Sandbox EHR"},
        "implementation": {"description": "Sandbox EHR", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "patchFormat": ["application/json-patch+json"],
        "rest": [
            {
                "mode": "server",
                "security": _security(base),
                "resource": [_resource(type_) for type_ in sorted(resource_types())],
                "interaction": [{"code": code} for code in SYSTEM],
            }
        ],
    }


def _security(base: str) -> dict[str, Any]:
    site = base.removesuffix("/fhir")
    uris = [
        {"url": name, "valueUri": f"{site}/oauth/{name}"}
        for name in ("authorize", "token", "introspect", "revoke")
    ]
    return {
        "extension": [{"url": OAUTH_URIS, "extension": uris}],
        "service": [
            {"coding": [{"system": SECURITY_SERVICE, "code": "SMART-on-FHIR"}]}
        ],
    }


def _resource(type_: str) -> dict[str, Any]:
    parameters = [
        {"name": parameter.name, "type": parameter.kind}
        for _, parameter in sorted(parameters_of(type_).items())
    ]
    references = [
        f"{type_}:{parameter.name}"
        for _, parameter in sorted(parameters_of(type_).items())
        if parameter.kind == "reference"
    ]
    resource: dict[str, Any] = {
        "type": type_,
        "interaction": [{"code": code} for code in INTERACTIONS],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalRead": "full-support",
        "conditionalUpdate": True,
        "conditionalDelete": "single",
        "searchParam": parameters,
    }
    if references:
        resource["searchInclude"] = references
    if type_ == "Subscription":
        resource["operation"] = [
            {"name": name, "definition": url} for name, url in OPERATIONS
        ]
        resource["supportedProfile"] = [BACKPORT_PROFILE]
        resource["extension"] = [
            {
                "url": f"{EXTENSIONS}capabilitystatement-subscriptiontopic-canonical",
                "valueCanonical": canonical,
            }
            for canonical in topic_canonicals()
        ]
    return resource
