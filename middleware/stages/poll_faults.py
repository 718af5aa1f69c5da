"""A poll that failed, as an administrator reads it: what happened and what to do. Pure."""

from __future__ import annotations

from mappings.endpoint import Endpoint
from mappings.errors import AuthorizationError, CareCueError, FhirError

CHECK = "`carecue endpoint check {id}` tries each step and says what to do."
UNACCEPTED = (
    "The server does not accept our token: compare token_url, client_id and scope in "
    "[backend] with the registration."
)
NO_BACKEND = (
    "The server wants a token: write [backend] in the endpoint's file. Launches of the "
    "SMART app need none."
)
REMEDIES = {
    403: "Our client may not search {type}: have the scope system/{type}.rs granted.",
    404: "fhir_base is wrong, or the server has no {type}: compare {base} with what the "
    "EHR's team gave you.",
}


def write_fault(error: CareCueError, endpoint: Endpoint, resource_type: str) -> str:
    """Return the fault of a poll with its remedy."""
    words = {
        "id": endpoint.id,
        "type": resource_type,
        "base": endpoint.fhir_base,
    }
    status = error.status if isinstance(error, FhirError) else None
    told = [f"{error.message.rstrip('.')}."]
    if status == 401 and not isinstance(error.__cause__, AuthorizationError):
        told.append(NO_BACKEND if endpoint.backend.token_url is None else UNACCEPTED)
    elif status in REMEDIES:
        told.append(REMEDIES[status].format(**words))
    return " ".join((*told, CHECK.format(**words)))
