"""What the CDS Hooks services ask of the rest: one value, filled by the composition root."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mappings.endpoint import Endpoint
from mappings.secret import Secret
from middleware.desk.cds import CdsDesk
from middleware.ports import Clock, FhirApi, Ids


@dataclass(frozen=True)
class CdsPorts:
    """Everything outside the services' own room.

    ``fetch_keys`` fetches the JWKS at a URL of an endpoint, bounded in time and size
    and following no redirect. ``fhir`` makes a client of an endpoint's own base from a
    token that came along; it keeps neither. ``seconds`` is how long an EHR is made to
    wait for a card. ``public_url`` is where EHRs reach us, without a trailing slash.
    """

    endpoints: Callable[[], Sequence[Endpoint]]
    fetch_keys: Callable[[Endpoint, str], dict[str, Any]]
    fhir: Callable[[Endpoint, Secret], FhirApi]
    clock: Clock
    ids: Ids
    desk: CdsDesk
    public_url: str
    seconds: float = 0.5
