"""Changing one resource by its id: an update of the whole, or a patch; where a new one is.

Sources: FHIR R4 http.html#update, #patch, #concurrency.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mappings.errors import FhirError, UnlocatedError
from mappings.patching import JSON_PATCH
from middleware.fhir.addresses import Reference
from middleware.fhir.bundles import names
from middleware.fhir.faults import Answer, is_serious, read_outcome
from middleware.fhir.transport import JSON_TYPE, Request, Transport

Patch = Sequence[Mapping[str, Any]] | Mapping[str, Any]


def send_change(
    transport: Transport,
    base_url: str,
    target: Reference,
    body: Mapping[str, Any],
    if_match: str | None,
) -> dict[str, Any] | None:
    """Update by id; return what stands, None where the server does not say it."""
    request = Request(
        "PUT",
        f"{base_url}/{target}",
        f"an update of {target.type}",
        body=body,
        headers=_headers(JSON_TYPE, if_match),
    )
    return _stands(transport, request, target)


def read_location(answer: Answer, kind: str) -> str:
    """Return where a creation stands. UnlocatedError where its answer does not say.

    FhirError where it was answered as done with an error.
    """
    location = answer.headers.get("Location") or answer.headers.get("Content-Location")
    if location:
        return location
    outcome = read_outcome(answer.body)
    if outcome is not None and is_serious(outcome):
        raise FhirError(
            f"The FHIR server answered {answer.status} with an error to a create of "
            f"{kind}; it may be tried again",
            status=answer.status,
            outcome=outcome,
        )
    raise UnlocatedError(
        f"The FHIR server took a create of {kind} and did not say where; look for it "
        "before it is sent again",
        status=answer.status,
    )


def send_patch(
    transport: Transport,
    base_url: str,
    target: Reference,
    patch: Patch,
    if_match: str | None,
) -> dict[str, Any] | None:
    """Patch by id: a list is a JSON Patch, a Parameters resource a FHIRPath Patch."""
    kind = JSON_TYPE if isinstance(patch, Mapping) else JSON_PATCH
    request = Request(
        "PATCH",
        f"{base_url}/{target}",
        f"a patch of {target.type}",
        body=patch,
        headers=_headers(kind, if_match),
    )
    return _stands(transport, request, target)


def _headers(kind: str, if_match: str | None) -> tuple[tuple[str, str], ...]:
    """Return the headers; ``if_match`` is a version, in a weak tag or bare."""
    headers = [("Prefer", "return=representation"), ("Content-Type", kind)]
    if if_match is not None:
        version = if_match.removeprefix("W/").strip('"')
        headers.append(("If-Match", f'W/"{version}"'))
    return tuple(headers)


def _stands(
    transport: Transport, request: Request, target: Reference
) -> dict[str, Any] | None:
    answer = transport.exchange(request)
    named = answer.body is not None and names(answer.body, target)
    return answer.body if named else None
