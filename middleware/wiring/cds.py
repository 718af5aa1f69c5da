"""What the CDS Hooks services stand on: the desk, and a bounded way to each EHR."""

from __future__ import annotations

import functools
from collections import defaultdict
from typing import Any

from mappings.endpoint import Endpoint
from mappings.secret import Secret
from middleware.desk.cds import CdsDesk
from middleware.fhir.abilities import Abilities
from middleware.fhir.bounded import make_session
from middleware.fhir.client import FhirClient
from middleware.fhir.discovery import fetch_key_set
from middleware.fhir.reach import Reach, endpoint_reach
from middleware.fhir.transport import Limits
from middleware.ports import Clock, FhirApi
from middleware.stages.context import StageContext
from middleware.storage import endpoints
from middleware.wiring.runtime import Runtime
from smart_app.cds.ports import CdsPorts

# An EHR that waits for a card has long stopped waiting by then.
SECONDS = 3.0
LIMITS = Limits(retry_seconds=SECONDS, attempts=1)


def make_cds_ports(runtime: Runtime, context: StageContext) -> CdsPorts:
    """Return everything outside the services' own room."""

    def known() -> list[Endpoint]:
        with runtime.database.tx() as tx:
            return endpoints.list_endpoints(tx)

    return CdsPorts(
        endpoints=known,
        fetch_keys=fetch_caller_keys,
        fhir=transient_clients(runtime.clock),
        clock=runtime.clock,
        ids=runtime.ids,
        desk=CdsDesk(context),
        public_url=runtime.settings.public_url,
        seconds=runtime.settings.cds_seconds,
    )


def fetch_caller_keys(endpoint: Endpoint, url: str) -> Any:
    """Fetch a key set that the site wrote down for an endpoint, following nothing."""
    return fetch_key_set(
        url,
        private_network=endpoint.profile.get("private_network") is True,
        ca_file=endpoint.profile.get("ca_file"),
    )


def transient_clients(clock: Clock) -> Any:
    """Return what makes a client of an endpoint from a token that came with one call.

    Connections are shared, for they keep no token and no cookie, and so is what the
    server was found not to do; the client and its token end with the call.
    """
    abilities: defaultdict[str, Abilities] = defaultdict(Abilities)

    @functools.lru_cache(maxsize=64)
    def connect(_: str, reach: Reach, ca_file: str | None) -> Any:
        return make_session(reach, seconds=SECONDS, ca_file=ca_file, pool=16)

    def make(endpoint: Endpoint, token: Secret) -> FhirApi:
        base = endpoint.fhir_base
        session = connect(
            base, endpoint_reach(endpoint), endpoint.profile.get("ca_file")
        )
        return FhirClient(
            base,
            lambda: token,
            clock=clock,
            session=session,
            timeout=(1.0, SECONDS),
            limits=LIMITS,
            abilities=abilities[base],
            aliases=endpoint.profile.get("aliases", ()),
        )

    return make
