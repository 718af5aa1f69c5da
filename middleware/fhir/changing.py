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

Change = Sequence[Mapping[str, Any]] | Mapping[str, Any]


def send_change(
    transport: Transport,
    base_url: str,
    target: Reference,
    change: Change,
    if_match: str | None,
    *,
    method: str = "PUT",
) -> dict[str, Any] | None:
    """Change by id; return what stands, None where the server does not say it.

    ``change`` is the resource, or for ``PATCH`` a JSON Patch (a list) or a FHIRPath
    Patch (Parameters). ``if_match`` is a version, in a weak tag or bare.
    """
    kind = JSON_TYPE if isinstance(change, Mapping) else JSON_PATCH
    headers = [("Prefer", "return=representation"), ("Content-Type", kind)]
    if if_match is not None:
        version = if_match.removeprefix("W/").strip('"')
        headers.append(("If-Match", f'W/"{version}"'))
    what = f"{'an update' if method == 'PUT' else 'a patch'} of {target.type}"
    answer = transport.exchange(
        Request(
            method,
            f"{base_url}/{target}",
            what,
            body=change,
            headers=tuple(headers),
        )
    )
    named = answer.body is not None and names(answer.body, target)
    return answer.body if named else None


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
