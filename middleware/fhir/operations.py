"""Operations that change nothing: asked by GET, and by POST where GET is refused.

Source: FHIR R4 operations.html, executing an operation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from mappings.errors import FhirError
from middleware.fhir.addresses import read_query
from middleware.fhir.transport import Request, Transport

# What servers answer to a GET of an operation that they know by POST only.
_REFUSED = {400, 404, 405, 406, 415, 422, 501}


def ask_operation(
    transport: Transport,
    base: str,
    path: str,
    parameters: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return what the operation answered. Raises FhirError."""
    wanted = read_query(base, path)
    what = f"the operation ${wanted.rpartition('$')[2]}"
    url = f"{base}/{wanted}"
    query = urlencode([(part["name"], _value(part)) for part in parameters])
    get = Request("GET", f"{url}?{query}" if query else url, what, repeatable=True)
    try:
        answer = transport.exchange(get)
    except FhirError as error:
        if error.status not in _REFUSED:
            raise
        body = {"resourceType": "Parameters", "parameter": list(parameters)}
        answer = transport.exchange(
            Request("POST", url, what, body=body, repeatable=True)
        )
    if answer.body is None:
        raise FhirError(
            f"The FHIR server's answer to {what} is empty; nothing was taken from it; "
            "what changed is searched instead",
            status=answer.status,
        )
    return answer.body


def _value(parameter: Mapping[str, Any]) -> str:
    return next(str(v) for name, v in parameter.items() if name.startswith("value"))
