"""Which endpoint a command names."""

from __future__ import annotations

from mappings.endpoint import Endpoint
from mappings.errors import BadInputError
from middleware.storage import endpoints
from middleware.wiring.runtime import Runtime


def get_known(runtime: Runtime, name: str) -> Endpoint:
    """Return the endpoint of this name; BadInputError when there is none."""
    with runtime.database.tx() as tx:
        known = endpoints.get_endpoint(tx, name)
    if known is None:
        raise BadInputError(
            f"There is no endpoint {name!r}. `carecue endpoint list` names them."
        )
    return known
